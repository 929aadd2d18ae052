"""Dates, numbers and truth values that are written as text: what they are and how to read them."""

from __future__ import annotations

import re
from typing import Any, Final

import polars as pl

from jupyter_mlops.profiling.vocabulary import FALSE, NO_VALUE, TRUE, WEAK_NO_VALUE

__all__ = [
    "AGREEMENT",
    "date_format",
    "kept_values",
    "read_booleans",
    "read_dates",
    "read_numbers",
    "reading_code",
    "share_of",
]

#: The share of the values tested that must fit a pattern.
AGREEMENT: Final = 0.99
#: How many different values of the sample are tested.
DIFFERENT: Final = 5000

_TIME: Final = r"[ T]\d{1,2}:\d{2}"
#: Formats by shape, in the order of their likelihood where two fit.
_DATES: Final = (
    ("%Y-%m-%d", r"^\d{4}-\d{1,2}-\d{1,2}$"),
    ("%Y/%m/%d", r"^\d{4}/\d{1,2}/\d{1,2}$"),
    ("%Y.%m.%d", r"^\d{4}\.\d{1,2}\.\d{1,2}$"),
    ("%d.%m.%Y", r"^\d{1,2}\.\d{1,2}\.\d{4}$"),
    ("%d.%m.%y", r"^\d{1,2}\.\d{1,2}\.\d{2}$"),
    ("%m/%d/%Y", r"^\d{1,2}/\d{1,2}/\d{4}$"),
    ("%d/%m/%Y", r"^\d{1,2}/\d{1,2}/\d{4}$"),
    ("%m/%d/%y", r"^\d{1,2}/\d{1,2}/\d{2}$"),
    ("%d/%m/%y", r"^\d{1,2}/\d{1,2}/\d{2}$"),
    ("%d-%m-%Y", r"^\d{1,2}-\d{1,2}-\d{4}$"),
    ("%m-%d-%Y", r"^\d{1,2}-\d{1,2}-\d{4}$"),
    ("%Y-%m-%d %H:%M:%S", r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$"),
    ("%Y-%m-%dT%H:%M:%S", r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$"),
    ("%Y-%m-%d %H:%M", r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}$"),
    ("%d.%m.%Y %H:%M", rf"^\d{{1,2}}\.\d{{1,2}}\.\d{{4}}{_TIME}$"),
    ("%m/%d/%Y %H:%M", rf"^\d{{1,2}}/\d{{1,2}}/\d{{4}}{_TIME}$"),
    ("%d/%m/%Y %H:%M", rf"^\d{{1,2}}/\d{{1,2}}/\d{{4}}{_TIME}$"),
    ("%d %b %Y", r"^\d{1,2} [A-Za-z]{3} \d{4}$"),
    ("%d %B %Y", r"^\d{1,2} [A-Za-z]{3,9} \d{4}$"),
    ("%d-%b-%Y", r"^\d{1,2}-[A-Za-z]{3}-\d{4}$"),
    ("%d-%b-%y", r"^\d{1,2}-[A-Za-z]{3}-\d{2}$"),
    ("%b %d, %Y", r"^[A-Za-z]{3} \d{1,2}, \d{4}$"),
    ("%B %d, %Y", r"^[A-Za-z]{3,9} \d{1,2}, \d{4}$"),
    ("%Y%m%d", r"^(19|20)\d{6}$"),
)
_ISO: Final = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s?(Z|UTC|[+-]\d{2}:?\d{2})?$"
_MONTH_FIRST: Final = {"%m/%d": "%d/%m", "%d/%m": "%m/%d", "%d-%m": "%m-%d", "%m-%d": "%d-%m"}

_MONEY: Final = r"(?:[$€£¥₹₩₽₺]|USD|EUR|GBP|CHF|JPY|CAD|AUD|kr|zł)"
_UNIT: Final = rf"(?:{_MONEY}|%|[kKmM])"
_POINT: Final = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+"
_COMMA: Final = r"(?:\d{1,3}(?:[.  '’]\d{3})+|\d+)(?:,\d+)?"
_BEFORE: Final = rf"^\s*[-+(]?\s*{_MONEY}?\s*[-+−]?(?:"
_AFTER: Final = rf")\s*{_UNIT}?\s*{_MONEY}?\s*\)?\s*$"


def kept_values(sample: pl.Series) -> pl.Series:
    """The different texts of a sample, without those that stand for no value.

    Parameters
    ----------
    sample : polars.Series of str

    Returns
    -------
    polars.Series
        At most 5,000, in the order they first occur.
    """
    values = sample.drop_nulls().unique(maintain_order=True).head(DIFFERENT)
    plain = values.str.strip_chars().str.to_lowercase()
    return values.filter(~plain.is_in(list(NO_VALUE | WEAK_NO_VALUE)))


def share_of(values: pl.Series, pattern: str) -> float:
    """The share of texts that fit a pattern; a few of them decide whether all are tested."""
    if not len(values):
        return 0.0
    if len(values) > 400:
        first = float(values.head(200).str.contains(pattern).sum()) / 200
        if first < 0.8:
            return first
    return float(values.str.contains(pattern).sum()) / len(values)


def date_format(sample: pl.Series) -> str | None:
    """The format of dates written as text, or None when they are none."""
    found = read_dates(kept_values(sample))
    return found["format"] if found else None


def read_dates(values: pl.Series) -> dict[str, Any] | None:
    """What format dates are written in.

    Parameters
    ----------
    values : polars.Series of str
        Different ones, from `kept_values`.

    Returns
    -------
    dict or None
        ``share``; ``format`` as `strptime` takes it, ``ISO8601`` for mixed precision or zones,
        ``mixed`` for several formats in ``formats``; ``or`` names a second format that reads all
        of them too, so that nobody can tell day from month.
    """
    if not len(values):
        return None
    text = values.str.strip_chars()
    shapes = {form: text.str.contains(pattern) for form, pattern in _likely(text)}
    read: dict[str, float] = {}
    for form, fits in shapes.items():
        if fits.mean() < AGREEMENT:  # type: ignore[operator]
            continue
        share = _parsed(text, form) / len(text)
        if share >= AGREEMENT:
            read[form] = share
    if read:
        form = next(iter(read))
        found: dict[str, Any] = {"format": form, "share": read[form]}
        other = _other(form)
        if other in read:
            found["or"] = other
        return found
    if share_of(text, _ISO) >= AGREEMENT:
        share = _parsed(text.str.slice(0, 10), "%Y-%m-%d") / len(text)
        return {"format": "ISO8601", "share": share} if share >= AGREEMENT else None
    return _several(text, shapes)


def read_booleans(values: list[str]) -> dict[str, Any] | None:
    """The spellings of true among texts that are all truth values, or None."""
    lowered = {value: value.strip().lower() for value in values}
    words = {word for word in lowered.values() if word not in NO_VALUE}
    yes, no = words & TRUE, words & FALSE
    if not yes or not no or yes | no != words or len(values) > 16:
        return None
    return {
        "true": sorted(value for value, word in lowered.items() if word in TRUE),
        "false": sorted(value for value, word in lowered.items() if word in FALSE),
        "share": 1.0,
    }


def read_numbers(values: pl.Series) -> dict[str, Any] | None:
    """How numbers are written.

    Returns
    -------
    dict or None
        ``share``; ``decimal`` (``.`` or ``,``); ``unit`` (the currency's sign or ``%``);
        ``scaled`` when some end in k or M; ``exponents``; ``unsure`` when a lone comma or
        point before three digits could be either.
    """
    if not len(values) or share_of(values, r"\d") < AGREEMENT:
        return None
    point, comma = (share_of(values, _BEFORE + one + _AFTER) for one in (_POINT, _COMMA))
    share = max(point, comma)
    if share < AGREEMENT or share_of(values, r"^\s*[-+]?0\d") > 0.001:
        return None
    if share_of(values, r"^\d{12,}$") >= AGREEMENT:
        # More digits than anything is measured in: numbers of accounts.
        return None
    decimal = "." if point >= comma else ","
    found: dict[str, Any] = {"decimal": decimal, "share": share}
    money = values.str.extract(rf"({_MONEY})").drop_nulls()
    if len(money) >= 0.5 * len(values):
        found["unit"] = str(money.mode().sort()[0])
    elif values.str.contains("%", literal=True).mean() >= 0.5:  # type: ignore[operator]
        found["unit"] = "%"
    if values.str.contains(r"\d\s*[kKmM]\b").any() and not len(money):
        found["scaled"] = True
    if values.str.contains(r"\d[eE][-+]?\d").any():
        found["exponents"] = True
    mark = values.filter(values.str.contains(r"[.,]"))
    if len(mark) and mark.str.contains(r"^\D*\d{1,3}[.,]\d{3}\D*$").all():
        found["unsure"] = True
    return found


def reading_code(name: str, kind: str, detail: dict[str, Any]) -> str:
    """Lines that turn such a column of a pandas frame ``df`` into what it means.

    Parameters
    ----------
    name : str
        The column.
    kind : str
        Its semantic type.
    detail : dict
        From `read_dates`, `read_numbers` or `read_booleans`.
    """
    column = f"df[{name!r}]"
    if kind == "date in text":
        form = detail.get("format", "mixed")
        first = ", dayfirst=True" if form == "mixed" and detail.get("day_first") else ""
        zone = ", utc=True" if form == "ISO8601" else ""
        return (
            f"{column} = pd.to_datetime({column}.str.strip(), "
            f"format={form!r}{first}{zone}, errors='coerce')"
        )
    if kind == "boolean in text":
        pairs = {**dict.fromkeys(detail["true"], 1.0), **dict.fromkeys(detail["false"], 0.0)}
        return f"{column} = {column}.map({pairs!r})"
    lines = f"{column}.str.strip()"
    lines += ".str.replace(r'^\\((.*)\\)$', r'-\\1', regex=True).str.replace('−', '-')"
    if detail.get("scaled"):
        lines += ".str.replace(r'[kK]$', 'e3', regex=True).str.replace(r'[mM]$', 'e6', regex=True)"
    kept = "eE" if detail.get("exponents") or detail.get("scaled") else ""
    mark = detail.get("decimal", ".")
    lines += f".str.replace(r'[^0-9{mark}{kept}+-]', '', regex=True)"
    if mark == ",":
        lines += ".str.replace(',', '.')"
    divided = " / 100" if detail.get("unit") == "%" else ""
    return f"{column} = pd.to_numeric({lines}, errors='coerce'){divided}"


def _likely(text: pl.Series) -> list[tuple[str, str]]:
    """The formats that the first values may have, so that the others cost nothing."""
    first = text.head(50).to_list()
    if not any(value[:1].isalnum() and len(value) <= 30 for value in first):
        return []
    return [(form, shape) for form, shape in _DATES if any(re.match(shape, v) for v in first)]


def _parsed(text: pl.Series, form: str) -> int:
    if "%B" in form or "%b" in form:
        text = text.str.to_titlecase()
    return text.str.strptime(pl.Datetime, form, strict=False).count()


def _other(form: str) -> str | None:
    start = form[:5]
    return _MONTH_FIRST[start] + form[5:] if start in _MONTH_FIRST else None


def _several(text: pl.Series, shapes: dict[str, pl.Series]) -> dict[str, Any] | None:
    """Several formats that together read (nearly) all, none of them alone."""
    left, formats = text, []
    for form in sorted(shapes, key=lambda one: -int(shapes[one].sum())):
        if not len(left):
            break
        read = left.str.strptime(pl.Datetime, form, strict=False)
        if read.count() >= 0.01 * len(text):
            formats.append(form)
            left = left.filter(read.is_null())
    share = 1 - len(left) / len(text)
    if len(formats) < 2 or share < AGREEMENT:
        return None
    day = [form for form in formats if form.startswith("%d")]
    return {
        "format": "mixed",
        "formats": formats,
        "share": share,
        "day_first": bool(day) and not any(form.startswith("%m") for form in formats),
    }
