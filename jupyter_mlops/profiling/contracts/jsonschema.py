"""A contract as JSON Schema (draft 2020-12) of one record, and back.

What the standard's words can't say is kept under ``x-terms`` and ``x-contract``, which
validators pass over.  Reading takes the standard's words first: who edits ``minimum`` in the
file edits the bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from jupyter_mlops.profiling.contracts.model import Contract, Terms
from jupyter_mlops.profiling.contracts.rules import NUMBERS
from jupyter_mlops.workspace.errors import Invalid

__all__ = ["from_json_schema", "to_json_schema"]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Final[dict[str, dict[str, str]]] = {
    "integer": {"type": "integer"},
    "float": {"type": "number"},
    "decimal": {"type": "number"},
    "duration": {"type": "number"},
    "text": {"type": "string"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "datetime UTC": {"type": "string", "format": "date-time"},
    "time": {"type": "string", "format": "time"},
}
# The standard's word for each value of a rule.
_WORDS: Final = {
    ("bounds", "lo"): "minimum",
    ("bounds", "hi"): "maximum",
    ("length", "lo"): "minLength",
    ("length", "hi"): "maxLength",
    ("pattern", "regex"): "pattern",
    ("domain", "values"): "enum",
}


def to_json_schema(contract: Contract, environment: str = "training") -> dict[str, Any]:
    """Describe one record of a table that keeps a contract.

    Parameters
    ----------
    contract : Contract
    environment : str
        Columns that are absent there aren't required.

    Examples
    --------
    >>> schema = to_json_schema(contract)                            # doctest: +SKIP
    >>> jsonschema.Draft202012Validator(schema).is_valid({"age": 30})  # doctest: +SKIP
    True
    """
    absent = contract.absent(environment)
    content = contract.content()
    terms = content.pop("columns")
    required = [n for n, one in contract.columns.items() if one.required and n not in absent]
    head = {"title": contract.name} if contract.name else {}
    return {
        "$schema": DRAFT,
        **head,
        "type": "object",
        "properties": {name: _property(one, terms[name]) for name, one in contract.columns.items()},
        "required": required,
        "additionalProperties": contract.extra == "allowed",
        "x-contract": {**content, **({"version": contract.version} if contract.version else {})},
    }


def from_json_schema(schema: Mapping[str, Any]) -> Contract:
    """The contract that a JSON Schema of a record describes.

    Raises
    ------
    Invalid
        It doesn't describe an object with properties.
    """
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        raise Invalid(
            "the JSON Schema describes no record",
            "it has no `properties`",
            "give the schema of one row of the table",
            code="E-CONTRACT-052",
        )
    required = set(schema.get("required") or [])
    body = dict(schema.get("x-contract") or {})
    version = body.pop("version", None)
    absent = {
        name for one in (body.get("environments") or {}).values() for name in one.get("absent", {})
    }
    columns = {}
    for name, one in properties.items():
        terms = _terms(one if isinstance(one, Mapping) else {})
        # A column that is absent somewhere isn't required by the schema of that place.
        if name in required or name not in absent:
            terms["required"] = name in required
        columns[name] = terms
    body["columns"] = columns
    body["extra"] = "refused" if schema.get("additionalProperties") is False else "allowed"
    name = schema.get("title")
    return Contract.from_dict({**body, "contract": name, "version": version} if name else body)


def _property(terms: Terms, kept: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = dict(_TYPES.get(terms.type, {}))
    nullable = terms.null is None or terms.null.max_fraction > 0
    if nullable and "type" in made:
        made["type"] = [made["type"], "null"]
    rest = {key: dict(one) if isinstance(one, dict) else one for key, one in kept.items()}
    for (rule, part), word in _WORDS.items():
        value = (rest.get(rule) or {}).get(part)
        if value is None or (rule == "bounds" and terms.type not in NUMBERS):
            continue
        made[word] = value
        del rest[rule][part]
    if nullable and "enum" in made:
        made["enum"] = [*made["enum"], None]
    return {**made, "x-terms": rest}


def _terms(one: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        key: dict(rule) if isinstance(rule, Mapping) else rule
        for key, rule in (one.get("x-terms") or {}).items()
    }
    terms: dict[str, Any] = {"type": "", "from": "JSON Schema"} | kept
    kinds = one.get("type")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds or [])
    told = {"type": next((k for k in kinds if k != "null"), None), "format": one.get("format")}
    mine = _TYPES.get(terms["type"], {})
    if told != {"type": mine.get("type"), "format": mine.get("format")}:
        terms["type"] = _type(told["type"], told["format"])
    if kinds and "null" not in kinds and (terms.get("null") or {}).get("max_fraction") != 0:
        terms["null"] = {"max_fraction": 0.0, "from": "JSON Schema"}
    for (rule, part), word in _WORDS.items():
        value = one.get(word)
        if value is None:
            continue
        if word == "enum":
            value = [member for member in value if member is not None]
        new = {"max_outside": 0.0, "from": "JSON Schema"}
        if word == "maxLength" or word == "minLength":
            new |= {"hi": one.get("maxLength", 1_000_000_000)}
        terms[rule] = {**new, **terms.get(rule, {}), part: value}
    # A word that was taken out takes out its rule, but for bounds of times, which have none.
    for rule, part in (("domain", "values"), ("length", "hi"), ("pattern", "regex")):
        if rule in terms and part not in terms[rule]:
            del terms[rule]
    return terms


def _type(kind: str | None, form: str | None) -> str:
    for name, one in _TYPES.items():
        if one.get("type") == kind and one.get("format") == form:
            return name
    return {"string": "text", "number": "float"}.get(str(kind), str(kind or "empty"))
