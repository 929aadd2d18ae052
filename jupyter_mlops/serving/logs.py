"""The last lines that an endpoint's processes wrote: the gateway's and the models' alike."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from jupyter_mlops.serving.endpoints import get
from jupyter_mlops.serving.places import log_path
from jupyter_mlops.workspace import Invalid, Result, Workspace

__all__ = ["EndpointLog", "read_log"]

MOST_LINES: Final = 2000
_BYTES: Final = 512 << 10
_WIDEST: Final = 2000
# Colours of terminals, and whatever else moves a cursor.
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")


@dataclass(frozen=True)
class EndpointLog(Result):
    """The end of an endpoint's log.

    Attributes
    ----------
    endpoint, path : str
    lines : tuple of str
        The newest last.
    earlier : bool
        Whether there is more before them.
    size : int
        Bytes of the whole log.
    written_at : datetime or None
        When the last line came; None when nothing was ever written.
    """

    endpoint: str
    path: str
    lines: tuple[str, ...]
    earlier: bool
    size: int
    written_at: datetime | None

    @property
    def ref(self) -> str:
        """``endpoint:name``."""
        return f"endpoint:{self.endpoint}"


def read_log(ws: Workspace, endpoint: str, lines: int = 200) -> EndpointLog:
    """Read the last lines of an endpoint's log.

    Its gateway and the processes of its models write to one file, restarts and all. However
    large that is, half a megabyte of it is read at most.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    lines : int
        How many, from 1 to 2,000.

    Raises
    ------
    NotFound
        There is no such endpoint.

    Examples
    --------
    >>> read_log(ws, "delay", 20).lines[-1]  # doctest: +SKIP
    'version 4 is withdrawn: 30 of its 100 requests failed, against 0 of 200'
    """
    if not 1 <= lines <= MOST_LINES:
        raise Invalid(
            f"{lines:,} lines of a log can't be shown",
            fix=f"choose from 1 to {MOST_LINES:,}",
            code="E-SERVE-046",
        )
    name = get(ws, endpoint).name
    path = log_path(ws, name)
    try:
        with path.open("rb") as stream:
            about = path.stat()
            start = max(0, about.st_size - _BYTES)
            stream.seek(start)
            text = stream.read(_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return EndpointLog(name, str(path), (), False, 0, None)
    found = [_clean(line) for line in text.split("\n")]
    if found and not found[-1]:
        found.pop()
    if start:
        del found[0]  # its beginning was not read
    written = datetime.fromtimestamp(about.st_mtime, UTC) if about.st_size else None
    earlier = start > 0 or len(found) > lines
    return EndpointLog(name, str(path), tuple(found[-lines:]), earlier, about.st_size, written)


def _clean(line: str) -> str:
    plain = _ESCAPES.sub("", line.rstrip("\r").rpartition("\r")[2])
    plain = "".join(one if one.isprintable() or one == "\t" else "�" for one in plain)
    return plain if len(plain) <= _WIDEST else plain[: _WIDEST - 1] + "…"
