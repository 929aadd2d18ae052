"""What an endpoint answers when it will not predict: one sentence, a code, never the data."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


class Refusal(Exception):
    """A request is answered with an error.

    Parameters
    ----------
    status : int
        HTTP status.
    code : str
        Stable code, ``E-SERVE-NNN``.
    message : str
        One sentence that names column, row, expected and found. It goes to the caller, so it
        never holds values of the request, paths or traces.

    Examples
    --------
    >>> Refusal(413, "E-SERVE-102", "the request holds 60,000 rows").status
    413
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def closest(name: str, known: Sequence[str]) -> str:
    """Return ``", did you mean 'x'?"`` for the closest known name, or nothing."""
    found = get_close_matches(name, known, n=1)
    return f", did you mean '{found[0]}'?" if found else ""


def quoted(name: object, limit: int = 60) -> str:
    """Return a column name in quotes, cut to `limit` characters: names come from strangers."""
    text = str(name)
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
