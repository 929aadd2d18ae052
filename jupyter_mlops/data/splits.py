"""Splits: parts of a dataset that are recorded, come out the same anywhere, and can't leak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from jupyter_mlops.data import parting
from jupyter_mlops.data.datasets import Dataset, Draft, get, record
from jupyter_mlops.data.parting import LEFT_OUT, Parting, Places
from jupyter_mlops.data.rowhashes import HASH, REST, hash_rows
from jupyter_mlops.data.sources import LazySource
from jupyter_mlops.data.stored import keep
from jupyter_mlops.data.tables import Table
from jupyter_mlops.workspace.errors import Conflict, Invalid, NotFound, closest
from jupyter_mlops.workspace.references import check_name
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Transaction, Workspace

__all__ = ["PARTS", "Split", "split"]

PARTS: Final = ("train=0.8", "test=0.2")
_PLACE: Final = "the part of the row\x01"


@dataclass(frozen=True)
class Split(Result):
    """The parts of a dataset.

    Attributes
    ----------
    of : Dataset
        What was split.
    parts : dict of str to Dataset
    told : dict
        How: method, columns, seed, shares, cuts, gap, and what was checked.
    classes : dict of str to list of int
        Rows of each class in each part, of a stratified split.
    left_out : int
        Rows in no part, because they fall into a gap.
    """

    of: Dataset
    parts: dict[str, Dataset]
    told: dict[str, Any]
    classes: dict[str, list[int]] = field(default_factory=dict)
    left_out: int = 0

    def __getitem__(self, part: str) -> Dataset:
        return self.parts[part]


class PartSource(LazySource):
    """The rows of a table that belong to one part."""

    def __init__(self, table: Table, places: Places, part: int, told: dict[str, Any]) -> None:
        self.uri = table.label
        self._table = table
        self._places = places
        self._part = part
        self._told = told

    def scan(self) -> pl.LazyFrame:
        """The rows, in the order of the table."""
        places = pl.LazyFrame({_PLACE: self._places})
        rows = pl.concat([self._table.scan(), places], how="horizontal")
        return rows.filter(pl.col(_PLACE) == self._part).drop(_PLACE)

    def provenance(self) -> dict[str, Any]:
        """How the split was made, and which part this is."""
        return {"split": self._told}


def split(
    ws: Workspace,
    name: str,
    parts: Mapping[str, float] | Iterable[str] = PARTS,
    *,
    stratify: str | None = None,
    group: list[str] | None = None,
    time: str | None = None,
    cuts: list[str] | None = None,
    gap: str | None = None,
    seed: int = 0,
) -> Split:
    """Split a dataset into parts, each a dataset ``NAME-PART``.

    Without a method rows are drawn at random by their key, or by their content when the dataset
    has none. See `jupyter_mlops.data.parting` for what stays where when rows are added.

    Parameters
    ----------
    ws : Workspace
    name : str
        A dataset, or a version of it.
    parts : mapping, or list of str
        Names and shares, as ``{"train": 0.8, "test": 0.2}`` or ``["train=0.8", "test=0.2"]``;
        names alone together with `cuts`.
    stratify : str, optional
        A column of classes, each of which is shared out alike.
    group : list of str, optional
        Columns; rows that agree in them stay together.
    time : str, optional
        A column of times; earlier rows go to the first part, the latest to the last.
    cuts : list of str, optional
        Where the parts after the first begin, instead of shares.
    gap : str, optional
        How much time after each cut is left out, such as ``1d``.
    seed : int
        Another seed draws other rows.

    Raises
    ------
    Invalid
        The request makes no sense, a part would be empty, or a class would be missing in one.

    Examples
    --------
    >>> split(ws, "flights", ["train=0.8", "test=0.2"], group=["tailnum"])  # doctest: +SKIP
    """
    of = get(ws, name)
    methods = {"stratify": stratify, "group": group, "time": time}
    chosen = [one for one, value in methods.items() if value]
    _check_request(chosen, cuts, gap)
    names, shares = _parts(parts, cuts)
    for part in names:
        check_name(f"{of.name}-{part}", "dataset")
    frame = of.scan()
    unit = [of.key] if of.key else list(of.schema)
    unit = list(group) if group else unit
    for column in [*(group or []), *filter(None, (stratify, time))]:
        _check_column(of, column)
    if stratify:
        made = parting.stratified(frame, stratify, unit, shares, seed)
    elif time:
        made = parting.by_time(frame, time, shares, cuts or [], gap)
    else:
        made = parting.by_hash(frame, unit, shares, seed)
    counts = np.bincount(made.places, minlength=256)
    _check_parts(of, names, counts[: len(names)].tolist(), made, stratify)
    method = {"stratify": "stratified", "group": "grouped", "time": "by time"}
    by = stratify or time or ", ".join(group or [])
    told: dict[str, Any] = {
        "of": of.ref,
        "digest": of.digest,
        "method": method[chosen[0]] if chosen else "random",
        "column": by or None,
        "unit": "rows" if unit == list(of.schema) else ", ".join(unit),
        "seed": None if time else seed,
        "shares": dict(zip(names, shares, strict=True)) if shares else None,
        "cuts": made.cuts or None,
        "gap": gap,
        "shared": _check_leaks(of, frame, unit, made.places),
    }
    drafts = []
    for number, part in enumerate(names):
        source = PartSource(of, made.places, number, {"part": part, **told})
        table = Table(source, inputs=[of.ref])
        drafts.append(Draft(f"{of.name}-{part}", table, keep(ws, table), of.key, of.time))

    def emit(tx: Transaction, refs: list[str]) -> None:
        rows = {part: draft.stored.rows for part, draft in zip(names, drafts, strict=True)}
        payload = {**told, "rows": rows}
        tx.emit("dataset.split", of.ref, payload=payload, inputs=[of.ref], outputs=refs)

    kept = record(ws, drafts, emit)
    left_out = int(counts[LEFT_OUT])
    return Split(of, dict(zip(names, kept, strict=True)), told, made.classes, left_out)


def _check_request(chosen: list[str], cuts: list[str] | None, gap: str | None) -> None:
    if len(chosen) > 1:
        raise Invalid(
            f"a split can't be both by {chosen[0]} and by {chosen[1]}",
            fix=f"give one of --{chosen[0]} and --{chosen[1]}",
            code="E-DATA-091",
        )
    if "time" not in chosen and (cuts or gap):
        raise Invalid(
            f"--{'cuts' if cuts else 'gap'} goes with --time",
            fix="name the column of times: --time COLUMN",
            code="E-DATA-092",
        )


def _check_column(of: Dataset, column: str) -> None:
    if column not in of.schema:
        raise NotFound(
            f"{of.ref} has no column {column!r} to split by",
            f"its columns are {', '.join(list(of.schema)[:12])}",
            closest(column, of.schema),
            code="E-DATA-093",
        )


def _parts(
    parts: Mapping[str, float] | Iterable[str], cuts: list[str] | None
) -> tuple[list[str], list[float]]:
    given: dict[str, float | None] = {}
    pairs = parts.items() if isinstance(parts, Mapping) else (one.split("=", 1) for one in parts)
    for part, *share in pairs:
        try:
            given[str(part).strip()] = float(share[0]) if share else None
        except ValueError:
            raise Invalid(
                f"the share of {part!r} is no number: {share[0]!r}",
                fix="write parts like train=0.7,valid=0.15,test=0.15",
                code="E-DATA-094",
            ) from None
    names = list(given)
    if len(names) < 2 or len(names) > 100:
        raise Invalid(
            f"a split can't have {len(names)} part{'' if len(names) == 1 else 's'}",
            fix="name 2 to 100 parts, each once, like train=0.8,test=0.2",
            code="E-DATA-095",
        )
    shares = [share for share in given.values() if share is not None]
    if cuts:
        if shares or len(cuts) != len(names) - 1:
            raise Invalid(
                f"{len(cuts)} cut{'' if len(cuts) == 1 else 's'} can't make these parts",
                "cuts take the place of shares, and make one part more than there are cuts",
                "write for example --parts train,test --cuts 2013-10-01",
                code="E-DATA-096",
            )
        return names, []
    good = len(shares) == len(names) and all(0 < share < 1 for share in shares)
    if not good or abs(sum(shares) - 1) > 1e-6:
        raise Invalid(
            f"the shares of {', '.join(names)} must be above 0 and add up to 1",
            f"they add up to {sum(shares):g}" if shares else "none is given",
            "write parts like train=0.7,valid=0.15,test=0.15",
            code="E-DATA-097",
        )
    return names, shares


def _check_parts(
    of: Dataset, names: list[str], counts: list[int], made: Parting, column: str | None
) -> None:
    for name, count in zip(names, counts, strict=True):
        if not count:
            raise Invalid(
                f"the part {name!r} of {of.ref} would be empty",
                f"there are {of.rows:,} rows, shared out as "
                + ", ".join(f"{n} {c:,}" for n, c in zip(names, counts, strict=True)),
                "give it a larger share or take fewer parts",
                code="E-DATA-083",
            )
    for value, rows in made.classes.items():
        for name, count in zip(names, rows, strict=True):
            if not count:
                raise Invalid(
                    f"class {value!r} of {column!r} would be missing in the part {name!r}",
                    f"it has {sum(rows):,} row{'' if sum(rows) == 1 else 's'}",
                    "merge rare classes, leave them out, or take fewer parts",
                    code="E-DATA-084",
                )


def _check_leaks(of: Dataset, frame: pl.LazyFrame, unit: list[str], places: Places) -> int:
    """Count the rows, keys or groups that are in two parts; there must be none.

    It doesn't trust how the parts were made: it looks for equal ones in different parts.
    """
    hashes = pl.concat(list(hash_rows(frame, unit)))
    placed = hashes.with_columns(pl.Series("place", places)).filter(pl.col("place") != LEFT_OUT)
    spread = placed.group_by(HASH, REST).agg(torn=pl.col("place").min() != pl.col("place").max())
    torn = int(spread["torn"].sum())
    if torn:
        raise Conflict(
            f"{torn:,} values of {', '.join(unit[:3])} would be in two parts of {of.ref}",
            "a model that has seen one would be tested on it",
            "split by group instead: --group COLUMN",
            code="E-DATA-098",
        )
    return torn
