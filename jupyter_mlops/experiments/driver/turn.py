"""A worker's turn: the trials that it runs as one task of Dask's, one after another."""

from __future__ import annotations

import os
import pickle
import random
import sys
import threading
import time
from dataclasses import replace
from functools import cache
from typing import Any, Final

from jupyter_mlops.experiments.driver.lines import Caller, Way
from jupyter_mlops.experiments.driver.signals import answered, topic
from jupyter_mlops.experiments.driver.trial import Given, Outcome, run

__all__ = ["take_turn"]

#: Bytes of an outcome that travels as a message.
_SMALL: Final = 1 << 15
#: Seconds within which a worker has sent what it was told to.
_FLUSH: Final = 0.02
#: Seeds, output and what is measured belong to a process: its trials run one after another,
#: however many threads a worker has.
_alone = threading.Lock()


def take_turn(given: Given, way: Way | None = None) -> Outcome | None:
    """Run a trial as a Dask task, and those that the driver hands over meanwhile.

    Parameters
    ----------
    given : Given
        The first trial.
    way : Way, optional
        To the driver, where it is on this machine.

    Returns
    -------
    Outcome or None
        The first trial's; None where all outcomes went on the line.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    place = topic(given.experiment)
    if not os.path.isdir(given.folder):  # noqa: PTH112  once a turn
        # Another machine, which it was brought to.
        from jupyter_mlops.experiments.driver.ferrying import carried_to

        given = replace(given, folder=str(carried_to(worker, given.folder)))
    _leave_random_alone()
    with _alone:
        if _cancelled(worker, key):
            return Outcome(given.id, "stopped")
        caller = None if way is None else Caller.reach(way, worker.address)
        if caller is None:
            return _told_by_dask(worker, place, given)
        with caller, answered(place, caller.tell):
            one: dict[str, Any] | None = {"id": given.id}
            while one is not None and not _cancelled(worker, key) and caller.begin(one):
                outcome = run(replace(given, **one), caller.tell)
                outcome.worker = worker.address
                caller.tell({"kind": "ended", "trial": outcome.id, "outcome": outcome})
                one = caller.next()
        return None


def _told_by_dask(worker: Any, place: str, given: Given) -> Outcome:
    def tell(message: dict[str, Any]) -> None:
        worker.log_event(place, message)

    tell({"kind": "started", "trial": given.id, "worker": worker.address, "pid": os.getpid()})
    if given.suspect:
        # Whatever it does to its worker, its start and the end of the one before are known.
        time.sleep(_FLUSH)
    outcome = run(given, tell)
    outcome.worker = worker.address
    content = pickle.dumps(outcome, 5)
    if len(content) <= _SMALL:
        # Sent ahead of the news that the task is done, it saves asking for the result.
        tell({"kind": "ended", "trial": given.id, "outcome": content})
    return outcome


def _cancelled(worker: Any, key: str) -> bool:
    task = worker.state.tasks.get(key)
    return task is None or task.state == "cancelled"


@cache
def _leave_random_alone() -> None:
    """Give Dask dice of its own: its threads draw from `random`'s while a trial does."""
    # The worker's other threads import meanwhile: a copy is made whole, an iteration isn't.
    for name, module in sys.modules.copy().items():
        theirs = name.startswith(("dask.", "distributed.", "tornado."))
        if theirs and getattr(module, "random", None) is random:
            module.random = random.Random()  # type: ignore[attr-defined]  # noqa: S311
