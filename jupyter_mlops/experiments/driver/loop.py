"""The loop that drives an experiment: ask, submit, hear, record, until the search is done."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.experiments.driver.flight import ATTEMPTS, Ended, Flight
from jupyter_mlops.experiments.driver.journal import Journal, Started
from jupyter_mlops.experiments.driver.keeping import Best
from jupyter_mlops.experiments.driver.occupancy import Occupancy
from jupyter_mlops.experiments.driver.signals import topic
from jupyter_mlops.experiments.driver.trial import Given, Outcome
from jupyter_mlops.experiments.progress import SearchStep
from jupyter_mlops.profiling.interrupting import deferred
from jupyter_mlops.workspace import MLOpsError

if TYPE_CHECKING:
    from distributed import Client

    from jupyter_mlops.experiments.clusters import Cluster
    from jupyter_mlops.experiments.search import Search
    from jupyter_mlops.experiments.studies import Experiment

__all__ = ["ClusterLost", "Loop", "State"]

_HERE: Final = ("local", "cuda", "gpu")
_TICK: Final = 0.2
#: Seconds between two looks at what people ask for.
_LOOK: Final = 1.0
#: Seconds of short trials that are recorded in one transaction.
_TOGETHER: Final = 0.05
#: Trials that fail before any finishes: the cell is wrong, not the parameters.
_HOPELESS: Final = 5
#: Above this many seconds a trial, a worker's next one is asked for when it is free, so that the
#: search knows more; below it one waits beside each, so that no worker does.
_LONG: Final = 1.0
#: Below this many seconds each, a worker runs several trials in turn: where one waits for a longer
#: one, another worker may run it meanwhile.
_SHORT: Final = 0.2


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
        self._flight: Flight
        self._seconds: list[float] = []
        self._workers = max(1, cluster.workers)
        self._occupancy = Occupancy(journal.ws, journal.row.id, cluster)
        self._before = state.seconds
        self._started = time.monotonic()
        self._looked = self._checked = time.monotonic()
        self._to_stop: set[int] = set()
        self._started_now: list[Started] = []
        self._ended_now: list[Ended] = []
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
            away = self.cluster.kind not in _HERE and self._bring(client)
            self._flight = Flight(client, self._cell, self.cluster.near)
            client.subscribe_topic(topic(self.journal.row.id), self._flight.heard)
            try:
                self._go_on(client)
            except KeyboardInterrupt:
                self.state.why = "it was interrupted"
                self._stop("interrupted")
                raise
            finally:
                self._flight.close()
                with contextlib.suppress(Exception):
                    client.unsubscribe_topic(topic(self.journal.row.id))
                if away:
                    self._bring(client, forget=True)

    def _bring(self, client: Client, forget: bool = False) -> bool:
        """Send the variables to workers that don't see them; whether that was needed."""
        # It loads Dask, which clusters of this machine do beside the start of their workers.
        from jupyter_mlops.experiments.driver import ferrying

        return (ferrying.forget if forget else ferrying.bring)(client, self._cell.folder)

    def _go_on(self, client: Client) -> None:
        recorded = 0.0
        while True:
            # Workers get their next trial before the store is written, and work meanwhile.
            self._fill()
            now = time.monotonic()
            if now - recorded >= _TOGETHER or not self._flight.running:
                recorded = now
                self._record()
                self._tell()
            if not self._flight.running:
                return
            self._hear()
            self._check(client)
            self._look()

    def _record(self) -> None:
        """Make durable what happened since the last time."""
        # An interrupt between the commit and the next line would have it recorded twice.
        with deferred() as interrupted:
            self.journal.record(self._started_now, self._ended_now, self._dropped_now)
            self._started_now, self._ended_now, self._dropped_now = [], [], []
        if interrupted.is_set():
            raise KeyboardInterrupt

    def _fill(self) -> None:
        """Ask for and submit as many trials as there is room for."""
        recent = self._seconds[-20:]
        ahead = sum(recent) <= _LONG * len(recent)
        short = bool(recent) and max(recent) < _SHORT
        while not self.state.why and self._flight.takes(self._workers, ahead, short):
            if self.state.again:
                one = self.state.again.pop(0)
                one.attempt += 1
                if one.attempt > ATTEMPTS:
                    reason = f"what it ran on was lost {ATTEMPTS} times"
                    self._take(one, Outcome(one.id, "failed", params=one.params, error=reason))
                    continue
            else:
                self.state.why = self._reason_to_stop()
                if self.state.why:
                    break
                asked = self.search.ask()
                if asked is None:
                    break  # the first trial will tell what there is to search
                one = Started(asked.number, asked.params, asked.seed)
            self._flight.submit(one, self.state.best.threshold, short)
            self._started_now.append(one)

    def _reason_to_stop(self) -> str:
        done = self.state.counts["finished"] + self.state.counts["pruned"]
        if not done and self.state.counts["failed"] >= min(_HOPELESS, self.plan["trials"]):
            return "every trial failed"
        return self.search.stop_reason(self._elapsed(), self.state.cpu) or ""

    def _elapsed(self) -> float:
        """Seconds that the experiment has run, in all its attempts."""
        self.state.seconds = self._before + time.monotonic() - self._started
        return self.state.seconds

    def _hear(self) -> None:
        """Wait for news, and take all there is."""
        done: list[str] = []
        pending = self._started_now or self._ended_now
        for kind, news in self._flight.news(_TOGETHER if pending else _TICK):
            if kind == "done":
                done.append(news)
            else:
                self._consider(news)
        for begun, outcome in self._flight.settle(done):
            self._take(begun, outcome)

    def _consider(self, news: dict[str, Any]) -> None:
        held = self._flight.running.get(news["trial"])
        if held is None or self.plan.get("pruner", "none") == "none":
            return
        if self.search.should_prune(held.number, news["step"], news["value"]):
            self._flight.command([news["trial"]], "prune")

    def _check(self, client: Client) -> None:
        now = time.monotonic()
        if client.status != "running":
            raise self._lost()
        if now - self._checked < 2.0:
            return
        self._checked = now
        workers = client.scheduler_info(n_workers=-1)["workers"]
        self._workers = max(1, len(workers))
        self._occupancy.heard(workers)
        self._occupancy.keep(self._busy(), self._flight.where)
        if not self.cluster.alive():
            raise self._lost()
        self._flight.even_out()

    def _lost(self) -> ClusterLost:
        self._record()
        self.state.again += self._flight.abandon()
        return ClusterLost()

    def _take(self, begun: Started, outcome: Outcome) -> None:
        """Count a trial that ended, tell the search of it, and keep its model or not."""
        self._tell_search(begun, outcome)
        self._ended_now.append((begun, outcome))
        self.state.counts[outcome.status] += 1
        self._seconds.append(outcome.seconds)
        self.state.cpu += outcome.usage.get("cpu_seconds", 0.0)
        self.state.notes.update(outcome.notes)
        if outcome.status == "failed":
            self.state.reasons[outcome.error] += 1
        if outcome.status != "finished" or not outcome.keeps(self._cell.constraints):
            return
        goals = self.plan["goals"]
        value, sign = outcome.metrics[goals[0]["metric"]], -1 if goals[0]["maximize"] else 1
        if self.state.top is None or sign * value < sign * self.state.top[0]:
            self.state.top = value, begun.number, outcome.params
        if outcome.content is None:
            return
        dropped = self.state.best.add(outcome.id, sign * value)
        if outcome.id in dropped:
            outcome.content = outcome.rows = None
            outcome.model, outcome.validation = {}, {}
            dropped.remove(outcome.id)
        self._dropped_now += dropped

    def _tell_search(self, begun: Started, outcome: Outcome) -> None:
        """Let the search learn from a trial; one that it can't search by has failed."""
        if outcome.status == "interrupted":
            return  # it will be begun again, as if it never had been
        values = [outcome.metrics.get(goal["metric"]) for goal in self.plan["goals"]]
        known = [value for value in values if value is not None]
        limits = [outcome.metrics.get(name, float("inf")) for name in self._cell.constraints]
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
            # The parameters can't be searched as they are asked for; no other trial's can.
            outcome.status, outcome.error = "failed", error.sentence
            outcome.content = outcome.rows = None
            outcome.model, outcome.validation = {}, {}
            self.state.why = outcome.error

    def _look(self) -> None:
        """Do what people asked for meanwhile."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        wishes = self.journal.wishes()
        for params in wishes.queue:
            self.search.enqueue(params)
        self._to_stop.update(wishes.stops)
        for begun in list(self._flight.running.values()):
            # One that waits for its worker is told once it has begun.
            if begun.number in self._to_stop and begun.id in self._flight.where:
                self._to_stop.discard(begun.number)
                self._flight.sentence(begun.id, "stopped", "it was stopped by a person")
        limit = self.plan.get("trial_timeout")
        for trial in self._flight.older(limit) if limit else ():
            reason = f"it took longer than the {limit:g} s that a trial may take"
            self._flight.sentence(trial, "failed", reason)
        for begun, outcome in self._flight.carry_out():
            self._take(begun, outcome)
        if wishes.stop and self.state.why != "it was stopped":
            self.state.why = "it was stopped"
            self._stop("stopped")

    def _stop(self, status: str) -> None:
        """End what runs, and record all that has ended."""
        self._record()
        for begun, outcome in self._flight.stop(status):
            self._take(begun, outcome)
        self._record()

    def _busy(self) -> dict[str, int]:
        """Numbers of the trials that run, by the worker that each was heard to begin on."""
        where = self._flight.where
        return {where[one]: begun.number for one, begun in self._flight.running.items()
                if one in where}  # fmt: skip

    def _tell(self) -> None:
        if self.progress is None:
            return
        seconds, counts = self._elapsed(), self.state.counts
        ended = sum(counts.values())
        total: int | None = self.plan["trials"]
        rate = ended / seconds if seconds else 0.0
        value, number, params = self.state.top or (None, None, {})
        busy = self._busy()
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
                workers=self._occupancy.workers(busy),
                cluster=self._occupancy.cluster,
            )
        )
