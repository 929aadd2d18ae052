"""How texts are written: variants of one category, mixed types, stray and damaged characters."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import polars as pl

from jupyter_mlops.profiling.advice.case import Case
from jupyter_mlops.profiling.advice.finding import Advice, Severity, percent
from jupyter_mlops.profiling.vocabulary import NO_VALUE, WEAK_NO_VALUE

__all__ = ["spelling"]

_CATEGORIES: Final = {"category", "ordinal", "id"}
_SHOWN: Final = 3
_INVISIBLE: Final = "\u200b\u200e\u200f\u2060\ufeff\u00ad"
_CONTROL: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
_STRAY: Final = rf"[{_INVISIBLE}]|{_CONTROL}"
#: UTF-8 that was read as Windows-1252: two of its bytes, as characters.
_DAMAGED: Final = r"[ÂÃÄÅ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹Œ‘’“”•–—˜™š›œžŸ]|â€[™œ\u009d“”˜¢¦\u0093\u0094]"
#: Whatever of these there may be, so that most columns are done with in one go.
_ODD: Final = rf"{_DAMAGED}|{_STRAY}|\ufffd|\u00a0|^\s|\s$"
_NUMBER: Final = r"^\s*[-+]?(\d+([.,]\d+)?|\.\d+)\s*$"
_WITH_UNIT: Final = r"^\s*[-+]?\d+([.,]\d+)?\s*[A-Za-zµ°%]{1,6}\s*$"
_FIX: Final = """\
def mend(text):
    try:
        return text.encode('cp1252').decode('utf-8')
    except (UnicodeError, AttributeError):
        return text
{x} = {x}.map(mend)"""


def spelling(case: Case, name: str) -> Iterator[Advice]:
    """What is odd about how a column of texts is written."""
    column = case.columns[name]
    if column.type != "text":
        return
    counts = {str(value): count for value, count in case.counts(name).items()}
    values = pl.Series(list(counts), dtype=pl.String)
    odd = values.filter(values.str.contains(_ODD)).to_list()
    yield from _characters(case, name, {value: counts[value] for value in odd})
    if column.semantic in {"category", "id", "code", "number in text"}:
        yield from _mixed(case, name, counts)
    if column.semantic in _CATEGORIES and len(counts) <= 5000:
        yield from _variants(case, name, counts)


def _characters(case: Case, name: str, counts: dict[str, int]) -> Iterator[Advice]:
    damaged = {v: c for v, c in counts.items() if re.search(_DAMAGED, v) and _mended(v) != v}
    lost = {v: c for v, c in counts.items() if "\ufffd" in v}
    if damaged:
        example = next(iter(damaged))
        yield Advice(
            name,
            "damaged text",
            "check",
            f"{example[:40]!r} was {_mended(example)[:40]!r} before it was read with the wrong "
            f"encoding; so were {case.of(sum(damaged.values()), name)}",
            "mend it, and read the file as UTF-8 the next time",
            _FIX.format(x=f"df[{name!r}]"),
        )
    elif lost:
        example = next(iter(lost))
        yield Advice(
            name,
            "damaged text",
            "check",
            f"{example[:40]!r} has lost characters, as have {case.of(sum(lost.values()), name)}",
            "read the file again with its own encoding; what is lost can't be mended here",
            f"df[{name!r}] = df[{name!r}].str.replace('\\ufffd', '')",
        )
    stray = {v: c for v, c in counts.items() if re.search(_STRAY, v) or "\u00a0" in v}
    spaced = {v: c for v, c in counts.items() if v != v.strip() and v.strip()}
    prose = case.columns[name].semantic in {"text", "JSON in text"}
    if stray or (spaced and not prose):
        total = sum(count for value, count in counts.items() if value in stray or value in spaced)
        example = next(iter(stray or spaced))
        what = "characters that can't be seen" if stray else "spaces around the text"
        yield Advice(
            name,
            "stray characters",
            "check" if stray and not prose else "note",
            f"{ascii(example)[:60]} has {what}; {case.of(total, name)} have such",
            "take them out: two values that look alike are not equal",
            f"df[{name!r}] = df[{name!r}].str.replace('\\xa0', ' ')"
            f".str.replace({_STRAY!r}, '', regex=True).str.strip()",
        )


def _mixed(case: Case, name: str, counts: dict[str, int]) -> Iterator[Advice]:
    """Numbers among words: a column that was meant to be of one kind."""
    real = {
        value: count
        for value, count in counts.items()
        if value.strip().lower() not in NO_VALUE | WEAK_NO_VALUE
    }
    numbers = {value: count for value, count in real.items() if re.match(_NUMBER, value)}
    total, share = sum(real.values()), 0.0
    if total:
        share = sum(numbers.values()) / total
    others = [value for value in real if value not in numbers]
    if not 0.5 <= share < 1 or not others or any(re.match(r"\s*0\d", v) for v in numbers):
        return
    units = [value for value in others if re.match(_WITH_UNIT, value)]
    wordy = [value for value in others if not re.search(r"\d", value)]
    if len(units) + len(wordy) < 0.5 * len(others):
        # Digits and letters mixed within the values are codes, such as house numbers.
        return
    left = sum(real[value] for value in others)
    shown = ", ".join(repr(value)[:30] for value in others[:_SHOWN])
    if left < 0.005 * total:
        return
    yield Advice(
        name,
        "mixed types",
        "check",
        f"{percent(share)} of the values are numbers; {case.of(left, name)} are not: {shown}",
        "find out what the others mean; this reads the numbers and leaves the others missing",
        f"import pandas as pd\ndf[{name!r}] = pd.to_numeric(df[{name!r}], errors='coerce')",
    )


def _variants(case: Case, name: str, counts: dict[str, int]) -> Iterator[Advice]:
    groups: dict[str, list[str]] = defaultdict(list)
    for value in counts:
        groups[_plain(value)].append(value)
    mapping: dict[str, str] = {}
    examples: list[str] = []
    severity = "check"
    for spellings in groups.values():
        if len(spellings) > 1:
            _merge(spellings, counts, mapping, examples)
    if not mapping or case.columns[name].semantic != "id":
        alike = _abbreviations(groups) | _misspelt(groups, counts)
        if alike and not mapping:
            severity = "note"
        for odd, usual in alike.items():
            spellings = [*groups[odd], *groups[usual]]
            _merge(spellings, counts, mapping, examples, groups[usual])
    if not mapping:
        return
    level: Severity = "check" if severity == "check" else "note"
    rows = sum(counts[value] for value in mapping)
    yield Advice(
        name,
        "inconsistent categories",
        level,
        f"{'; '.join(examples[:_SHOWN])}: {len(mapping):,} spellings too many, "
        f"in {case.of(rows, name)}",
        "write each category one way",
        f"df[{name!r}] = df[{name!r}].replace({mapping!r})",
    )


def _merge(
    spellings: list[str],
    counts: dict[str, int],
    mapping: dict[str, str],
    examples: list[str],
    preferred: list[str] | None = None,
) -> None:
    """Map each spelling to the most frequent one, without spaces around it."""
    usual = max(preferred or spellings, key=lambda value: (counts[value], value)).strip()
    for value in spellings:
        if value != usual:
            mapping[value] = usual
    examples.append(" = ".join(repr(value)[:24] for value in sorted(spellings)[:4]))


def _plain(value: str) -> str:
    """A text without what people write differently: case, accents, spaces, punctuation."""
    text = unicodedata.normalize("NFKD", value.casefold())
    text = "".join(c for c in text if not unicodedata.combining(c) and c not in _INVISIBLE)
    text = " ".join(text.split())
    if re.search(r"\d", text):
        # 1-1 isn't 11.
        return text
    shorn = " ".join(re.sub(r"[^\w\s]|_", " ", text).split())
    return shorn or text


def _abbreviations(groups: dict[str, list[str]]) -> dict[str, str]:
    """Capitals that are the initials of another category: NY and New York."""
    full: dict[str, list[str]] = defaultdict(list)
    for plain in groups:
        initials = "".join(word[0] for word in plain.split())
        if len(initials) >= 2:
            full[initials].append(plain)
    found = {}
    for plain, spellings in groups.items():
        capitals = any(value.strip().replace(".", "").isupper() for value in spellings)
        if capitals and len(full.get(plain.replace(" ", ""), [])) == 1 and " " not in plain:
            found[plain] = full[plain][0]
    # Codes beside names are two ways of writing; one accident is not.
    return found


def _misspelt(groups: dict[str, list[str]], counts: dict[str, int]) -> dict[str, str]:
    """Rare words one slip away from a frequent one."""
    if len(groups) > 300:
        return {}
    total = {plain: sum(counts[v] for v in some) for plain, some in groups.items()}
    words = [plain for plain in groups if len(plain) >= 5 and not re.search(r"\d", plain)]
    found = {}
    for odd in words:
        near = [
            usual for usual in words if total[odd] * 50 <= total[usual] and _one_slip(odd, usual)
        ]
        if len(near) == 1:
            found[odd] = near[0]
    return found


def _one_slip(a: str, b: str) -> bool:
    """Whether one letter more, less, other, or two swapped tell two words apart."""
    if a == b or abs(len(a) - len(b)) > 1:
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    if start is None:
        # A plural is no slip.
        return not (a + "s" == b or b + "s" == a)
    rest, other = a[start:], b[start:]
    swapped = rest[:2] == other[1::-1] and rest[2:] == other[2:]
    return start > 0 and (
        swapped or rest[1:] == other[1:] or rest[1:] == other or rest == other[1:]
    )


def _mended(text: str) -> str:
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return text
