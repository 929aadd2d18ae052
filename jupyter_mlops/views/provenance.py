"""Where the rows of a dataset came from, in words."""

from __future__ import annotations

from os.path import commonpath
from typing import Any, Final

from jupyter_mlops.views.blocks import Code, Column, Fact, Notice, Table
from jupyter_mlops.views.cells import number_text
from jupyter_mlops.views.rows import size_text

__all__ = ["provenance_blocks", "provenance_facts", "split_sentence"]

SQL: Final = 4000
LONG: Final = 200
FEW: Final = 4
_NAMES: Final = {"where": "Only rows where", "columns": "Columns taken", "window": "Window"}
_SPECIAL: Final = {"query", "dialect", "inputs", "changing", "split", "asof", "objects"}


def provenance_facts(told: dict[str, Any]) -> list[Fact]:
    """What tells which rows these are, a fact each."""
    facts = [
        Fact(label=_NAMES.get(name, name.replace("_", " ").capitalize()), value=_text(value))
        for name, value in told.items()
        if name not in _SPECIAL
    ]
    inputs = told.get("inputs")
    if told.get("objects"):
        facts.append(_objects(told["objects"]))
    if "query" in told:
        facts.append(Fact(label="Made by", value="SQL", hint=str(told.get("dialect", ""))))
    if inputs and len(inputs) <= FEW:
        named = [f"{_named(one)} ({one['digest'][:12]})" for one in inputs]
        facts.append(Fact(label="Made from", value=", ".join(named)))
    if "split" in told:
        split = told["split"]
        of = split["of"].removeprefix("data:")
        facts.append(Fact(label="Part", value=f"{split['part']} of {of}"))
        facts.append(Fact(label="Split", value=split_sentence(split)))
    if "asof" in told:
        facts += _asof(told["asof"])
    return facts


def provenance_blocks(told: dict[str, Any]) -> list[Notice | Code | Table]:
    """The query and the tables it was made from, and what to know of them."""
    blocks: list[Notice | Code | Table] = []
    if told.get("changing"):
        blocks.append(
            Notice(
                level="warn",
                text=f"The query gives other rows when it runs again: it uses "
                f"{', '.join(told['changing'])}.",
                fix="sort before LIMIT, and keep times and chance out of it",
            )
        )
    repeated = told.get("asof", {}).get("repeated")
    if repeated:
        blocks.append(
            Notice(
                text=f"{repeated:,} times occur more than once in {told['asof']['right']}; "
                "of each the row that sorts last was taken."
            )
        )
    if "query" in told:
        blocks.append(Code(language="sql", title="Query", text=str(told["query"])[:SQL]))
    if len(told.get("inputs") or []) > FEW:
        blocks.append(_inputs(told["inputs"]))
    return blocks


def split_sentence(split: dict[str, Any]) -> str:
    """How a split was made, in one sentence."""
    column = split["column"]
    how = {
        "random": f"at random by {'content' if split['unit'] == 'rows' else split['unit']}",
        "stratified": f"at random, alike in every class of {column}",
        "grouped": f"at random, rows of one {column} together",
        "by time": f"by {column}",
    }[split["method"]]
    if split["cuts"]:
        how += f", cut at {', '.join(_moment(one) for one in split['cuts'])}"
    if split["gap"]:
        how += f", {split['gap']} left out after each cut"
    if split["seed"] is not None:
        how += f", seed {split['seed']}"
    if split["shares"]:
        shares = ", ".join(
            f"{name} {number_text(100 * s)} %" for name, s in split["shares"].items()
        )
        how += f" ({shares})"
    return how


def _objects(objects: dict[str, dict[str, Any]]) -> Fact:
    names = list(objects)
    size = size_text(sum(one.get("size") or 0 for one in objects.values()))
    newest = max(
        (str(one["modified"]) for one in objects.values() if one.get("modified")), default=""
    )
    hint = f"the newest of {_moment(newest)}" if newest else ""
    if len(names) == 1:
        return Fact(label="Object", value=f"{names[0][:LONG]}, {size}", hint=hint)
    folder = commonpath(names)
    where = f" under {folder[:LONG]}" if folder else ""
    return Fact(label="Objects", value=f"{len(names):,}{where}, {size}", hint=hint)


def _asof(told: dict[str, Any]) -> list[Fact]:
    right, (left_time, right_time) = told["right"].removeprefix("data:"), told["on"]
    when = "not after" if told["equal"] else "before"
    text = f"to each row the last of {right} {when} {left_time}"
    if right_time != left_time:
        text += f" by its {right_time}"
    if told["by"]:
        pairs = [a if a == b else f"{a} = {b}" for a, b in told["by"]]
        text += f" with the same {', '.join(pairs)}"
    if told["tolerance"]:
        text += f", at most {told['tolerance']} old"
    found = f"{told['matched']:,} of {told['rows']:,} rows"
    return [Fact(label="Joined", value=text), Fact(label="Found", value=found)]


def _inputs(inputs: list[dict[str, Any]]) -> Table:
    return Table(
        title="Made from",
        columns=[
            Column(key="name", label="Table"),
            Column(key="ref", label="Version", kind="ref"),
            Column(key="rows", label="Rows", kind="number"),
            Column(key="digest", label="Digest"),
        ],
        rows=[
            {
                "name": str(one["name"])[:LONG],
                "ref": one["ref"] or "not recorded",
                "rows": one["rows"],
                "digest": one["digest"][:12],
            }
            for one in inputs
        ],
    )


def _named(one: dict[str, Any]) -> str:
    recorded = str(one["ref"] or "").removeprefix("data:")
    return recorded or f"the frame {str(one['name'])[:LONG]}"


def _moment(iso: str) -> str:
    """A time without the parts that are zero."""
    short = iso.replace("T", " ").replace("+00:00", "").removesuffix(".000000")
    return short.removesuffix(":00").removesuffix(" 00:00") + (" UTC" if "+00:00" in iso else "")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        text = ", ".join(f"{name} {_text(one)}" for name, one in value.items())
    elif isinstance(value, list):
        text = ", ".join(_text(one) for one in value)
    else:
        text = (
            f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
        )
    flat = " ".join(text.split())
    return flat if len(flat) <= LONG else flat[: LONG - 1] + "…"
