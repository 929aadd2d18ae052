"""A contract as a pandera schema for polars frames, and back.

Promises without exceptions become pandera's own checks.  Those with a share become checks that
importing this module registers with pandera: they count what lies outside and allow the share
and what chance adds to it, as our own check does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from jupyter_mlops.data.digest import logical_type
from jupyter_mlops.profiling.contracts.limits import allowed
from jupyter_mlops.profiling.contracts.model import (
    Bounds,
    Contract,
    Domain,
    Length,
    Null,
    Pattern,
    Terms,
)
from jupyter_mlops.profiling.contracts.rules import NUMBERS, TIMES, probes
from jupyter_mlops.workspace.errors import Unavailable

if TYPE_CHECKING:
    import pandera.polars as pandera_polars

__all__ = ["from_serialized", "to_pandera", "to_yaml"]

# Chance is shared among the rules of a contract; a check alone doesn't know how many there are.
_RULES: Final = 100
_TYPES: Final[dict[str, Any]] = {
    "integer": pl.Int64,
    "float": pl.Float64,
    "text": pl.String,
    "boolean": pl.Boolean,
    "date": pl.Date,
    "datetime": pl.Datetime("us"),
    "datetime UTC": pl.Datetime("us", "UTC"),
    "duration": pl.Duration("us"),
}


def share_in_range(
    data: Any, *, min_value: Any = None, max_value: Any = None, max_outside: float = 0.0
) -> bool | pl.LazyFrame:
    """Whether all but a share of the values lie between two."""
    lo, hi = _bound(min_value), _bound(max_value)
    rule = Bounds(lo=lo, hi=hi, max_outside=max_outside)
    return _kept(data, "bounds", bounds=rule)


def share_in(
    data: Any, *, allowed_values: list[Any], max_outside: float = 0.0
) -> bool | pl.LazyFrame:
    """Whether all but a share of the values are among those allowed."""
    return _kept(data, "domain", domain=Domain(values=allowed_values, max_outside=max_outside))


def share_of_length(
    data: Any, *, min_length: int = 0, max_length: int, max_outside: float = 0.0
) -> bool | pl.LazyFrame:
    """Whether all but a share of the texts have so many characters."""
    rule = Length(lo=min_length, hi=max_length, max_outside=max_outside)
    return _kept(data, "length", length=rule)


def share_matching(data: Any, *, pattern: str, max_outside: float = 0.0) -> bool | pl.LazyFrame:
    """Whether all but a share of the texts match a regular expression."""
    return _kept(data, "pattern", pattern=Pattern(regex=pattern, max_outside=max_outside))


def share_missing(data: Any, *, max_fraction: float) -> bool | pl.LazyFrame:
    """Whether no more than a share of the rows have no value."""
    return _kept(data, "null", null=Null(max_fraction=max_fraction))


def to_pandera(contract: Contract, environment: str = "training") -> pandera_polars.DataFrameSchema:
    """The pandera schema (for polars frames) of tables that keep a contract.

    Parameters
    ----------
    contract : Contract
    environment : str
        Columns that are absent there aren't required.

    Raises
    ------
    Unavailable
        pandera isn't installed.

    Examples
    --------
    >>> to_pandera(contract).validate(frame)  # doctest: +SKIP
    """
    backend, checks = _pandera()
    absent = contract.absent(environment)
    columns = {}
    for name, terms in contract.columns.items():
        columns[name] = backend.Column(
            _TYPES.get(terms.type),
            checks=_checks(terms, checks),
            nullable=terms.null is None or terms.null.max_fraction > 0,
            required=terms.required and name not in absent,
            coerce=terms.type in ("integer", "float", *TIMES),
            unique=any(key.columns == [name] and key.max_repeats == 0 for key in contract.keys),
        )
    compound = [k.columns for k in contract.keys if len(k.columns) > 1 and k.max_repeats == 0]
    return backend.DataFrameSchema(
        columns,
        strict=contract.extra == "refused",
        name=contract.name or None,
        unique=compound[0] if compound else None,
        metadata={"jupyter_mlops": contract.to_dict()},
    )


def to_yaml(contract: Contract) -> str:
    """The schema as pandera writes it, with what it can't hold under ``metadata``."""
    import yaml  # type: ignore[import-untyped]

    schema = to_pandera(contract)
    from pandera.io import polars_io

    body = polars_io.serialize_schema(schema)
    body["metadata"] = {"jupyter_mlops": contract.to_dict()}
    text: str = yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=100)
    return text


def from_serialized(body: dict[str, Any]) -> Contract:
    """The contract that pandera's YAML describes: its own words first, then ours beside them."""
    kept = ((body.get("metadata") or {}).get("jupyter_mlops")) or {}
    columns = {}
    for name, one in (body.get("columns") or {}).items():
        terms = dict((kept.get("columns") or {}).get(name) or {"from": "pandera"})
        _overlay(terms, one or {})
        columns[str(name)] = terms
    keys = kept.get("keys") or [
        {"columns": [name], "max_repeats": 0.0, "from": "pandera"}
        for name, one in (body.get("columns") or {}).items()
        if (one or {}).get("unique")
    ]
    unique = body.get("unique")
    if unique and not kept:
        together = [unique] if isinstance(unique, str) else list(unique)
        keys.append({"columns": together, "max_repeats": 0.0, "from": "pandera"})
    extra = "refused" if body.get("strict") is True else "allowed"
    content = {**kept, "columns": columns, "keys": keys, "extra": extra}
    if body.get("name"):
        content |= {"contract": str(body["name"])}
    return Contract.from_dict(content)


def _overlay(terms: dict[str, Any], column: dict[str, Any]) -> None:
    """What pandera says of a column, over what we said of it before."""
    kind = _kind(str(column.get("dtype") or ""))
    if kind and kind != terms.get("type"):
        terms["type"] = kind
    terms.setdefault("type", "empty")
    absent = "required" in terms
    if not absent:
        terms["required"] = column.get("required", True)
    if column.get("nullable") is not True and (terms.get("null") or {}).get("max_fraction") != 0:
        terms["null"] = {"max_fraction": 0.0, "from": "pandera"}
    for rule, values in _said(column):
        share = {} if rule == "null" else {"max_outside": 0.0}
        old = dict(terms.get(rule) or {})
        if all(old.get(key, object) == value for key, value in values.items()):
            continue
        terms[rule] = {**share, **old, **values, "from": "pandera"}


def _said(column: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The rules that a column's checks express, whichever of pandera's two forms they have."""
    checks = column.get("checks") or {}
    if isinstance(checks, list):
        checks = {one["options"]["check_name"]: one for one in checks if "options" in one}
    flat = {key: one for key, one in column.items() if key in _READ}
    found = []
    for name, given in {**flat, **checks}.items():
        if name not in _READ:
            continue
        rule, words = _READ[name]
        if not isinstance(given, dict):
            given = {next(iter(words)): given}
        values = {words[key]: one for key, one in given.items() if key in words}
        if values:
            found.append((rule, {k: one for k, one in values.items() if one is not None}))
    return found


_READ: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "share_in_range": (
        "bounds",
        {"min_value": "lo", "max_value": "hi", "max_outside": "max_outside"},
    ),
    "share_in": ("domain", {"allowed_values": "values", "max_outside": "max_outside"}),
    "share_of_length": (
        "length",
        {"min_length": "lo", "max_length": "hi", "max_outside": "max_outside"},
    ),
    "share_matching": ("pattern", {"pattern": "regex", "max_outside": "max_outside"}),
    "share_missing": ("null", {"max_fraction": "max_fraction"}),
    "greater_than_or_equal_to": ("bounds", {"min_value": "lo", "value": "lo"}),
    "less_than_or_equal_to": ("bounds", {"max_value": "hi", "value": "hi"}),
    "in_range": ("bounds", {"min_value": "lo", "max_value": "hi"}),
    "isin": ("domain", {"allowed_values": "values", "value": "values"}),
    "str_length": ("length", {"min_value": "lo", "max_value": "hi"}),
    "str_matches": ("pattern", {"pattern": "regex", "value": "regex"}),
}


def _checks(terms: Terms, checks: Any) -> list[Any]:
    made = []
    bounds, domain, length, pattern = terms.bounds, terms.domain, terms.length, terms.pattern
    if terms.null is not None and 0 < terms.null.max_fraction < 1:
        made.append(checks.share_missing(max_fraction=terms.null.max_fraction))
    if bounds is not None and bounds.max_outside == 0 and terms.type in NUMBERS:
        if bounds.lo is not None:
            made.append(checks.greater_than_or_equal_to(bounds.lo))
        if bounds.hi is not None:
            made.append(checks.less_than_or_equal_to(bounds.hi))
    elif bounds is not None:
        made.append(
            checks.share_in_range(
                min_value=bounds.lo, max_value=bounds.hi, max_outside=bounds.max_outside
            )
        )
    if domain is not None:
        made.append(
            checks.share_in(allowed_values=domain.values, max_outside=domain.max_outside)
            if domain.max_outside
            else checks.isin(domain.values)
        )
    if length is not None:
        made.append(
            checks.share_of_length(
                min_length=length.lo, max_length=length.hi, max_outside=length.max_outside
            )
            if length.max_outside
            else checks.str_length(length.lo, length.hi)
        )
    if pattern is not None:
        made.append(
            checks.share_matching(pattern=pattern.regex, max_outside=pattern.max_outside)
            if pattern.max_outside
            else checks.str_matches(pattern.regex)
        )
    return made


def _kind(dtype: str) -> str:
    """The logical type that pandera's name of a dtype means."""
    name = dtype.lower()
    if name.startswith(("int", "uint")):
        return "integer"
    if name.startswith(("float", "decimal")):
        return "float"
    if name.startswith("datetime"):
        return "datetime UTC" if "utc" in name or "time_zone='" in name else "datetime"
    words = {"string": "text", "str": "text", "object": "text", "bool": "boolean"}
    words |= {"boolean": "boolean", "date": "date", "categorical": "text"}
    return next((kind for word, kind in words.items() if name.startswith(word)), "")


def _kept(data: Any, rule: str, **terms: Any) -> bool | pl.LazyFrame:
    """True, or for each row whether it keeps the rule, which pandera shows those of that don't."""
    column = _column(data)
    # The column's own type is another check's business.
    alone = Contract(columns={"x": Terms(type=logical_type(column.dtype), **terms)})
    frame = column.rename("x").to_frame()
    probe = next((p for p in probes(alone, frame.schema, "training") if p.rule == rule), None)
    if probe is None:
        return rule == "null"
    failing = frame.select(probe.failing.fill_null(value=False)).to_series()
    missing = column.fill_nan(None) if column.dtype.is_float() else column
    base = len(column) - (0 if rule == "null" else missing.null_count())
    (most,) = allowed([probe.share], [base], _RULES)
    if int(failing.sum()) <= most:
        return True
    return (~failing).rename("kept").to_frame().lazy()


def _bound(value: Any) -> Any:
    """A bound as it was written: pandera reads the times of a file as timestamps."""
    if value is None or value != value:
        return None  # of no time, pandas makes one that isn't equal to itself
    return value.isoformat() if hasattr(value, "isoformat") else value


def _column(data: Any) -> pl.Series:
    if hasattr(data, "lazyframe"):
        found: pl.Series = data.lazyframe.select(data.key).collect().to_series()
        return found
    return pl.Series(data) if not hasattr(data, "to_numpy") else pl.from_pandas(data)


def _pandera() -> tuple[Any, Any]:
    """pandera's polars module and its checks, ours among them."""
    try:
        import pandera.polars as backend
        from pandera import extensions
    except ImportError:
        raise Unavailable(
            "pandera isn't installed",
            fix="pip install 'jupyter-mlops[pandera]'",
            code="E-CONTRACT-053",
        ) from None
    statistics = {
        share_in_range: ["min_value", "max_value", "max_outside"],
        share_in: ["allowed_values", "max_outside"],
        share_of_length: ["min_length", "max_length", "max_outside"],
        share_matching: ["pattern", "max_outside"],
        share_missing: ["max_fraction"],
    }
    for function, names in statistics.items():
        if not hasattr(backend.Check, function.__name__):
            extensions.register_check_method(function, statistics=names)
    return backend, backend.Check


# Reading a file of pandera's that has checks of ours takes their names.
_pandera()
