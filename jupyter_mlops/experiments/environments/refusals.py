"""What uv writes when it fails, made into one sentence."""

from __future__ import annotations

import re
from typing import Final

from jupyter_mlops.workspace import Conflict, Denied, Invalid, MLOpsError, NotFound, Unavailable

__all__ = ["explain", "masked", "missing_package", "premises"]

LONGEST: Final = 700
_FRAME: Final = re.compile(r"[×╰─▶│├]+")
_DERIVED: Final = re.compile(r"[Bb]ecause (.+?), we can conclude that (.+?)\.(?=\s|$)")
_MARKER: Final = re.compile(r"\{[^{}]*\}")
_ONLY: Final = re.compile(r"only [\w.-]+(?:==\S+)? is available and ")
_SECRET: Final = re.compile(r"(?<=://)[^/@\s]+@")
_ABSENT: Final = re.compile(
    r"there is no version of ([\w.-]+)==(\S+)|([\w.-]+) was not found in the package registry"
)
_NETWORK: Final = re.compile(
    r"dns error|error sending request|tcp connect error|connection refused|timed? ?out"
    r"|network is unreachable|failed to lookup address|tls handshake",
    re.IGNORECASE,
)
_CLOSED: Final = re.compile(r"401 Unauthorized|403 Forbidden")
_UNCACHED: Final = re.compile(
    r"not found in the cache|network (?:was|connectivity is) disabled|needs to be downloaded from"
)
_INCLUDED: Final = re.compile(r"Error parsing included file in `[^`]*` at position \d+: ")


def explain(complaint: str, name: str, *, offline: bool = False) -> MLOpsError:
    """The error that tells why an environment can't be made.

    Parameters
    ----------
    complaint : str
        uv's standard error.
    name : str
        The environment's.
    offline : bool
        Whether uv was kept from the network.

    Examples
    --------
    >>> told = "Because a depends on b>2 and you require b<2, we can conclude that it fails."
    >>> explain(f"error: No solution found: {told}", "tiny").why
    'a depends on b>2 and you require b<2'
    """
    text = masked(_flat(complaint))
    if offline and _UNCACHED.search(text.lower()):
        return Unavailable(
            f"{name!r} can't be made from what uv has in its cache",
            _short("; ".join(premises(text)) or _last(complaint)),
            "leave --offline out once",
            code="E-ENV-002",
        )
    closed = _CLOSED.search(" ".join(masked(complaint).split()))
    if closed is not None:
        return Denied(
            f"the packages of {name!r} can't be fetched",
            f"the package index says {closed[0]}",
            "give its name and password in --index-url, in a netrc file or by `uv auth login`",
            code="E-ENV-027",
        )
    absent = missing_package(complaint)
    if "No solution found" in text and absent is not None:
        gone = "==".join(part for part in absent if part)
        return NotFound(
            f"{name!r} can't have {gone}",
            "the package index has no such thing",
            "correct its name or version, or say in the requirements which --index-url has it",
            code="E-ENV-026",
        )
    if "No solution found" in text:
        return Conflict(
            f"the packages of {name!r} don't go together",
            _short(", and ".join(_few(premises(text))) or _last(complaint)),
            "change one of these requirements",
            code="E-ENV-003",
        )
    if _NETWORK.search(text):
        return Unavailable(
            f"the packages of {name!r} can't be fetched",
            f"the package index doesn't answer ({_short(_last(complaint))})",
            "check the network; --offline makes it of packages that uv has in its cache",
            code="E-ENV-004",
        )
    if "parse" in text and "requirement" in text:
        return Invalid(
            f"the requirements of {name!r} can't be read", _short(_causes(complaint)),
            code="E-ENV-005",
        )  # fmt: skip
    return Unavailable(f"uv can't make {name!r}", _short(_causes(complaint)), code="E-ENV-006")


def premises(text: str) -> list[str]:
    """What uv's conclusion rests on, as clauses without versions of Python in braces."""
    return [
        _ONLY.sub("", _MARKER.sub("", found[1])).strip() for found in _DERIVED.finditer(_flat(text))
    ]


def missing_package(complaint: str) -> tuple[str, str] | None:
    """The package that no index has, as name and version, when that is the reason alone."""
    text = _flat(complaint)
    found = _ABSENT.search(text)
    if found is None or len(_DERIVED.findall(text)) > 1 or "not found in the cache" in text:
        return None
    return (found[1], found[2].rstrip(",")) if found[1] else (found[3], "")


def masked(text: str) -> str:
    """The text without names and passwords in URLs."""
    return _SECRET.sub("***@", text)


def _flat(text: str) -> str:
    return " ".join(_FRAME.sub(" ", text.partition("\nhint:")[0]).split())


def _few(clauses: list[str]) -> list[str]:
    """A long chain's first links and its end."""
    return clauses if len(clauses) <= 3 else [*clauses[:2], "…", clauses[-1]]


def _causes(complaint: str) -> str:
    """What follows ``error:``, with its causes, in one line."""
    lines = masked(complaint).splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("error:")]
    told = lines[starts[-1] if starts else 0 :]
    told = [line for line in told if not line.strip().startswith(("hint:", "^"))]
    line = re.sub(r"\s*cause:\s*", ": ", _flat("\n".join(told)).removeprefix("error: "))
    return _INCLUDED.sub("", line)


def _last(complaint: str) -> str:
    lines = [line.strip() for line in masked(complaint).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("hint:")]
    return lines[-1].removeprefix("cause: ").removeprefix("error: ") if lines else ""


def _short(text: str) -> str:
    text = text.rstrip(". ")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
