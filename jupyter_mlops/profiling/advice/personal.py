"""Data about people: by the shape of the values, and by name where the shape agrees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import polars as pl

from jupyter_mlops.profiling.advice.case import Case
from jupyter_mlops.profiling.advice.finding import Advice, drop, percent
from jupyter_mlops.profiling.vocabulary import ACCOUNTS, words_of_name
from jupyter_mlops.profiling.written import kept_values, share_of

__all__ = ["personal"]

_KINDS: Final = {
    "e-mail": "e-mail addresses",
    "phone": "telephone numbers",
    "IP address": "IP addresses, which lead to people",
}
_FIRST_NAMES: Final = {"firstname", "forename", "surname", "lastname", "vorname", "nachname"}
_WHOSE: Final = {
    "first",
    "last",
    "family",
    "given",
    "middle",
    "full",
    "customer",
    "patient",
    "client",
    "employee",
    "person",
    "contact",
    "student",
    "passenger",
    "holder",
    "maiden",
}
_BORN: Final = {"birth", "birthday", "birthdate", "dob", "geburtsdatum", "born"}
_NAME: Final = r"^\p{Lu}[\p{L}'’.-]+([ ,]+(\p{L}[\p{L}'’.()\"-]*|&)){0,6}$"
_TITLED: Final = r"\b(Mr|Mrs|Ms|Miss|Master|Dr|Herr|Frau)\b\.?"
_WITHIN: Final = {
    "e-mail addresses": r"[\w.+-]+@[\w-]+\.[A-Za-z]{2,}",
    "telephone numbers": (
        r"(\+\d{1,3}[\s.-]?\(?\d{2,4}\)?[\s.-]\d{3}[\s.-]?\d{3,4})|(\(\d{3}\)\s?\d{3}-\d{4})"
    ),
}
_SURE: Final = 0.98


def personal(case: Case) -> Iterator[Advice]:
    """Columns that hold data about people, each with the reason."""
    for name, column in case.columns.items():
        if name not in case.held or column.semantic in {"empty", "constant"}:
            continue
        evidence = _evidence(case, name)
        if evidence:
            yield Advice(
                name,
                "personal data",
                "check",
                evidence,
                "leave it out of the features, and keep it only if you may and must",
                drop(name),
            )


def _evidence(case: Case, name: str) -> str:
    column = case.columns[name]
    words = words_of_name(name)
    if column.temporal or column.semantic == "date in text":
        return "its name says that these are birth dates" if _BORN & set(words) else ""
    if column.semantic in _KINDS:
        share, tested = column.meaning.get("share", 1.0), column.meaning.get("tested", 0)
        return f"{percent(share)} of {tested:,} different values are {_KINDS[column.semantic]}"
    if column.type == "integer":
        return _cards(case, name)
    if column.type != "text":
        return ""
    values = kept_values(case.texts(name))
    if len(values) < 3:
        return ""
    for what, pattern in ACCOUNTS.items():
        right = _accounts(values, what, pattern)
        if right >= _SURE:
            return f"{percent(right)} of {len(values):,} different values are {what}"
    if column.semantic in {"text", "category", "id"}:
        shown = _names(values, words)
        if shown:
            return shown
    if column.semantic == "text":
        for what, pattern in _WITHIN.items():
            count = int(values.str.contains(pattern).sum())
            if count >= max(2, 0.002 * len(values)):
                return f"{case.of(count)} contain {what} within the text"
    return ""


def _names(values: pl.Series, words: list[str]) -> str:
    titled = share_of(values, _TITLED)
    if titled > 0.5 and len(values) >= 20:
        return f"{percent(titled)} of the values carry a title such as Mr or Mrs"
    joined = "".join(words)
    named = joined in _FIRST_NAMES or (
        "name" in words and bool(_WHOSE & set(words)) and "file" not in words
    )
    capital = share_of(values, _NAME)
    if (named or {"surname", "forename"} & set(words)) and capital >= 0.9:
        return f"its name says so, and {percent(capital)} of the values look like names of people"
    if ({"address", "street"} & set(words)) and not {"ip", "mac", "email"} & set(words):
        house = share_of(values, r"\d+\s+\p{L}{3,}|\p{L}{3,}\s+\d+")
        if house >= 0.8:
            return f"its name says so, and {percent(house)} of the values look like addresses"
    return ""


def _accounts(values: pl.Series, what: str, pattern: str) -> float:
    share = share_of(values, pattern)
    if share < _SURE or len(values) < 10:
        return 0.0
    some = values.head(500).to_list()
    if what == "IBANs":
        return sum(_mod97(value) for value in some) / len(some)
    if what == "payment card numbers":
        return sum(_luhn(value) for value in some) / len(some)
    return share


def _cards(case: Case, name: str) -> str:
    """Whole numbers of 13 to 19 digits whose check digit is right; one in ten is by accident."""
    column = case.columns[name]
    if column.low is None or column.high is None or column.low < 1e12 or column.high >= 1e19:
        return ""
    some = [str(value) for value in case.sample[name].drop_nulls().unique().head(500).to_list()]
    if len(some) < 10 or sum(map(_luhn, some)) < _SURE * len(some):
        return ""
    return f"all check digits of {len(some):,} different values are those of payment cards"


def _luhn(text: str) -> bool:
    digits = [int(c) for c in re.sub(r"\D", "", text)]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [
        d if i % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d) for i, d in enumerate(digits[::-1])
    ]
    return sum(doubled) % 10 == 0


def _mod97(text: str) -> bool:
    plain = re.sub(r"\s", "", text).upper()
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(c, 36)) for c in turned)) % 97 == 1
