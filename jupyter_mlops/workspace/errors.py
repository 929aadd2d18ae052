"""Errors that a person can act on: what was wrong, why, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

__all__ = [
    "Conflict",
    "Denied",
    "Invalid",
    "MLOpsError",
    "NotFound",
    "Unavailable",
    "about",
    "closest",
]


class MLOpsError(Exception):
    """One sentence for a person: what was wrong, why, and the way out.

    Parameters
    ----------
    what : str
        What went wrong and where, a clause without a final period.
    why : str, optional
        The reason or the evidence.
    fix : str, optional
        What to do about it.
    code : str
        A stable code, ``E-<ROOM>-<NNN>``; one code has one meaning.

    Attributes
    ----------
    fields : dict of str to str
        What is wrong with each thing that was filled in, by its name; mostly empty.

    Examples
    --------
    >>> error = NotFound("no dataset is called 'fligths'", fix="use flights", code="E-DATA-001")
    >>> str(error)
    "no dataset is called 'fligths': use flights [E-DATA-001]"
    """

    status: ClassVar[int] = 500

    def __init__(self, what: str, why: str = "", fix: str = "", *, code: str) -> None:
        super().__init__(what, why, fix)
        self.what = what
        self.why = why
        self.fix = fix
        self.code = code
        self.fields: dict[str, str] = {}

    @property
    def sentence(self) -> str:
        """All of it but the code."""
        reasons = "; ".join(part for part in (self.why, self.fix) if part)
        return f"{self.what}{': ' if reasons else ''}{reasons}"

    def __str__(self) -> str:
        return f"{self.sentence} [{self.code}]"

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions pickle by args alone, which would lose the keyword-only code.
        return (_rebuild, (type(self), self.what, self.why, self.fix, self.code))

    def as_dict(self) -> dict[str, Any]:
        """Return the error as the body of an HTTP answer."""
        told = {"code": self.code, "what": self.what, "why": self.why, "fix": self.fix}
        return {**told, "fields": self.fields} if self.fields else told

    def _render_traceback_(self) -> list[str]:
        # IPython and nbclient show (and keep) exactly these lines instead of a traceback.
        return [str(self)]


def _rebuild(kind: type[MLOpsError], what: str, why: str, fix: str, code: str) -> MLOpsError:
    return kind(what, why, fix, code=code)


class Invalid(MLOpsError):
    """What was asked for makes no sense as it stands."""

    status = 400


class Denied(MLOpsError):
    """It makes sense, but not for this person, or not in this safe mode."""

    status = 403


class NotFound(MLOpsError):
    """Nothing has that name."""

    status = 404


class Conflict(MLOpsError):
    """It collides with something that is there already."""

    status = 409


class Unavailable(MLOpsError):
    """A part that is needed does not answer: a disk, a database, a process."""

    status = 503


@contextmanager
def about(name: str) -> Iterator[None]:
    """Say of an error that is raised within which argument it is about.

    Examples
    --------
    >>> try:
    ...     with about("every"):
    ...         raise Invalid("'soon' is no length of time", fix="write 7d", code="E-X-001")
    ... except Invalid as error:
    ...     error.fields
    {'every': "'soon' is no length of time: write 7d"}
    """
    try:
        yield
    except MLOpsError as error:
        told = ": ".join(part for part in (error.what, error.fix or error.why) if part)
        error.fields.setdefault(name, told)
        raise


def closest(name: str, known: Iterable[str]) -> str:
    """Return a hint such as ``did you mean 'flights'?``, or an empty string.

    Examples
    --------
    >>> closest("fligths", ["flights", "weather"])
    "did you mean 'flights'?"
    """
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {match[0]!r}?" if match else ""
