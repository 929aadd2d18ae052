"""Several requests at a time, which an interrupt ends at once.

A thread pool waits for its threads when it is left, and they for a server that has stopped
answering: an interrupt must cancel what they wait for, and must itself be noticed while waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

__all__ = ["Abandoned", "result_of", "together", "workers"]

#: Seconds. Where system calls go on after a signal, as they do once polars is imported, Python
#: hears of an interrupt only when a wait is over.
_STEP: Final = 0.2
T = TypeVar("T")


class Abandoned(Protocol):
    """What can be told that nobody waits for its answers any more."""

    def abandon(self) -> None:
        """End every request."""


@contextmanager
def workers(asked: Abandoned, number: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that ask for something; an interrupt ends what they ask for.

    Parameters
    ----------
    asked : Abandoned
        Whom they ask, such as a `Store`.
    number : int
        How many threads.

    Examples
    --------
    >>> with workers(store, 4) as pool:                # doctest: +SKIP
    ...     task = pool.submit(store.look, "bucket/a")
    ...     found = result_of(task)
    """
    pool = ThreadPoolExecutor(max(1, number))
    try:
        yield pool
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        asked.abandon()
        raise
    finally:
        pool.shutdown()


def result_of(task: Future[T]) -> T:
    """What a task gives, once it does; an interrupt is noticed meanwhile."""
    while not task.done():
        wait([task], _STEP)
    return task.result()


def together(
    asked: Abandoned, number: int, call: Callable[..., T], *values: Iterable[Any]
) -> list[T]:
    """Call a function with each of some values, several at a time; the results in their order.

    Examples
    --------
    >>> together(store, 16, store.look, ["bucket/a", "bucket/b"])  # doctest: +SKIP
    """
    with workers(asked, number) as pool:
        tasks = [pool.submit(call, *one) for one in zip(*values, strict=True)]
        return [result_of(task) for task in tasks]
