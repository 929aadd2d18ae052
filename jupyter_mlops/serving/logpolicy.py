"""What an endpoint writes down of its traffic, and for how long."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Any, Final, Literal

from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = ["UNLOGGED", "LogMode", "LogPolicy"]

LogMode = Literal["required", "best-effort", "off"]
#: The end of the id of a prediction that isn't in the log, by which it is known for ever.
UNLOGGED: Final = "u"
_HASH: Final = "hash:"
_UNITS: Final = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_BYTES: Final = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_AGE: Final = re.compile(r"(\d{1,9})\s*([mhdwy])")
_SIZE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([kKMGT])i?B?")


@dataclass(frozen=True)
class LogPolicy:
    """What is logged, and how long it stays.

    Attributes
    ----------
    mode : {"required", "best-effort", "off"}
        Nothing is answered that cannot be logged; it is answered and counted; nothing is logged.
    dropped, hashed : tuple of str
        Columns that are never written, and those of which a keyed hash is written; ``caller``
        is who asked.
    sample : float
        Which share of the rows is logged, above 0 and up to 1.
    keep_seconds, keep_bytes : int
        Age and size beyond which the oldest is removed; 0 for no limit.

    Examples
    --------
    >>> LogPolicy().changed(redact=["name", "hash:email"], sample="10%", keep="90d").words()
    '10% of the rows, each before it is answered; without name; email as a hash; kept for 90 days'
    """

    mode: LogMode = "required"
    dropped: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    sample: float = 1.0
    keep_seconds: int = 0
    keep_bytes: int = 0

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> LogPolicy:
        """Read what `as_dict` wrote."""
        lists = {name: tuple(told[name]) for name in ("dropped", "hashed") if name in told}
        return cls(**{**told, **lists})

    def as_dict(self) -> dict[str, Any]:
        """What differs from the default, for JSON."""
        plain = asdict(LogPolicy())
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if value != plain[name]
        }

    def changed(
        self,
        mode: LogMode | None = None,
        redact: Sequence[str] | None = None,
        sample: str | float | None = None,
        keep: str | None = None,
    ) -> LogPolicy:
        """Return it with some parts declared anew.

        Parameters
        ----------
        mode : {"required", "best-effort", "off"}, optional
        redact : sequence of str, optional
            Columns to leave out, or to hash where they are written ``hash:NAME``; ``["off"]``
            for none.
        sample : str or float, optional
            Such as ``10%`` or 0.1.
        keep : str, optional
            Such as ``90d``, ``50GB`` or both, ``90d,50GB``; ``forever`` for no limit.

        Raises
        ------
        Invalid
            A part means nothing.
        """
        made = self if mode is None else replace(self, mode=mode)
        if redact is not None:
            names = [] if list(redact) == ["off"] else list(dict.fromkeys(redact))
            hashed = tuple(n.removeprefix(_HASH) for n in names if n.startswith(_HASH))
            dropped = tuple(n for n in names if not n.startswith(_HASH))
            made = replace(made, dropped=dropped, hashed=hashed)
        if sample is not None:
            made = replace(made, sample=_share(sample))
        if keep is not None:
            seconds, size = _limits(keep)
            made = replace(made, keep_seconds=seconds, keep_bytes=size)
        return made

    def check(
        self, columns: Sequence[str], key: str | None, time: str | None, *, names: bool
    ) -> None:
        """Refuse what could not be kept.

        Parameters
        ----------
        columns : sequence of str
            The model's.
        key, time : str, optional
            The endpoint's.
        names : bool
            Whether unknown columns are wrong, too: a version may lack a column that the one
            before had.

        Raises
        ------
        Invalid
        """
        both = sorted(set(self.dropped) & set(self.hashed))
        if both:
            raise Invalid(
                f"column {both[0]!r} can't be left out and hashed, too",
                fix=f"write {both[0]} or {_HASH}{both[0]}",
                code="E-SERVE-070",
            )
        if key in self.dropped:
            raise Invalid(
                f"column {key!r} is the endpoint's key and can't be left out of the log",
                "truth is joined by it",
                f"have it hashed, {_HASH}{key}, which joins as well",
                code="E-SERVE-071",
            )
        if time in self.hashed:
            raise Invalid(
                f"column {time!r} is the endpoint's time and can't be hashed",
                "a hash is no time",
                f"leave it out, --redact {time}: rows then count for the time they were asked",
                code="E-SERVE-072",
            )
        known = [*columns, *(one for one in (key, time) if one)]
        for name in (*self.dropped, *self.hashed) if names else ():
            if name not in (*known, "caller"):
                raise Invalid(
                    f"the endpoint takes no column {name!r}, so none can be redacted",
                    f"it takes {', '.join(known[:20])}",
                    closest(name, known),
                    code="E-SERVE-073",
                )

    @property
    def hides(self) -> bool:
        """Whether some column's values must not be written anywhere."""
        return bool(self.dropped or self.hashed)

    @property
    def limited(self) -> bool:
        """Whether what is old, or too much, is removed."""
        return bool(self.keep_seconds or self.keep_bytes)

    @property
    def whole(self) -> bool:
        """Whether every row is to be logged."""
        return self.mode != "off" and self.sample >= 1

    def samples(self, text: str) -> bool:
        """Whether the rows of a key, or of a request without one, are among those logged.

        The same text is always answered the same. It isn't the hash by which a canary gets its
        share: the log would otherwise hold one version's rows and none of the other's.
        """
        digest = blake2b(text.encode(errors="surrogatepass"), digest_size=8, person=b"traffic log")
        return int.from_bytes(digest.digest(), "big") < self.sample * 2**64

    def words(self) -> str:
        """The policy in words."""
        if self.mode == "off":
            said = ["off: nothing is written down"]
        else:
            rows = f"{100 * self.sample:.4g}% of the rows" if self.sample < 1 else "every row"
            said = [
                f"{rows}, each before it is answered"
                if self.mode == "required"
                else f"{rows}, as far as there is room; what finds none is answered all the same"
            ]
            if self.dropped:
                said.append(f"without {', '.join(self.dropped)}")
            if self.hashed:
                said.append(f"{', '.join(self.hashed)} as a hash")
        limits = [_age_text(self.keep_seconds)] if self.keep_seconds else []
        limits += [f"at most {_size_text(self.keep_bytes)}"] if self.keep_bytes else []
        if limits:
            said.append("kept " + ", ".join(limits))
        return "; ".join(said)


def _share(told: str | float) -> float:
    try:
        if isinstance(told, str):
            share = float(told.strip().removesuffix("%")) / (100 if "%" in told else 1)
        else:
            share = float(told)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise Invalid(
            f"{told!r} of the rows can't be logged",
            "a share is above 0 and at most 100%",
            "write for example 10%; to log nothing, --log off",
            code="E-SERVE-074",
        )
    return share


def _limits(told: str) -> tuple[int, int]:
    """Seconds and bytes."""
    seconds = size = 0
    parts = [] if told.strip() == "forever" else told.split(",")
    for part in parts:
        age, amount = _AGE.fullmatch(part.strip()), _SIZE.fullmatch(part.strip())
        if age and not seconds:
            seconds = int(age[1]) * _UNITS[age[2]]
        elif amount and not size:
            size = int(float(amount[1]) * _BYTES[("k" if amount[2] in "kK" else amount[2]) + "B"])
        else:
            seconds = size = 0
            break
    if parts and not seconds and not size:
        raise Invalid(
            f"the log can't be kept for {told!r}",
            fix="write an age, a size or both: 90d, 50GB or 90d,50GB; or forever",
            code="E-SERVE-075",
        )
    return seconds, size


def _age_text(seconds: int) -> str:
    for name, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds % size == 0:
            count = seconds // size
            return f"for {count:,} {name}{'' if count == 1 else 's'}"
    return f"for {seconds:,} seconds"


def _size_text(size: int) -> str:
    for unit, many in reversed(_BYTES.items()):
        if size >= many:
            return f"{size / many:g} {unit}"
    return f"{size} bytes"
