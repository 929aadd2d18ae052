"""Changing a contract: each change says who made it, and gives a new contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from jupyter_mlops.profiling.contracts.model import Contract, Terms
from jupyter_mlops.workspace.errors import Invalid, NotFound, closest

__all__ = ["CHANGES", "changed", "merged", "without"]

#: What can be changed of a column, and what it takes.
CHANGES: Final = {
    "lo": "a number, or a time as text",
    "hi": "a number, or a time as text",
    "max_outside": "a share of the values",
    "rule": "bounds, domain, length or pattern: which of them max_outside is for",
    "allow": "values to add",
    "forbid": "values to take out",
    "max_missing": "a share of the rows",
    "min_length": "characters",
    "max_length": "characters",
    "pattern": "a regular expression",
    "required": "true or false",
    "absent_at": "an environment",
    "present_at": "an environment",
    "type": "a logical type",
    "role": "feature, target, key or time",
    "watch": "a difference worth a look",
    "act": "a difference that counts as drift",
    "max_repeats": "a share of the rows; the column becomes a key",
    "max_age": "seconds",
}
_RULES: Final = ("bounds", "domain", "length", "pattern")


def changed(contract: Contract, column: str, by: str = "", **changes: Any) -> Contract:
    """Change what a contract says of a column.

    Parameters
    ----------
    contract : Contract
    column : str
        Its name; several with commas between them for the repeats of a compound key.
    by : str
        Who changes it.
    **changes
        See `CHANGES`.

    Returns
    -------
    Contract
        A new one; the old one stays as it is.

    Raises
    ------
    NotFound
        The contract has no such column.
    Invalid
        There is no such change, or the value doesn't fit.

    Examples
    --------
    >>> changed(contract, "income", lo=0, max_missing=0.1)  # doctest: +SKIP
    """
    told = {name: value for name, value in changes.items() if value is not None}
    for name in told:
        if name not in CHANGES:
            raise Invalid(
                f"a contract's column has no {name!r} to change",
                f"it has {', '.join(CHANGES)}",
                closest(name, CHANGES),
                code="E-CONTRACT-020",
            )
    if not told:
        raise Invalid(
            f"nothing is said about column {column!r}",
            fix="say what to change, e.g. --min 0 or --max-missing 0.1",
            code="E-CONTRACT-021",
        )
    body = contract.content()
    mark = f"edited by {by}" if by else "edited"
    repeats = told.pop("max_repeats", None)
    if repeats is not None:
        _set_key(body, _columns(contract, column), repeats, mark)
    if told:
        terms = _found(contract, column)
        _set_place(body, column, told, mark)
        _set_terms(body["columns"][column], terms, column, told, mark)
    return _again(contract, body)


def merged(contract: Contract, change: Mapping[str, Any], by: str = "") -> Contract:
    """Change a contract by a JSON Merge Patch (RFC 7396): null takes out what is there.

    The whole contract with some values changed is such a patch too. Rules that change
    without saying where they come from are marked with who changed them.
    """
    if not isinstance(change, Mapping):
        raise Invalid(
            "the text describes no contract",
            "it names no rules",
            "write what changes, such as `columns: {income: {null: {max_fraction: 0.1}}}`",
            code="E-CONTRACT-022",
        )
    before = contract.content()
    given = {key: one for key, one in change.items() if key not in ("contract", "version")}
    for name in given.get("columns") or {}:
        if name not in before["columns"] and not _whole(given["columns"][name]):
            _found(contract, str(name))
    after = _patched(before, given)
    _mark(before, after, f"edited by {by}" if by else "edited")
    return _again(contract, after)


def without(contract: Contract, column: str) -> Contract:
    """The contract without a column."""
    _found(contract, column)
    body = contract.content()
    del body["columns"][column]
    for one in body["environments"].values():
        one.get("absent", {}).pop(column, None)
    body["keys"] = [key for key in body["keys"] if column not in key["columns"]]
    if body.get("freshness", {}).get("column") == column:
        del body["freshness"]
    return _again(contract, body)


def _again(contract: Contract, body: dict[str, Any]) -> Contract:
    made = Contract.from_dict(body, name=contract.name, profile=contract.profile)
    # It is that version only as long as it says the same.
    return contract if made.digest == contract.digest else made


def _whole(terms: Any) -> bool:
    return isinstance(terms, Mapping) and "type" in terms


def _found(contract: Contract, column: str) -> Terms:
    terms = contract.columns.get(column)
    if terms is None:
        names = list(contract.columns)
        raise NotFound(
            f"{contract.label} has no column {column!r}",
            f"it has {', '.join(names[:12])}{' …' if len(names) > 12 else ''}",
            closest(column, names),
            code="E-CONTRACT-023",
        )
    return terms


def _columns(contract: Contract, column: str) -> list[str]:
    if column in contract.columns:
        return [column]
    names = [name.strip() for name in column.split(",")]
    for name in names:
        _found(contract, name)
    return names


def _set_key(body: dict[str, Any], columns: list[str], repeats: float, mark: str) -> None:
    others = [key for key in body["keys"] if key["columns"] != columns]
    same = next((key for key in body["keys"] if key["columns"] == columns), None)
    if same is not None and same["max_repeats"] == repeats:
        return
    # A share of one asks nothing: that is how a key is taken out.
    new = [] if repeats >= 1 else [{"from": mark, "columns": columns, "max_repeats": repeats}]
    body["keys"] = _in_order([*others, *new])


def _in_order(keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keys in an order that doesn't depend on who was edited last."""
    return sorted(keys, key=lambda key: [str(one) for one in key["columns"]])


def _set_place(body: dict[str, Any], column: str, told: dict[str, Any], mark: str) -> None:
    """Where the column is absent, and how old it may be."""
    for environment, there in ((told.get("absent_at"), False), (told.get("present_at"), True)):
        if environment is None:
            continue
        place = body["environments"].setdefault(environment, {"from": mark, "absent": {}})
        place.setdefault("absent", {})
        if there:
            place["absent"].pop(column, None)
        else:
            place["absent"].setdefault(column, mark)
    if "max_age" in told and told["max_age"] != body.get("freshness", {}).get("max_age"):
        body["freshness"] = {"from": mark, "column": column, "max_age": told["max_age"]}


def _set_terms(
    body: dict[str, Any], terms: Terms, column: str, told: dict[str, Any], mark: str
) -> None:
    """The rules of the column itself."""
    for name in ("type", "role", "required"):
        if name in told and told[name] != body[name]:
            body[name], body["from"] = told[name], mark
    if "type" in told and told["type"] != terms.type:
        for rule in ("bounds", "length", "pattern", "domain"):
            body.pop(rule, None)
    if "max_missing" in told:
        _update(body, "null", {"max_fraction": told["max_missing"]}, mark)
    ends: dict[str, Any] = {end: _end(told[end]) for end in ("lo", "hi") if end in told}
    if ends and body["type"] in ("text", "boolean"):
        raise Invalid(
            f"column {column!r} can't have a least or largest value: it is of type {body['type']}",
            fix="say how long texts are with --max-length, or which values there are with --allow",
            code="E-CONTRACT-009",
        )
    for end in ends.values():
        if isinstance(end, str) is not body["type"].startswith(("date", "time")):
            flags = "--min and --max" if isinstance(end, str) else "--since and --until"
            raise Invalid(
                f"column {column!r} can't be bounded by {end}: it is of type {body['type']}",
                fix=f"give its bounds with {flags}",
                code="E-CONTRACT-009",
            )
    _update(body, "bounds", ends, mark)
    sizes = {"lo": told.get("min_length"), "hi": told.get("max_length")}
    _update(body, "length", {k: v for k, v in sizes.items() if v is not None}, mark)
    if "pattern" in told:
        _update(body, "pattern", {"regex": told["pattern"], "name": ""}, mark)
    if "allow" in told or "forbid" in told:
        known = list((body.get("domain") or {}).get("values", []))
        allow = [_as(terms.type, one, column) for one in told.get("allow") or []]
        forbid = [_as(terms.type, one, column) for one in told.get("forbid") or []]
        values = {one for one in [*known, *allow] if one not in forbid}
        ordered = sorted(values, key=lambda one: (isinstance(one, str), one))
        _update(body, "domain", {"values": ordered}, mark)
    _update(body, "drift", {k: told[k] for k in ("watch", "act") if k in told}, mark)
    if "max_outside" in told:
        _update(body, _meant(body, column, told), {"max_outside": told["max_outside"]}, mark)


def _meant(body: dict[str, Any], column: str, told: dict[str, Any]) -> str:
    """Which rule a share outside is about."""
    there = [rule for rule in _RULES if rule in body]
    said = told.get("rule")
    touched = {"lo": "bounds", "hi": "bounds", "allow": "domain", "pattern": "pattern"}
    touched |= {"min_length": "length", "max_length": "length", "forbid": "domain"}
    said = said or next((touched[name] for name in told if name in touched), None)
    said = said or (there[0] if there else None)
    if said not in there:
        raise Invalid(
            f"column {column!r} has no rule that values could be outside of",
            f"it has {', '.join(there)}" if there else "it has none",
            "give it one with --min, --max, --allow, --pattern or --max-length",
            code="E-CONTRACT-024",
        )
    return said


def _update(body: dict[str, Any], rule: str, values: dict[str, Any], mark: str) -> None:
    now = dict(body.get(rule) or {})
    if not values or all(now.get(key, _update) == one for key, one in values.items()):
        return
    # A rule that a person sets anew holds without exceptions until they say otherwise.
    fresh = {"max_outside": 0.0} if rule in _RULES and not now else {}
    now.pop("observed", None) if rule == "bounds" else None
    body[rule] = {**fresh, **now, **values, "from": mark}


def _end(value: Any) -> Any:
    """A bound as it is written: without the point where it is whole."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as(kind: str, value: Any, column: str) -> Any:
    """A value as written on a line, as one of the column's type."""
    if not isinstance(value, str) or kind == "text":
        return value
    try:
        if kind == "boolean":
            return {"true": True, "false": False}[value.lower()]
        number = float(value)
    except (KeyError, ValueError):
        raise Invalid(
            f"column {column!r} can't hold {value!r}",
            f"it is of type {kind}",
            "give values of that type",
            code="E-CONTRACT-025",
        ) from None
    return int(number) if number.is_integer() and kind == "integer" else number


def _patched(before: Any, change: Any) -> Any:
    if not isinstance(change, Mapping):
        return change
    made = dict(before) if isinstance(before, Mapping) else {}
    for key, one in change.items():
        # The rule `null` without quotes is YAML's word for nothing.
        name = "null" if key is None else str(key)
        if one is None:
            made.pop(name, None)
        else:
            made[name] = _patched(made.get(name), one)
    return made


def _mark(before: Any, after: Any, mark: str) -> None:
    """Say of each rule that changed without saying so who changed it."""
    if not isinstance(after, dict):
        return
    old = before if isinstance(before, Mapping) else {}
    for key, one in after.items():
        if isinstance(one, dict) and one != old.get(key) and key != "absent":
            _mark(old.get(key), one, mark)
            same = old.get(key)
            said = (
                one.get("from") != (same or {}).get("from")
                if isinstance(same, dict)
                else ("from" in one)
            )
            ruled = key in ("null", "bounds", "domain", "length", "pattern", "drift", "rows")
            if ruled and not said:
                one["from"] = mark
