"""A twin of a process that waits, and goes on at once from the same place when that one is killed.

What a process has imported takes seconds to import again; a fork has it, and shares its pages.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["Standby", "keep"]


@dataclass(frozen=True)
class Standby:
    """The twin of this process.

    Attributes
    ----------
    pid : int
        Its process id.
    line : int
        File descriptor by which it learns of our end: no child may inherit it.
    """

    pid: int
    line: int

    def dismiss(self) -> None:
        """Let it end: this process ends because it wants to."""
        try:
            os.write(self.line, b"q")
        except BrokenPipeError:
            return  # it was killed
        finally:
            os.close(self.line)


def keep() -> Standby:
    """Fork a twin that waits; whenever the process at work is killed, its twin returns from here.

    Call it where a second process could go on just as well: without threads, and before
    anything is open that two processes can't share.

    Returns
    -------
    Standby
        The twin of the process that returns, which is the caller at first.

    Examples
    --------
    >>> twin = keep()  # doctest: +SKIP
    >>> work_until_told_to_stop()  # doctest: +SKIP
    >>> twin.dismiss()  # doctest: +SKIP
    """
    while True:
        ours, line = os.pipe()
        pid = os.fork()
        if pid:
            os.close(ours)
            return Standby(pid, line)
        os.close(line)
        told = os.read(ours, 1)
        os.close(ours)
        if told:
            os._exit(0)
