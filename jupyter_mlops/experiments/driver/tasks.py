"""The tasks by which trials get to a cluster's workers, one trial each or several in turn."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.experiments.driver.lines import Lines, Way
from jupyter_mlops.experiments.driver.trial import Given
from jupyter_mlops.experiments.driver.turn import take_turn

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["Task", "Tasks"]

#: Seconds in which a worker's turn is handed further trials; others wait for it, too.
_TURN: Final = 1.0
#: Trials that a worker has in its turn, so that it needn't wait for the next.
_HANDED: Final = 2
#: Seconds after the end of a task in which the last of its line is heard.
_LAST: Final = 0.5


@dataclass(eq=False)
class Task:
    """A task of Dask's, and the trials that a worker is to run in it, those that ended left out.

    Attributes
    ----------
    several : bool
        Further trials may be handed to it.
    worker : str
        Where it was heard to begin; empty before.
    line : bool or None
        Whether there is one; None where it may come yet.
    """

    key: str
    future: Future
    several: bool
    trials: list[str] = field(default_factory=list)
    worker: str = ""
    begun: float = 0.0
    done: float | None = None
    line: bool | None = False
    followed: bool = False

    def goes_on(self, now: float) -> bool:
        """Whether further trials can be handed to it, now or once it has begun."""
        if not self.several or self.done is not None:
            return False
        return not self.worker or (self.line is True and now - self.begun < _TURN)


class Tasks:
    """All tasks of one experiment on one cluster, and what is heard from there.

    Parameters
    ----------
    client : distributed.Client
    given : Given
        What all trials have in common.
    near : bool
        Whether workers are on this machine, and may be talked to straight.
    """

    def __init__(self, client: Client, given: Given, near: bool) -> None:
        self._client, self._given = client, given
        self._tasks: dict[str, Task] = {}
        self._of: dict[str, Task] = {}
        self._heard: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._lines = Lines.opened(self.hear) if near else None
        self._submissions = 0

    def hear(self, kind: str, news: Any) -> None:
        """Take news, in any thread."""
        self._heard.put((kind, news))

    def of(self, trial: str) -> Task:
        """The task that a running trial belongs to."""
        return self._of[trial]

    def takes(self, workers: int) -> bool:
        """Whether a short trial would begin without waiting for more than one other."""
        if self._lines is None or self._free() is not None:
            return True
        now = time.monotonic()
        return sum(one.goes_on(now) for one in self._tasks.values()) < workers

    def _free(self) -> Task | None:
        """The task under way with the fewest trials, of those that can be handed one."""
        now = time.monotonic()
        found = [one for one in self._tasks.values()
                 if one.line and one.goes_on(now) and len(one.trials) < _HANDED]  # fmt: skip
        return min(found, key=lambda one: len(one.trials), default=None)

    def hand(self, trial: str, changes: Mapping[str, Any], several: bool, worker: str = "") -> None:
        """Hand a trial to the cluster.

        Parameters
        ----------
        trial : str
        changes : mapping
            How it differs from what all trials have in common.
        several : bool
            It may be handed to a task under way, and further ones to the task made for it.
        worker : str
            Where it had best run.
        """
        task = self._free() if several and self._lines is not None else None
        if task is None or self._lines is None or not self._lines.send(task.key, dict(changes)):
            task = self._submit(trial, changes, several, worker)
        self.leave(trial)
        task.trials.append(trial)
        self._of[trial] = task

    def _submit(self, trial: str, changes: Mapping[str, Any], several: bool, worker: str) -> Task:
        self._submissions += 1
        key = f"trial-{trial}-{self._submissions}"
        way = None
        if self._lines is not None:
            way = Way(self._lines.address, key, _TURN if several else 0.0)
        ending = self._ending() if several else None
        # Where a turn is about to end, unless that worker is gone by then.
        worker = worker or (ending.worker if ending else "")
        future = self._client.submit(
            take_turn,
            replace(self._given, **changes),
            way,
            key=key,
            pure=False,
            priority=-changes["number"],
            workers=[worker] if worker else None,
            allow_other_workers=bool(worker),
        )
        near = way is not None
        task = self._tasks[key] = Task(key, future, several and near, line=None if near else False)
        future.add_done_callback(lambda _: self.hear("ran", key))
        return task

    def _ending(self) -> Task | None:
        """A turn that is handed no more, and that no other follows yet."""
        now = time.monotonic()
        for task in self._tasks.values():
            if task.line and not task.followed and not task.goes_on(now):
                task.followed = True
                return task
        return None

    def news(self, timeout: float) -> Iterator[tuple[str, Any]]:
        """Wait for news and yield all there is.

        ``("told", message)`` of a worker, and ``("over", trial)`` for each trial whose task has
        ended before the trial was heard to.
        """
        for kind, news in self._received(timeout):
            if kind == "told":
                if news["kind"] == "started" and news["trial"] in self._of:
                    self._began(self._of[news["trial"]], news["worker"]).line = False
                yield kind, news
                continue
            if kind == "line":
                turn, news = news
                task = self._tasks.get(turn)
                if news["kind"] == "started":
                    if task is None or self._of.get(news["trial"]) is not task:
                        continue  # it was begun again elsewhere
                    self._began(task, news["worker"])
                yield "told", news
                continue
            task = self._tasks.get(news)
            if task is None:
                continue
            if kind == "ran":
                task.done = time.monotonic()
            else:
                task.line = kind == "open"
            if task.done is not None and task.line is False:
                yield from self._over(task)
        late = time.monotonic() - _LAST
        # Nobody called, or somebody whom a trial started holds its line.
        for task in [one for one in self._tasks.values() if one.done and one.done < late]:
            yield from self._over(task)

    @staticmethod
    def _began(task: Task, worker: str) -> Task:
        task.worker, task.begun = worker, task.begun or time.monotonic()
        return task

    def _received(self, timeout: float) -> Iterator[tuple[str, Any]]:
        try:
            yield self._heard.get(timeout=timeout)
            while True:
                yield self._heard.get_nowait()
        except Empty:
            return

    def _over(self, task: Task) -> Iterator[tuple[str, Any]]:
        if self._tasks.pop(task.key, None) is not None and not task.trials:
            task.future.release()
        for trial in list(task.trials):
            yield "over", trial

    def leave(self, trial: str) -> None:
        """Take a trial that ended, or that begins anew, out of its task."""
        task = self._of.pop(trial, None)
        if task is None:
            return
        task.trials.remove(trial)
        if not task.trials and (task.done is not None or not task.line):
            # On a line, another may be handed to it, and it isn't released while it runs.
            self._tasks.pop(task.key, None)
            task.future.release()

    def halt(self, waiting: Collection[str]) -> set[str]:
        """Have no further trial begin.

        Parameters
        ----------
        waiting : collection of str
            Trials that weren't heard to begin.

        Returns
        -------
        set of str
            Workers that have some of them. One may have begun: a trial that keeps Python's lock
            from its first instruction on lets its worker say nothing at all.
        """
        if self._lines is not None:
            self._lines.halt()
        tasks = {self._of[one] for one in waiting}
        found = {one.worker for one in tasks if one.worker}
        unheard = [one.future for one in tasks if not one.worker]
        keys = {one.key for one in unheard}
        placed = self._client.processing() if keys else {}
        found |= {worker for worker, held in placed.items() if keys & set(held)}
        if unheard:
            self._client.cancel(unheard, force=True)
        return found

    def clear(self) -> None:
        """Forget all of them."""
        self._tasks.clear()
        self._of.clear()

    def close(self) -> None:
        """Hear no more."""
        if self._lines is not None:
            self._lines.close()
