"""Trials that are on a cluster: submitted, heard of, settled, or stopped."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.experiments.driver.blame import Blame
from jupyter_mlops.experiments.driver.journal import Started
from jupyter_mlops.experiments.driver.signals import Command, command, topic
from jupyter_mlops.experiments.driver.tasks import Tasks
from jupyter_mlops.experiments.driver.trial import Given, Outcome

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["ATTEMPTS", "Ended", "Flight"]

Ended = tuple[Started, Outcome]

#: A trial that was begun this often and never ended isn't begun again.
ATTEMPTS: Final = 4
#: Seconds a trial has to end once it was told to stop, before its worker is ended.
_GRACE: Final = 1.0
#: The same for one trial among others that go on: to begin a worker anew costs them a second or so.
_PATIENCE: Final = 5.0
#: Seconds for a worker to take a command.
_ANSWER: Final = 1.0


@dataclass
class _Sentence:
    """That a trial is to end: since when, as what, and why."""

    since: float
    status: str
    reason: str


class Flight:
    """What runs on a cluster for one experiment.

    Parameters
    ----------
    client : distributed.Client
    given : Given
        What all trials have in common.
    near : bool
        Whether its workers are on this machine.

    Attributes
    ----------
    running : dict of str to Started
        Trials that were submitted and aren't settled.
    where : dict of str to str
        The worker that each was heard to begin on.
    """

    def __init__(self, client: Client, given: Given, near: bool = False) -> None:
        self.client = client
        self.running: dict[str, Started] = {}
        self.where: dict[str, str] = {}
        self._given = given
        self._tasks = Tasks(client, given, near)
        self._threshold: float | None = None
        self._outcomes: dict[str, Outcome] = {}
        self._blame = Blame()
        self._answered: set[str] = set()
        self._since: dict[str, float] = {}
        self._sentences: dict[str, _Sentence] = {}
        self._waited: set[str] = set()
        self._idle: set[str] = set()
        self._moved: set[str] = set()

    def close(self) -> None:
        """Hear no more of it."""
        self._tasks.close()

    def takes(self, workers: int, ahead: bool, short: bool) -> bool:
        """Whether there is a place for another trial.

        Parameters
        ----------
        workers : int
        ahead : bool
            One may wait beside each that runs.
        short : bool
            They are so short that a worker may be handed several.
        """
        if len(self.running) >= (2 if ahead else 1) * workers:
            return False
        return not short or self._tasks.takes(workers)

    def submit(
        self, one: Started, threshold: float | None, short: bool = False, worker: str = ""
    ) -> None:
        """Hand a trial to the cluster; its model is wanted when its loss is below `threshold`."""
        self._threshold = threshold
        suspect = one.id in self._blame.suspects
        self._blame.forget(one.id)
        self.where.pop(one.id, None)
        self._since.pop(one.id, None)
        changes = {
            "id": one.id,
            "number": one.number,
            "attempt": one.attempt,
            "seed": one.seed,
            "params": one.params,
            "keep_below": threshold,
            "suspect": suspect,
        }
        self._tasks.hand(one.id, changes, short and not suspect, worker)
        self.running[one.id] = one

    def heard(self, event: tuple[float, dict[str, Any]]) -> None:
        """Take a message of a trial's; called in the client's own thread."""
        self._tasks.hear("told", event[1])

    def news(self, timeout: float) -> Iterator[tuple[str, Any]]:
        """Wait for news and yield all there is: ``("done", trial)`` and ``("report", message)``."""
        for kind, news in self._tasks.news(timeout):
            if kind == "over":
                yield "done", news
            elif news["kind"] == "started":
                self.where[news["trial"]] = news["worker"]
                self._since[news["trial"]] = time.monotonic()
                self._blame.began(news["trial"], news["worker"])
            elif news["kind"] == "here":
                self._answered.add(news["worker"])
            elif news["kind"] == "ended":
                outcome = news["outcome"]
                if isinstance(outcome, Outcome):
                    # On the line, where the task may go on with others.
                    self._outcomes[news["trial"]] = outcome
                    yield "done", news["trial"]
                else:
                    # From a worker of our own, as its result would be.
                    self._outcomes[news["trial"]] = pickle.loads(outcome)  # noqa: S301
            else:
                yield "report", news

    def command(
        self, trials: Collection[str], wanted: Command, asked: Collection[str] = ()
    ) -> None:
        """Tell running trials what is wanted of them; workers that are `asked` answer it."""
        workers = sorted({self.where[one] for one in trials if one in self.where} | set(asked))
        if not workers:
            return
        # Heard by the others, a worker that hangs or is gone answers late or never.
        with contextlib.suppress(TimeoutError, OSError):
            self.client.run(
                command,
                list(trials),
                wanted,
                topic(self._given.experiment) if asked else None,
                workers=workers,
                wait=False,
                on_error="ignore",
                callback_timeout=_ANSWER,
            )

    def settle(self, done: list[str]) -> list[Ended]:
        """What became of trials that are done; those that were lost are submitted again."""
        # One may have been heard to end, and then its task, before it is settled.
        ready = [trial for trial in dict.fromkeys(done) if trial in self.running]
        # One that was heard to end has, whatever became of its worker since.
        fine = [one for one in ready if self._came_to_its_end(one)]
        outcomes = self._gathered(fine)
        guilty = self._guilty([one for one in ready if one not in fine])
        ended: list[Ended] = []
        for trial in ready:
            begun = self.running[trial]
            outcome = self._as_sentenced(trial, outcomes.get(trial))
            if outcome is None and trial not in fine:
                outcome = self._died(begun, trial in guilty)
            if outcome is None:
                if self.client.status == "running":
                    self.submit(begun, self._threshold)
                continue  # otherwise the whole cluster is lost, and this trial with it
            self._forget(trial)
            ended.append((begun, outcome))
        return ended

    def _came_to_its_end(self, trial: str) -> bool:
        return trial in self._outcomes or self._tasks.of(trial).future.status == "finished"

    def _gathered(self, trials: list[str]) -> dict[str, Outcome]:
        found = {one: self._outcomes.pop(one) for one in trials if one in self._outcomes}
        large = {self._tasks.of(one).future for one in trials if one not in found}
        if large:
            results = self.client.gather(list(large), errors="skip")
            # None where outcomes went on the line; what is left of those trials never began.
            found |= {one.id: one for one in results if one is not None}
        return found

    def _guilty(self, failed: list[str]) -> set[str]:
        """Those of the trials whose worker died that it died of."""
        killed: dict[str, str] = {}
        for trial in failed:
            future = self._tasks.of(trial).future
            if future.status != "error":
                continue
            worker = getattr(future.exception(), "last_worker", None)
            if worker is not None:
                killed[trial] = str(worker.address)
        return self._blame.guilty(killed)

    def _died(self, begun: Started, guilty: bool) -> Outcome | None:
        """What became of a trial whose task failed as a whole; None to run it again."""
        task = self._tasks.of(begun.id)
        if task.future.status in {"cancelled", "lost"}:
            return None
        error = task.future.exception()
        if type(error).__name__ == "KilledWorker":
            if not guilty:
                return None
            begun.attempt += 1
            if begun.attempt <= ATTEMPTS:
                return None
            begun.attempt = ATTEMPTS
            reason = f"its worker died {ATTEMPTS} times while it ran: killed, or out of memory"
            limit = getattr(getattr(error, "last_worker", None), "memory_limit", 0)
            if limit:
                reason += f" (it had {limit / 1e9:.1f} GB; fewer --workers leave each more)"
        elif task.worker and begun.id not in self.where:
            return None  # it waited in the turn of one that failed so
        else:
            reason = f"{type(error).__name__}: {error}"[:500]
        return Outcome(begun.id, "failed", params=begun.params, error=reason)

    def _forget(self, trial: str) -> None:
        self._blame.forget(trial)
        self.where.pop(trial, None)
        self._since.pop(trial, None)
        self._sentences.pop(trial, None)
        self._moved.discard(trial)
        del self.running[trial]
        self._tasks.leave(trial)

    def even_out(self) -> None:
        """Have trials that wait beside a worker that does nothing begin there; called regularly.

        Dask moves them by itself, unless the worker that it gave them to doesn't answer, as one
        whose trial keeps Python's lock. Each is moved once: it may be the one that does.
        """
        waiting = self.running.keys() - self.where.keys() - self._moved
        idle: set[str] = set()
        if waiting:
            try:
                held = self.client.sync(
                    self.client.scheduler.processing, workers=None, callback_timeout=_ANSWER
                )
            except (TimeoutError, OSError):
                return  # a scheduler that is busy is asked again, one that is gone is noticed
            idle = {worker for worker, keys in held.items() if not keys}
        # What has been so since the last time won't change by itself.
        stuck = [one for one in self.running if one in waiting & self._waited]
        for trial, worker in zip(stuck, sorted(idle & self._idle), strict=False):
            self.submit(self.running[trial], self._threshold, worker=worker)
            self._moved.add(trial)
        self._waited, self._idle = waiting, idle

    def older(self, seconds: float) -> list[str]:
        """Trials that have run for longer, and haven't been told to end."""
        late = time.monotonic() - seconds
        return [one for one, since in self._since.items()
                if since < late and one in self.running and one not in self._sentences]  # fmt: skip

    def sentence(self, trial: str, status: str, reason: str) -> None:
        """Tell a running trial to end; `carry_out` ends the worker of one that won't hear."""
        self._sentences[trial] = _Sentence(time.monotonic(), status, reason)
        self.command([trial], "stop")

    def carry_out(self) -> list[Ended]:
        """End the workers of trials that were told to end some seconds ago, and go on.

        Returns
        -------
        list of (Started, Outcome)
            These trials. A worker without a nanny can't be ended, and keeps computing.
        """
        late = time.monotonic() - _PATIENCE
        deaf = [one for one, found in self._sentences.items()
                if found.since < late and self._busy(one)]  # fmt: skip
        if not deaf:
            return []
        try:
            self._end({self.where[one] for one in deaf})
        except (TimeoutError, OSError):
            return []  # a scheduler that is busy is asked again, one that is gone is noticed
        ended: list[Ended] = []
        for trial in deaf:
            outcome = self._as_sentenced(trial, None)
            assert outcome is not None
            ended.append((self.running[trial], outcome))
            # With its task gone from the scheduler, it isn't begun on another worker.
            self._forget(trial)
        return ended

    def _as_sentenced(self, trial: str, outcome: Outcome | None) -> Outcome | None:
        """What a trial that was told to end counts as, unless it came to its own end before."""
        found = self._sentences.get(trial)
        if found is None or (outcome is not None and outcome.status != "stopped"):
            return outcome
        outcome = outcome or Outcome(trial, found.status, params=self.running[trial].params)
        outcome.status, outcome.error = found.status, found.reason
        return outcome

    def abandon(self) -> list[Started]:
        """Give up what runs on a cluster that is gone; return it."""
        left = list(self.running.values())
        self.running.clear()
        self._since.clear()
        self._sentences.clear()
        self._tasks.clear()
        return left

    def stop(self, status: str) -> list[Ended]:
        """End what runs within seconds; a trial that won't hear loses its worker.

        Returns
        -------
        list of (Started, Outcome)
            Those that finished meanwhile as they are, all others with `status`.
        """
        asked: set[str] = set()
        # Whatever Dask raises here, the cluster is on its way out, and the trials with it.
        with contextlib.suppress(Exception):
            asked = self._tasks.halt(self.running.keys() - self.where.keys())
        ended: list[Ended] = []
        told: set[str] = set()
        self._answered.clear()
        unasked = asked
        until = time.monotonic() + _GRACE
        while True:
            # A trial that was cancelled may have begun just before.
            untold = self.where.keys() & self.running.keys() - told
            with contextlib.suppress(Exception):
                self.command(untold, "stop", unasked)
            told |= untold
            unasked = set()
            done = {news for kind, news in self.news(0.1) if kind == "done"}
            fine = [one for one in done & self.running.keys() if self._came_to_its_end(one)]
            for trial, outcome in self._gathered(fine).items():
                ended.append((self.running[trial], outcome))
                self._forget(trial)
            # Who answers has either sent before that its trial began, or won't begin it.
            deaf = asked - self._answered
            deaf |= {self.where[one] for one in self.running if self._busy(one)}
            if not deaf or time.monotonic() > until:
                break
        with contextlib.suppress(Exception):
            self._end(deaf)
        for begun in self.abandon():
            ended.append((begun, Outcome(begun.id, status, params=begun.params)))
        for _, outcome in ended:
            if outcome.status == "stopped":
                outcome.status = status
        return ended

    def _busy(self, trial: str) -> bool:
        """Whether a worker still runs a trial, as far as is known."""
        return trial in self.where and self._tasks.of(trial).future.status not in {
            "error",
            "lost",
        }

    def _end(self, workers: set[str]) -> None:
        """End workers that run what hears nobody; their nannies start others."""
        known = self.client.scheduler_info(n_workers=-1)["workers"]
        busy = [one for one in workers if one in known and known[one]["nanny"]]
        if busy:
            # Not by Dask's restart: one that takes longer than it may isn't started again.
            self.client.run(_kill, workers=busy, nanny=True, callback_timeout=_ANSWER)


def _kill(dask_worker: Any) -> None:
    """In a nanny: end its worker at once, whatever that does."""
    os.kill(dask_worker.pid, signal.SIGKILL)
