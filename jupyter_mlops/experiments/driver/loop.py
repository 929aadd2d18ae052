"""The loop that drives an experiment: ask, submit, hear, record, until the search is done."""

from __future__ import annotations

import contextlib
import pickle
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.experiments.driver.blame import Blame
from jupyter_mlops.experiments.driver.journal import Journal, Started
from jupyter_mlops.experiments.driver.keeping import Best
from jupyter_mlops.experiments.driver.signals import command, topic
from jupyter_mlops.experiments.driver.trial import Given, Outcome, run_on_worker
from jupyter_mlops.experiments.progress import SearchStep
from jupyter_mlops.workspace import MLOpsError

if TYPE_CHECKING:
    from distributed import Client, Future

    from jupyter_mlops.experiments.clusters import Cluster
    from jupyter_mlops.experiments.search import Search
    from jupyter_mlops.experiments.studies import Experiment

__all__ = ["ClusterLost", "Loop", "State"]

_TICK: Final = 0.2
#: Seconds between two looks at what people ask for.
_LOOK: Final = 1.0
#: Seconds a trial has to end once it was told to stop, before its worker is ended.
_GRACE: Final = 1.0
#: Seconds of short trials that are recorded in one transaction.
_TOGETHER: Final = 0.05
#: Trials that fail before any finishes: the cell is wrong, not the parameters.
_HOPELESS: Final = 5
#: A trial that was begun this often and never ended isn't begun again.
ATTEMPTS: Final = 4
#: Above this many seconds a trial, a worker's next one is asked for when it is free, so that the
#: search knows more; below it one waits beside each, so that no worker does.
_LONG: Final = 1.0


class ClusterLost(Exception):
    """The scheduler doesn't answer any more; what ran there has to run again."""


@dataclass
class State:
    """What is known of an experiment, over all its clusters and processes.

    Attributes
    ----------
    best : Best
    again : list of Started
        Trials that began, and whose process or cluster was lost.
    counts : Counter of str
        Trials that ended, by status.
    reasons, notes : Counter of str
        Why trials failed, and what they noted.
    cpu, seconds : float
        Seconds that trials computed, and that the experiment ran.
    top : tuple of (float, int, dict) or None
        The best value of the first metric, its trial's number and parameters.
    why : str
        Why it ended; empty while it goes on.
    """

    best: Best
    again: list[Started] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    cpu: float = 0.0
    seconds: float = 0.0
    top: tuple[float, int, dict[str, Any]] | None = None
    why: str = ""


class Loop:
    """One attempt at an experiment on one cluster.

    Parameters
    ----------
    journal : Journal
    search : Search
        Knows what ended before.
    cluster : Cluster
    given : Given
        What all trials have in common.
    state : State
        Goes on from one attempt to the next.
    told : Experiment
        Without its trials, for whoever watches.
    progress : callable, optional
        Told how far it is, several times a second.
    """

    def __init__(
        self,
        journal: Journal,
        search: Search,
        cluster: Cluster,
        given: Given,
        state: State,
        told: Experiment,
        progress: Callable[[SearchStep], None] | None = None,
    ) -> None:
        self.journal, self.search, self.cluster = journal, search, cluster
        self.plan: dict[str, Any] = journal.row.plan
        self.state, self.told, self.progress = state, told, progress
        self._messages: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._running: dict[str, tuple[Started, Future]] = {}
        self._where: dict[str, str] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._blame = Blame()
        self._submissions = 0
        self._seconds: list[float] = []
        self._workers = max(1, cluster.workers)
        self._before = state.seconds
        self._started = time.monotonic()
        self._looked = self._checked = time.monotonic()
        self._stopped: set[str] = set()
        self._started_now: list[Started] = []
        self._ended_now: list[tuple[Started, Outcome]] = []
        self._dropped_now: list[str] = []
        self._cell = given

    def run(self) -> None:
        """Run trials until the search is done.

        Raises
        ------
        ClusterLost
            The scheduler is gone; `again` then holds what has to run again.
        KeyboardInterrupt
            After what ran was stopped and recorded.
        """
        with self.cluster.client() as client:
            client.subscribe_topic(topic(self.journal.row.id), self._heard)
            try:
                self._go_on(client)
            except KeyboardInterrupt:
                self.state.why = "it was interrupted"
                self._record()
                self._stop_all(client, "interrupted")
                raise
            finally:
                with contextlib.suppress(Exception):
                    client.unsubscribe_topic(topic(self.journal.row.id))

    def _go_on(self, client: Client) -> None:
        recorded = 0.0
        while True:
            # Workers get their next trial before the store is written, and work meanwhile.
            self._started_now += self._fill(client)
            now = time.monotonic()
            if now - recorded >= _TOGETHER or not self._running:
                recorded = now
                self._record()
                self._tell()
            if not self._running:
                return
            ended, dropped = self._wait(client)
            self._ended_now += ended
            self._dropped_now += dropped
            self._look(client)

    def _record(self) -> None:
        """Make durable what happened since the last time."""
        self.journal.record(self._started_now, self._ended_now, self._dropped_now)
        self._started_now, self._ended_now, self._dropped_now = [], [], []

    def _fill(self, client: Client) -> list[Started]:
        """Ask for and submit as many trials as there is room for."""
        started: list[Started] = []
        while len(self._running) < self._room() and not self.state.why:
            if self.state.again:
                one = self.state.again.pop(0)
                one.attempt += 1
                if one.attempt > ATTEMPTS:
                    reason = f"what it ran on was lost {ATTEMPTS} times"
                    lost = Outcome(one.id, "failed", params=one.params, error=reason)
                    self._take(one, lost)
                    self._ended_now.append((one, lost))
                    continue
            else:
                self.state.why = self._reason_to_stop()
                if self.state.why:
                    break
                asked = self.search.ask()
                if asked is None:
                    break  # the first trial will tell what there is to search
                one = Started(asked.number, asked.params, asked.seed)
            self._submit(client, one)
            started.append(one)
        return started

    def _reason_to_stop(self) -> str:
        done = self.state.counts["finished"] + self.state.counts["pruned"]
        if not done and self.state.counts["failed"] >= min(_HOPELESS, self.plan["trials"]):
            return "every trial failed"
        return self.search.stop_reason(self._elapsed(), self.state.cpu) or ""

    def _elapsed(self) -> float:
        """Seconds that the experiment has run, in all its attempts."""
        self.state.seconds = self._before + time.monotonic() - self._started
        return self.state.seconds

    def _room(self) -> int:
        recent = self._seconds[-20:]
        long = bool(recent) and sum(recent) / len(recent) > _LONG
        return self._workers if long else 2 * self._workers

    def _submit(self, client: Client, one: Started) -> None:
        given = replace(
            self._cell,
            id=one.id,
            number=one.number,
            attempt=one.attempt,
            seed=one.seed,
            params=one.params,
            keep_below=self.state.best.threshold,
        )
        self._submissions += 1
        self._blame.forget(one.id)
        future = client.submit(
            run_on_worker,
            given,
            key=f"trial-{one.id}-{self._submissions}",
            pure=False,
            priority=-one.number,
        )
        self._running[one.id] = (one, future)
        future.add_done_callback(lambda _, trial=one.id: self._messages.put(("done", trial)))

    def _heard(self, event: tuple[float, dict[str, Any]]) -> None:
        """Called in the client's own thread."""
        self._messages.put(("told", event[1]))

    def _wait(self, client: Client) -> tuple[list[tuple[Started, Outcome]], list[str]]:
        """Wait for news, and take all there is."""
        done: list[str] = []
        for kind, news in self._news():
            if kind == "done":
                done.append(news)
            elif news["kind"] == "started":
                self._where[news["trial"]] = news["worker"]
                self._blame.began(news["trial"], news["worker"])
            elif news["kind"] == "ended":
                # From a worker of our own, as its result would be.
                self._outcomes[news["trial"]] = pickle.loads(news["outcome"])  # noqa: S301
            elif news["kind"] == "report":
                self._consider(client, news)
        self._check(client)
        return self._collect(client, done)

    def _news(self) -> Iterator[tuple[str, Any]]:
        with contextlib.suppress(Empty):
            pending = self._started_now or self._ended_now
            yield self._messages.get(timeout=_TOGETHER if pending else _TICK)
            while True:
                yield self._messages.get_nowait()

    def _consider(self, client: Client, news: dict[str, Any]) -> None:
        held = self._running.get(news["trial"])
        if held is None or self.plan.get("pruner", "none") == "none":
            return
        if self.search.should_prune(held[0].number, news["step"], news["value"]):
            self._command(client, news["trial"], "prune")

    def _command(self, client: Client, trial: str, wanted: str) -> None:
        worker = self._where.get(trial)
        if worker is not None:
            client.run(command, trial, wanted, workers=[worker], wait=False)

    def _check(self, client: Client) -> None:
        now = time.monotonic()
        if client.status != "running":
            raise self._lost()
        if now - self._checked < 2.0:
            return
        self._checked = now
        self._workers = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
        if not self.cluster.alive():
            raise self._lost()

    def _lost(self) -> ClusterLost:
        self._record()
        self.state.again += [one for one, _ in self._running.values()]
        self._running.clear()
        return ClusterLost()

    def _collect(
        self, client: Client, done: list[str]
    ) -> tuple[list[tuple[Started, Outcome]], list[str]]:
        """The outcomes of trials that are done, told to the search."""
        ready = [trial for trial in done if trial in self._running]
        fine = [one for one in ready if self._running[one][1].status == "finished"]
        outcomes = {one: self._outcomes.pop(one) for one in fine if one in self._outcomes}
        large = [one for one in fine if one not in outcomes]
        if large:
            found = client.gather([self._running[one][1] for one in large], errors="skip")
            outcomes |= {one.id: one for one in found}
        guilty = self._guilty([one for one in ready if self._running[one][1].status == "error"])
        ended: list[tuple[Started, Outcome]] = []
        dropped: list[str] = []
        for trial in ready:
            begun, future = self._running[trial]
            outcome = outcomes.get(trial)
            if outcome is None and trial not in fine:
                outcome = self._died(begun, future, trial in guilty)
            if outcome is None:
                if client.status != "running":
                    continue  # the next check takes the loss of the cluster
                self._running.pop(trial)
                self._submit(client, begun)
                continue
            self._running.pop(trial)
            future.release()
            if outcome.status == "stopped" and trial in self._stopped:
                outcome.error = "it was stopped by a person"
            dropped += self._take(begun, outcome)
            ended.append((begun, outcome))
        return ended, dropped

    def _guilty(self, failed: list[str]) -> set[str]:
        """Those of the trials whose worker died that it died of."""
        killed: dict[str, str] = {}
        for trial in failed:
            error = self._running[trial][1].exception()
            worker = getattr(error, "last_worker", None)
            if worker is not None:
                killed[trial] = str(worker.address)
        numbers = {trial: self._running[trial][0].number for trial in killed}
        return self._blame.guilty(killed, numbers)

    def _died(self, begun: Started, future: Future, guilty: bool) -> Outcome | None:
        """What became of a trial whose task failed as a whole; None to run it again."""
        if future.status in {"cancelled", "lost"}:
            return None
        error = future.exception()
        if type(error).__name__ == "KilledWorker":
            if not guilty:
                return None
            begun.attempt += 1
            if begun.attempt <= ATTEMPTS:
                return None
            begun.attempt = ATTEMPTS
            reason = f"its worker died {ATTEMPTS} times while it ran: killed, or out of memory"
        else:
            reason = f"{type(error).__name__}: {error}"[:500]
        return Outcome(begun.id, "failed", params=begun.params, error=reason)

    def _take(self, begun: Started, outcome: Outcome) -> list[str]:
        """Tell the search; return the trials whose models are kept no longer."""
        self._blame.forget(begun.id)
        self.state.counts[outcome.status] += 1
        self._seconds.append(outcome.seconds)
        self.state.cpu += outcome.usage.get("cpu_seconds", 0.0)
        self.state.notes.update(outcome.notes)
        if outcome.status == "failed":
            self.state.reasons[outcome.error] += 1
        goals = self.plan["goals"]
        values = [outcome.metrics.get(goal["metric"]) for goal in goals]
        limits = [outcome.metrics.get(name, float("inf")) for name in self._cell.constraints]
        known = [value for value in values if value is not None]
        try:
            self.search.tell(
                begun.number,
                outcome.status,
                known if len(known) == len(values) else None,
                outcome.params,
                outcome.distributions,
                outcome.curve,
                limits or None,
            )
        except MLOpsError as error:
            # The parameters can't be searched as they are asked for; the trial says why.
            outcome.status, outcome.error = "failed", f"{error.what}: {error.why}".rstrip(": ")
            self.state.why = (
                "every trial failed" if not self.state.counts["finished"] else outcome.error
            )
            self.state.reasons[outcome.error] += 1
        if outcome.status != "finished":
            return []
        value, sign = outcome.metrics[goals[0]["metric"]], -1 if goals[0]["maximize"] else 1
        if self.state.top is None or sign * value < sign * self.state.top[0]:
            self.state.top = value, begun.number, outcome.params
        if outcome.content is None:
            return []
        loss = sign * value
        dropped = self.state.best.add(outcome.id, loss)
        if outcome.id in dropped:
            outcome.content = outcome.rows = None
            outcome.model, outcome.validation = {}, {}
            dropped.remove(outcome.id)
        return dropped

    def _look(self, client: Client) -> None:
        """Do what people asked for meanwhile."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        wishes = self.journal.wishes()
        for params in wishes.queue:
            self.search.enqueue(params)
        for begun, _ in list(self._running.values()):
            if begun.number in wishes.stops:
                self._stopped.add(begun.id)
                self._command(client, begun.id, "stop")
        if wishes.stop and self.state.why != "it was stopped":
            self.state.why = "it was stopped"
            self._record()
            self._stop_all(client, "stopped")

    def _stop_all(self, client: Client, status: str) -> None:
        """End what runs within seconds, and record it; a trial that won't hear loses its worker."""
        waiting = [one for one in self._running if one not in self._where]
        with contextlib.suppress(Exception):
            client.cancel([self._running[one][1] for one in waiting], force=True)
        for trial in self._running:
            self._command(client, trial, "stop")
        until = time.monotonic() + _GRACE
        ended: list[tuple[Started, Outcome]] = []
        while time.monotonic() < until and any(one in self._where for one in self._running):
            done = [news for kind, news in self._news() if kind == "done"]
            found, _ = self._collect_stopped(client, done)
            ended += found
        deaf = {self._where[one] for one in self._running if one in self._where}
        if deaf:
            with contextlib.suppress(Exception):
                client.restart_workers(list(deaf), timeout=1.0, raise_for_error=False)
        for begun, _ in self._running.values():
            ended.append((begun, Outcome(begun.id, status, params=begun.params)))
        for _, outcome in ended:
            if outcome.status == "stopped":
                outcome.status = status
            self.state.counts[outcome.status] += 1
        self._running.clear()
        self.journal.record([], ended)

    def _collect_stopped(
        self, client: Client, done: list[str]
    ) -> tuple[list[tuple[Started, Outcome]], list[str]]:
        ended = []
        for trial in [one for one in done if one in self._running]:
            begun, future = self._running[trial]
            if future.status != "finished":
                continue
            self._running.pop(trial)
            with contextlib.suppress(Exception):
                ended.append((begun, client.gather(future)))
        return ended, []

    def _tell(self) -> None:
        if self.progress is None:
            return
        seconds, counts = self._elapsed(), self.state.counts
        ended = sum(counts.values())
        total: int | None = self.plan["trials"]
        rate = ended / seconds if seconds else 0.0
        value, number, params = self.state.top or (None, None, {})
        busy = {
            self._where[one]: begun
            for one, (begun, _) in self._running.items()
            if one in self._where
        }
        self.progress(
            SearchStep(
                experiment=self.told,
                done=ended,
                running=len(busy),
                total=total,
                best=value,
                best_params=params,
                best_number=number,
                seconds=seconds,
                remaining=(total - ended) / rate if rate and total is not None else None,
                failures=counts["failed"],
                pruned=counts["pruned"],
                workers=tuple(
                    {"name": worker, "trial": begun.number} for worker, begun in busy.items()
                ),
            )
        )
