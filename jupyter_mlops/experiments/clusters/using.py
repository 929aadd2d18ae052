"""Whether anybody uses a cluster: seen in its scheduler, here or where that runs."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Final

__all__ = ["Use"]

#: Seconds between two questions to a scheduler elsewhere, and until it must have answered.
_ASK: Final = 2.0
_ANSWER: Final = 20.0
#: Seconds without an answer after which it counts as lost.
_LOST: Final = 120.0


class Use:
    """Whether a cluster computes, or did since the last look.

    Results that are only kept don't count: who forgets them in a notebook would hold it for ever.

    Parameters
    ----------
    cluster : distributed.deploy.Cluster
        One whose scheduler runs elsewhere is asked in a thread of its own.

    Attributes
    ----------
    lost : str
        Why its scheduler elsewhere is given up; empty as long as it answers.
    """

    def __init__(self, cluster: Any) -> None:
        scheduler: Any = getattr(cluster, "scheduler", None)
        self._scheduler = scheduler if hasattr(scheduler, "transition_counter") else None
        self._before = 0
        self._busy = True
        self.lost = ""
        if self._scheduler is None:
            threading.Thread(target=self._ask, args=(cluster,), daemon=True).start()

    def seen(self) -> bool:
        """Whether something was computed since the last call."""
        if self._scheduler is None:
            found, self._busy = self._busy, False
            return found
        return self._changed(*_state(self._scheduler))

    def _changed(self, transitions: int, busy: bool) -> bool:
        before, self._before = self._before, transitions
        return transitions != before or busy

    def _ask(self, cluster: Any) -> None:
        import cloudpickle

        # A scheduler elsewhere may have no jupyter-mlops.
        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        client: Any = None
        answered = time.monotonic()
        while not self.lost:
            try:
                client = client or cluster.get_client()
                told = client.sync(client._run_on_scheduler, _state, callback_timeout=_ANSWER)
                self._busy = self._changed(*told) or self._busy
                answered = time.monotonic()
            # What Dask, a gateway's client and the network raise has no class in common.
            except Exception as error:
                print(f"its scheduler doesn't say what it does: {error}", file=sys.stderr)
                if time.monotonic() - answered > _LOST:
                    self.lost = "its scheduler no longer answered"
            time.sleep(_ASK)


def _state(dask_scheduler: Any) -> tuple[int, bool]:
    """How many changes a scheduler has seen, and whether anything waits or runs there."""
    waits = bool(dask_scheduler.queued or dask_scheduler.unrunnable)
    runs = any(one.processing for one in list(dask_scheduler.workers.values()))
    return dask_scheduler.transition_counter, waits or runs
