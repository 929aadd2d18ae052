"""What a column's values seem to be, from its profile and a sample of its values.

Two steps: the physical type, then shapes that at least 99 % of up to 5,000 different sampled
values must have. What was tested and how much of it fitted is kept, so that a person can judge.
A code with leading zeros is never taken for a number.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.vocabulary import (
    MEDIA,
    NO_VALUE,
    ORDERED_NAMES,
    PATTERNS,
    SCALES,
    words_of_name,
)
from jupyter_mlops.profiling.written import (
    AGREEMENT,
    date_format,
    kept_values,
    read_booleans,
    read_dates,
    read_numbers,
    share_of,
)

__all__ = ["AGREEMENT", "CATEGORIES", "Meaning", "date_format", "infer", "name_all", "understand"]

CATEGORIES: Final = 50
#: The share of one value from which a column is nearly constant.
NEARLY: Final = 0.99
_MIN_ROWS: Final = 100
_POSTAL: Final = {"zip", "zipcode", "postal", "postcode", "plz", "postleitzahl", "cap"}
_PHONE: Final = {"phone", "tel", "telephone", "mobile", "fax", "cell", "handy", "telefon"}
_RANGE: Final = (
    r"(?i)^\s*([<>≤≥]=?\s*|under |over |up to )?\d+(\.\d+)?\s*"
    r"((-|–|to)\s*\d+(\.\d+)?|\+| and over| or more)?\s*\w{0,8}\s*$"
)


@dataclass(frozen=True)
class Meaning:
    """What a column seems to be, and what that rests on.

    Attributes
    ----------
    kind : str
        empty, constant, boolean, id, category, ordinal, number, datetime, text, e-mail, URL,
        phone, postal code, IP address, path, hash, code, latitude, longitude, geometry in text,
        JSON in text, date in text, number in text, currency in text, per cent in text,
        boolean in text, embedding, nested, or the physical type.
    share : float or None
        Of the `tested` different values, the share that has the shape; None where no shape
        was tested.
    tested : int
    detail : dict
        What the kind needs: a date's ``format`` (and ``or``), a number's ``decimal`` and
        ``unit``, an ordinal's ``order``, a path's ``media``, an embedding's ``size``; and
        ``nearly`` with the share of one value from 99 % on.
    """

    kind: str
    share: float | None = None
    tested: int = 0
    detail: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The evidence as JSON, without the kind."""
        shown: dict[str, Any] = dict(self.detail)
        if self.share is not None:
            shown |= {"share": round(self.share, 4), "tested": self.tested}
        return shown


def infer(profile: ColumnProfile, sample: pl.Series) -> str:
    """Name what a column's values seem to be; see `understand` for what it rests on."""
    return understand(profile, sample).kind


def name_all(columns: dict[str, ColumnProfile], sample: pl.DataFrame) -> None:
    """Set each profile's `semantic` and `meaning`; pairs of columns are looked at too.

    Parameters
    ----------
    columns : dict of str to ColumnProfile
    sample : polars.DataFrame
        Some rows of the table, or a frame without columns.
    """
    found = {}
    held = frozenset(sample.columns)
    for name, column in columns.items():
        values = sample[name] if name in held else pl.Series(name, [], pl.String)
        found[name] = understand(column, values)
    for name, kind in _places(columns, found).items():
        found[name] = Meaning(kind, detail=found[name].detail)
    for name, column in columns.items():
        column.semantic = found[name].kind
        column.meaning = found[name].to_dict()


def understand(profile: ColumnProfile, sample: pl.Series) -> Meaning:
    """What a column's values seem to be, with the evidence.

    Parameters
    ----------
    profile : ColumnProfile
        Of the whole column.
    sample : polars.Series
        Some of its values.

    Returns
    -------
    Meaning

    Examples
    --------
    >>> made = ColumnProfile.of("paid", pl.String())
    >>> values = pl.Series("paid", ["1.5", "2.5", "n/a"])
    >>> made.update(values)
    >>> understand(made, values).kind
    'number in text'
    """
    found = _kind(profile, sample)
    top = profile.values.top(1)
    if top and top[0][1] >= NEARLY * profile.present and found.kind not in {"constant", "empty"}:
        found.detail["nearly"] = round(top[0][1] / profile.present, 5)
    return found


def _kind(profile: ColumnProfile, sample: pl.Series) -> Meaning:
    if not profile.present:
        return Meaning("empty")
    distinct = profile.values.distinct()
    if distinct == 1 and not profile.infinite:
        return Meaning("constant")
    if profile.type == "boolean":
        return Meaning("boolean")
    if profile.type.startswith(("list", "record")):
        return _nested(sample)
    if profile.temporal:
        return Meaning("datetime")
    if profile.numeric:
        return _number(profile, distinct, sample)
    if profile.type == "text":
        if sample.dtype != pl.String:
            sample = sample.cast(pl.String)
        return _text(profile, distinct, sample)
    return Meaning(profile.type)


def _nested(sample: pl.Series) -> Meaning:
    dtype = sample.dtype
    inner = getattr(dtype, "inner", None)
    if inner is None or not inner.is_numeric():
        return Meaning("nested")
    lengths = sample.drop_nulls()
    lengths = lengths.arr.len() if isinstance(dtype, pl.Array) else lengths.list.len()
    if len(lengths) >= 10 and lengths.n_unique() == 1 and lengths[0] >= 4 and inner.is_float():
        return Meaning("embedding", 1.0, len(lengths), {"size": int(lengths[0])})
    return Meaning("nested")


def _number(profile: ColumnProfile, distinct: int, sample: pl.Series) -> Meaning:
    limits = {profile.low, profile.high}
    if distinct == 2 and limits == {0, 1} and not profile.infinite:
        return Meaning("boolean")
    if profile.type != "integer":
        return Meaning("number")
    words = words_of_name(profile.name)
    if _unique(profile, distinct, sample):
        # Counting up row by row is what keys do; measurements repeat or jump about.
        values = sample.drop_nulls()
        span = (profile.high or 0) - (profile.low or 0)
        if values.is_sorted() or values.is_sorted(descending=True) or span < 2 * profile.rows:
            return Meaning("id")
    if _POSTAL & set(words) and (profile.low or 0) >= 0 and (profile.high or 0) < 100_000:
        return Meaning("postal code", detail={"as number": True})
    if (
        ORDERED_NAMES & set(words)
        and 3 <= distinct <= 11
        and profile.low in (0, 1)
        and profile.values.exact
        and (profile.high or 0) - (profile.low or 0) <= 1.5 * distinct
    ):
        order = sorted(int(value) for value in profile.values.counts)
        return Meaning("ordinal", detail={"order": order})
    return Meaning("number")


def _text(profile: ColumnProfile, distinct: int, sample: pl.Series) -> Meaning:
    values = kept_values(sample)
    tested = len(values)
    counted = [str(value) for value in profile.values.counts] if profile.values.exact else []
    if counted and (read := read_booleans(counted)):
        return Meaning("boolean in text", read.pop("share"), len(counted), read)
    if not tested:
        return Meaning("category")
    if read := read_dates(values):
        return Meaning("date in text", read.pop("share"), tested, read)
    words = set(words_of_name(profile.name))
    if found := _shape(profile, values, words, sample):
        return found
    if (read := read_numbers(values)) and not (words & (_POSTAL | _PHONE)):
        kind = {"%": "per cent in text", None: "number in text"}.get(
            read.get("unit"), "currency in text"
        )
        return Meaning(kind, read.pop("share"), tested, read)
    if counted and (found := _scale(counted, words)):
        return found
    spaced = values.str.count_matches(r"\S+").mean()
    if isinstance(spaced, float) and spaced > 4 and distinct > CATEGORIES:
        return Meaning("text", detail={"words": round(spaced, 1)})
    if _unique(profile, distinct, sample):
        return Meaning("id")
    share = share_of(values, r"^\d+$")
    if share >= AGREEMENT:
        return Meaning("code", share, tested, {"leading zeros": True})
    return Meaning("category")


def _shape(
    profile: ColumnProfile, values: pl.Series, words: set[str], sample: pl.Series
) -> Meaning | None:
    """A shape of one kind that (nearly) all values have."""
    tested = len(values)
    if words & _POSTAL:
        share = share_of(
            values, r"^\s*[A-Z]{0,2}[- ]?\d{3,5}(-\d{3,4})?\s*$|" + PATTERNS["postal code"]
        )
        if share >= AGREEMENT:
            zeros = share_of(values, r"^0\d") > 0
            return Meaning("postal code", share, tested, {"leading zeros": zeros})
    if words & _PHONE:
        share = share_of(values, r"^\s*\+?[\d\s().x/-]{6,22}$")
        if share >= AGREEMENT:
            return Meaning("phone", share, tested)
    for kind, pattern in PATTERNS.items():
        share = share_of(values, pattern)
        if share < AGREEMENT:
            continue
        detail: dict[str, Any] = {}
        if kind in {"uuid", "hash"}:
            if kind == "hash" and not _digest_like(values):
                continue
            unique = _unique(profile, profile.values.distinct(), sample)
            return Meaning(
                "id" if unique or kind == "uuid" else kind, share, tested, {"shape": kind}
            )
        if kind == "JSON in text" and not _is_json(values):
            continue
        if kind == "path":
            if not _path_like(values):
                continue
            ending = values.str.to_lowercase().str.extract(r"\.([a-z0-9]{1,6})$")
            for medium, endings in MEDIA.items():
                if ending.is_in(list(endings)).mean() >= AGREEMENT:  # type: ignore[operator]
                    detail["media"] = medium
        if kind == "postal code":
            detail["leading zeros"] = share_of(values, r"^0\d") > 0
        return Meaning(kind, share, tested, detail)
    return None


def _digest_like(values: pl.Series) -> bool:
    """Hexadecimal texts of one length that use letters and digits: no word, no number."""
    lengths = values.str.len_chars()
    mixed = values.str.contains(r"[a-fA-F]") & values.str.contains(r"\d")
    return len(values) >= 10 and lengths.n_unique() == 1 and bool(mixed.mean() > 0.95)  # type: ignore[operator]


def _is_json(values: pl.Series) -> bool:
    some = values.head(200).to_list()
    right = 0
    for text in some:
        try:
            json.loads(text)
            right += 1
        except ValueError:
            # The sample cuts long texts off, so what ends early may still be JSON.
            right += len(text) >= 300
    return right >= AGREEMENT * len(some)


def _path_like(values: pl.Series) -> bool:
    """Few different endings; a full stop inside a sentence or a number has many."""
    ending = values.str.to_lowercase().str.extract(r"\.([a-z0-9]{1,6})$")
    media = [one for endings in MEDIA.values() for one in endings]
    known = float(ending.is_in(media).fill_null(False).sum()) / len(values)
    folders = share_of(values, r"[/\\]")
    return (
        bool(ending.str.contains(r"[a-z]").all())
        and ending.n_unique() <= 20
        and share_of(values, r"\.\s") < 0.01
        and (folders > 0.9 or known > 0.9)
    )


def _scale(counted: list[str], words: set[str]) -> Meaning | None:
    """Words of a known scale, ranges of numbers, or grades; `order` lists them from low to high."""
    lowered = {value: re.sub(r"[\s_-]+", " ", value.strip().lower()) for value in counted}
    present = {value: word for value, word in lowered.items() if word not in NO_VALUE}
    different = set(present.values())
    if not 3 <= len(different) <= CATEGORIES:
        return None
    for scale in SCALES:
        place = {word: rank for rank, group in enumerate(scale) for word in group}
        if different <= set(place) and len({place[word] for word in different}) >= 3:
            order = sorted(present, key=lambda value: (place[present[value]], value))
            return Meaning("ordinal", 1.0, len(counted), {"order": order})
    if all(re.match(_RANGE, value) for value in present):
        spread = [re.findall(r"\d+(?:\.\d+)?", value) for value in present]
        ranges = sum(len(numbers) == 2 for numbers in spread)
        open_ended = [bool(re.match(r"(?i)\s*([<≤]|under|up to)", value)) for value in present]
        if ranges >= 0.5 * len(present):
            first = {
                value: (float(numbers[0]), not below)
                for value, numbers, below in zip(present, spread, open_ended, strict=True)
            }
            order = sorted(present, key=lambda value: first[value])
            return Meaning("ordinal", 1.0, len(counted), {"order": order})
    if words & ORDERED_NAMES and all(re.fullmatch(r"[a-g][+-]?", word) for word in different):
        # A+ goes before A, A- after it; A is the best, so it comes last.
        rank = {"+": 0, "": 1, "-": 2}
        order = sorted(present, key=lambda v: (present[v][0], rank[present[v][1:]]), reverse=True)
        return Meaning("ordinal", 1.0, len(counted), {"order": order})
    return None


def _places(columns: dict[str, ColumnProfile], found: dict[str, Meaning]) -> dict[str, str]:
    """Columns that hold degrees of latitude and longitude, by their names and ranges."""
    names: dict[str, list[str]] = {"latitude": [], "longitude": []}
    for name, column in columns.items():
        if not column.numeric or found[name].kind != "number":
            continue
        words = set(words_of_name(name))
        middle = [column.quantile(rank) for rank in (0.01, 0.99)]
        if None in middle:
            continue
        reach = float(np.max(np.abs(np.array(middle, dtype=float))))
        if words & {"lat", "latitude"} and reach <= 90:
            names["latitude"].append(name)
        elif words & {"lon", "lng", "long", "longitude"} and reach <= 180:
            names["longitude"].append(name)
    if not names["latitude"] or not names["longitude"]:
        return {}
    return {name: kind for kind, some in names.items() for name in some}


def _unique(profile: ColumnProfile, distinct: int, sample: pl.Series) -> bool:
    """Whether no value repeats, as far as the sketch (within 2 %) and the sample can tell."""
    if profile.present < _MIN_ROWS:
        return False
    if distinct < (1 if profile.values.exact else 0.98) * profile.present:
        return False
    return not sample.drop_nulls().is_duplicated().any()
