"""References: the one way in which records point at each other and people point at records."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = ["KINDS", "NAME", "Reference", "check_name"]

KINDS = (
    "data",
    "profile",
    "contract",
    "run",
    "cell",
    "model",
    "endpoint",
    "prediction",
    "report",
    "drift",
    "skew",
    "label",
    "env",
    "experiment",
    "cluster",
    "gpu",
    "stream",
    "policy",
    "decision",
    "monitor",
    "alert",
    "channel",
    "workspace",
    "agent",
)

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}")


def check_name(name: str, noun: str) -> str:
    """Return `name` if it can name a record, else raise `Invalid`.

    Names are 1–128 letters, digits, ``_``, ``.`` or ``-``, so that they fit a
    reference, a URL and a file name alike.
    """
    if not NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} can't name a {noun}",
            fix="use letters, digits, '_', '.' and '-' only, 128 at the most",
            code="E-REF-001",
        )
    return name


@dataclass(frozen=True)
class Reference:
    """A pointer such as ``data:flights@3``, ``run:1f3c`` or ``model:delay@champion``.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    name : str
        The record's name or id.
    version : str, optional
        A version number (digits) or an alias.

    Examples
    --------
    >>> Reference.parse("model:delay@champion")
    Reference(kind='model', name='delay', version='champion')
    >>> str(Reference.parse("flights@3", kind="data"))
    'data:flights@3'
    """

    kind: str
    name: str
    version: str | None = None

    @classmethod
    def parse(cls, text: str, kind: str | None = None) -> Reference:
        """Read a reference; a bare name means a record of `kind`."""
        head, colon, tail = text.strip().partition(":")
        found, rest = (head, tail) if colon else (kind, head)
        if found is None:
            raise Invalid(
                f"{text!r} doesn't say what it refers to",
                fix="write kind:name, e.g. data:flights@3 or run:1f3c",
                code="E-REF-002",
            )
        if found not in KINDS:
            raise Invalid(
                f"{found!r} is no kind of record",
                f"the kinds are {', '.join(KINDS)}",
                closest(found, KINDS),
                code="E-REF-003",
            )
        if kind is not None and found != kind:
            raise Invalid(
                f"{text!r} refers to a {found} where a {kind} is expected",
                fix=f"write {kind}:NAME or the bare name",
                code="E-REF-004",
            )
        name, at, version = rest.partition("@")
        check_name(name, found)
        if at:
            check_name(version, "version or alias")
        return cls(found, name, version if at else None)

    @property
    def number(self) -> int | None:
        """The version as a number, or None for an alias or no version."""
        return int(self.version) if self.version is not None and self.version.isdigit() else None

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" + (f"@{self.version}" if self.version else "")
