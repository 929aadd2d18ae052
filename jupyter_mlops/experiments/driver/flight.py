"""Trials that are on a cluster: submitted, heard of, settled, or stopped."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.experiments.driver.blame import Blame
from jupyter_mlops.experiments.driver.journal import Started
from jupyter_mlops.experiments.driver.signals import Command, command, topic
from jupyter_mlops.experiments.driver.trial import Given, Outcome, run_on_worker

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["ATTEMPTS", "Ended", "Flight"]

Ended = tuple[Started, Outcome]

#: A trial that was begun this often and never ended isn't begun again.
ATTEMPTS: Final = 4
#: Seconds a trial has to end once it was told to stop, before its worker is ended.
_GRACE: Final = 1.0
#: Seconds for a worker to take a command.
_ANSWER: Final = 1.0


class Flight:
    """What runs on a cluster for one experiment.

    Parameters
    ----------
    client : distributed.Client
    given : Given
        What all trials have in common.

    Attributes
    ----------
    running : dict of str to Started
        Trials that were submitted and aren't settled.
    where : dict of str to str
        The worker that each was heard to begin on.
    """

    def __init__(self, client: Client, given: Given) -> None:
        self.client = client
        self.running: dict[str, Started] = {}
        self.where: dict[str, str] = {}
        self._given = given
        self._futures: dict[str, Future] = {}
        self._threshold: float | None = None
        self._messages: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._outcomes: dict[str, Outcome] = {}
        self._blame = Blame()
        self._submissions = 0
        self._answered: set[str] = set()

    def submit(self, one: Started, threshold: float | None) -> None:
        """Hand a trial to the cluster; its model is wanted when its loss is below `threshold`."""
        self._threshold = threshold
        given = replace(
            self._given,
            id=one.id,
            number=one.number,
            attempt=one.attempt,
            seed=one.seed,
            params=one.params,
            keep_below=threshold,
            suspect=one.id in self._blame.suspects,
        )
        self._submissions += 1
        self._blame.forget(one.id)
        self.where.pop(one.id, None)
        future = self.client.submit(
            run_on_worker,
            given,
            key=f"trial-{one.id}-{self._submissions}",
            pure=False,
            priority=-one.number,
        )
        self.running[one.id], self._futures[one.id] = one, future
        future.add_done_callback(lambda _, trial=one.id: self._messages.put(("done", trial)))

    def heard(self, event: tuple[float, dict[str, Any]]) -> None:
        """Take a message of a trial's; called in the client's own thread."""
        self._messages.put(("told", event[1]))

    def news(self, timeout: float) -> Iterator[tuple[str, Any]]:
        """Wait for news and yield all there is: ``("done", trial)`` and ``("report", message)``."""
        for kind, news in self._received(timeout):
            if kind == "done":
                yield kind, news
            elif news["kind"] == "started":
                self.where[news["trial"]] = news["worker"]
                self._blame.began(news["trial"], news["worker"])
            elif news["kind"] == "here":
                self._answered.add(news["worker"])
            elif news["kind"] == "ended":
                # From a worker of our own, as its result would be.
                self._outcomes[news["trial"]] = pickle.loads(news["outcome"])  # noqa: S301
            else:
                yield "report", news

    def _received(self, timeout: float) -> Iterator[tuple[str, Any]]:
        with contextlib.suppress(Empty):
            yield self._messages.get(timeout=timeout)
            while True:
                yield self._messages.get_nowait()

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
        ready = [trial for trial in done if trial in self.running]
        # One that was heard to end has, whatever became of its worker since.
        fine = [
            one for one in ready if one in self._outcomes or self._futures[one].status == "finished"
        ]
        outcomes = self._gathered(fine)
        guilty = self._guilty([one for one in ready if one not in fine])
        ended: list[Ended] = []
        for trial in ready:
            begun, future = self.running[trial], self._futures[trial]
            outcome = outcomes.get(trial)
            if outcome is None and trial not in fine:
                outcome = _died(begun, future, trial in guilty)
            if outcome is None:
                if self.client.status == "running":
                    self.submit(begun, self._threshold)
                continue  # otherwise the whole cluster is lost, and this trial with it
            self._forget(trial)
            ended.append((begun, outcome))
        return ended

    def _gathered(self, trials: list[str]) -> dict[str, Outcome]:
        found = {one: self._outcomes.pop(one) for one in trials if one in self._outcomes}
        large = [self._futures[one] for one in trials if one not in found]
        if large:
            found |= {one.id: one for one in self.client.gather(large, errors="skip")}
        return found

    def _guilty(self, failed: list[str]) -> set[str]:
        """Those of the trials whose worker died that it died of."""
        killed: dict[str, str] = {}
        for trial in failed:
            if self._futures[trial].status != "error":
                continue
            worker = getattr(self._futures[trial].exception(), "last_worker", None)
            if worker is not None:
                killed[trial] = str(worker.address)
        return self._blame.guilty(killed)

    def _forget(self, trial: str) -> None:
        self._blame.forget(trial)
        self.where.pop(trial, None)
        del self.running[trial]
        self._futures.pop(trial).release()

    def abandon(self) -> list[Started]:
        """Give up what runs on a cluster that is gone; return it."""
        left = list(self.running.values())
        self.running.clear()
        self._futures.clear()
        return left

    def stop(self, status: str) -> list[Ended]:
        """End what runs within seconds; a trial that won't hear loses its worker.

        Returns
        -------
        list of (Started, Outcome)
            Those that finished meanwhile as they are, all others with `status`.
        """
        waiting = [self._futures[one] for one in self.running if one not in self.where]
        asked: set[str] = set()
        # Whatever Dask raises here, the cluster is on its way out, and the trials with it.
        with contextlib.suppress(Exception):
            asked = self._placed(waiting)
            self.client.cancel(waiting, force=True)
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
            fine = [
                one for one in done & self.running.keys() if self._futures[one].status == "finished"
            ]
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

    def _placed(self, futures: Collection[Future]) -> set[str]:
        """Workers that have tasks which weren't heard to begin.

        One of them may have begun: a trial that keeps Python's lock from its first instruction on
        lets its worker say nothing at all.
        """
        keys = {one.key for one in futures}
        found = self.client.processing()
        return {worker for worker, held in found.items() if keys & set(held)}

    def _busy(self, trial: str) -> bool:
        """Whether a worker still runs a trial, as far as is known."""
        return trial in self.where and self._futures[trial].status not in {"error", "lost"}

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


def _died(begun: Started, future: Future, guilty: bool) -> Outcome | None:
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
        limit = getattr(getattr(error, "last_worker", None), "memory_limit", 0)
        if limit:
            reason += f" (it had {limit / 1e9:.1f} GB; fewer --workers leave each more)"
    else:
        reason = f"{type(error).__name__}: {error}"[:500]
    return Outcome(begun.id, "failed", params=begun.params, error=reason)
