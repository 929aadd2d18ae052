"""Verbs for contracts: what data must be like."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from jupyter_mlops.verbs.table import Body, Data, File, verb

if TYPE_CHECKING:
    from jupyter_mlops.profiling.contracts import CheckResult, Contract, ContractDiff, Contracts
    from jupyter_mlops.profiling.contracts.exporting import Exported
    from jupyter_mlops.workspace import Workspace


@verb("contract", writes=True)
def contract(
    ws: Workspace,
    source: Data,
    *,
    target: str | None = None,
    key: list[str] | None = None,
    time: str | None = None,
    save: str | None = None,
    check: Data | None = None,
    environment: str = "training",
    strict: bool = False,
) -> Contract | CheckResult:
    """Learn from a table what others like it must be like, or check a table against that.

    What is learnt is conservative: each bound says which share of the rows may lie outside and
    where it came from, so that the next honest table keeps it.

    Parameters
    ----------
    source : data
        The table to learn from: a dataset, a path or URI, or a data frame. Or a contract:
        with --check a name means the contract before the dataset.
    target : str
        The column to predict, which is absent at serving.
    key : list
        The columns that together tell rows apart.
    time : str
        The column that says when a row happened.
    save : str
        Keep the contract under that name; a new version when its content is new.
    check : data
        The table to check.
    environment : str
        Where the checked table is met: training or serving.
    strict : bool
        Raise when the checked table breaks the contract.

    Examples
    --------
    >>> %mlops contract flights --target late --save flights
    >>> %mlops contract flights --check {february}
    >>> %mlops contract flights@2 --check requests.parquet --environment serving --strict
    """
    from jupyter_mlops import data
    from jupyter_mlops.profiling import contracts
    from jupyter_mlops.workspace.errors import Invalid

    __tracebackhide__ = True
    if check is None and (strict or environment != "training"):
        raise Invalid(
            f"{'--strict' if strict else '--environment'} goes with --check",
            fix="name the table to check: --check DATA",
            code="E-CONTRACT-056",
        )
    made = _named(ws, source, first=check is not None)
    if made is None:
        table = data.resolve(ws, source)
        made = contracts.learn(ws, table, target=target, key=key, time=time)
    if save is not None:
        made = contracts.save(ws, made, save)
    if check is None:
        return made
    checked = data.resolve(ws, check)
    result = contracts.check(made, checked.scan(), environment=environment, label=checked.label)
    result.data_ref = checked.ref
    if strict:
        result.raise_for_violations()
    return result


@verb("contract ls")
def contract_ls(ws: Workspace) -> Contracts:
    """List the contracts of the workspace.

    Examples
    --------
    >>> %mlops contract ls
    """
    from jupyter_mlops.profiling import contracts

    return contracts.list_contracts(ws)


@verb("contract show")
def contract_show(ws: Workspace, name: str) -> Contract:
    """Show what a contract says of each column, and the text it is written in.

    Parameters
    ----------
    name : str
        A name, or name@version.

    Examples
    --------
    >>> %mlops contract show flights
    >>> %mlops contract show flights@1
    """
    from jupyter_mlops.profiling import contracts

    return contracts.get(ws, name)


@verb("contract diff")
def contract_diff(ws: Workspace, a: str, b: str) -> ContractDiff:
    """Show which rules of two contracts differ, and which way.

    Parameters
    ----------
    a : str
        A name, or name@version.
    b : str
        Another one.

    Examples
    --------
    >>> %mlops contract diff flights@1 flights@2
    """
    from jupyter_mlops.profiling import contracts

    return contracts.diff(contracts.get(ws, a), contracts.get(ws, b))


@verb("contract edit", writes=True)
def contract_edit(
    ws: Workspace,
    name: str,
    column: str | None = None,
    body: Body | None = None,
    *,
    min: float | None = None,
    max: float | None = None,
    since: str | None = None,
    until: str | None = None,
    max_outside: float | None = None,
    rule: Literal["bounds", "domain", "length", "pattern"] | None = None,
    allow: list[str] | None = None,
    forbid: list[str] | None = None,
    max_missing: float | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    pattern: str | None = None,
    required: bool = False,
    optional: bool = False,
    absent_at: str | None = None,
    present_at: str | None = None,
    type: str | None = None,
    role: Literal["feature", "target", "key", "time"] | None = None,
    watch: float | None = None,
    drift: float | None = None,
    max_repeats: float | None = None,
    max_age: str | None = None,
) -> Contract:
    """Change what a contract says, as a new version, tried at once on the data it came from.

    With a cell body the body says what changes, in YAML or JSON: a rule that isn't named stays,
    and null takes one out. The text that `contract show` prints, changed, is such a body.

    Parameters
    ----------
    name : str
        The contract.
    column : str
        The column; several with commas between them for the repeats of a compound key.
    min : float
        The least number.
    max : float
        The largest number.
    since : str
        The earliest time, such as 2024-01-31.
    until : str
        The latest time.
    max_outside : float
        The share of values that may lie outside; 0 for none.
    rule : str
        Which rule --max-outside is for, when the column has more than one.
    allow : list
        Values to add to those that are known.
    forbid : list
        Values to take out.
    max_missing : float
        The share of rows that may have no value.
    min_length : int
        The least number of characters.
    max_length : int
        The largest number of characters.
    pattern : str
        A regular expression that texts match.
    required : bool
        The column must be there.
    optional : bool
        The column needn't be there.
    absent_at : str
        An environment where the column isn't there, such as serving.
    present_at : str
        An environment where the column is there after all.
    type : str
        The type of its values: integer, float, text, boolean, date, datetime…
    role : str
        What the column is for.
    watch : float
        The difference from which on monitoring has a look.
    drift : float
        The difference that monitoring calls drift.
    max_repeats : float
        The share of rows that may repeat another's value: 0 for a key, 1 for none.
    max_age : str
        How old the newest row may be, such as 36h or 7d.

    Examples
    --------
    >>> %mlops contract edit flights dep_delay --min -60 --max 1500 --max-outside 0.001
    >>> %mlops contract edit flights carrier --allow ZZ,XX
    >>> %%mlops contract edit flights
    ... columns:
    ...   distance: {null: {max_fraction: 0}}
    """
    from jupyter_mlops.data.spans import span
    from jupyter_mlops.profiling import contracts
    from jupyter_mlops.workspace.errors import Invalid

    changes: dict[str, Any] = {
        "lo": since if min is None else min,
        "hi": until if max is None else max,
        "max_outside": max_outside,
        "rule": rule,
        "allow": allow,
        "forbid": forbid,
        "max_missing": max_missing,
        "min_length": min_length,
        "max_length": max_length,
        "pattern": pattern,
        "required": True if required else False if optional else None,
        "absent_at": absent_at,
        "present_at": present_at,
        "type": type,
        "role": role,
        "watch": watch,
        "act": drift,
        "max_repeats": max_repeats,
        "max_age": None if max_age is None else span(max_age, "an age").total_seconds(),
    }
    if (column is None) is (body is None):
        raise Invalid(
            "`contract edit` takes a column with flags, or a cell body",
            "both were given" if body is not None else "",
            f"such as `%mlops contract edit {name} COLUMN --max-missing 0.1`",
            code="E-CONTRACT-040",
        )
    if body is not None:
        if any(one is not None for one in changes.values()):
            raise Invalid(
                "flags of `contract edit` need a column",
                "the cell body says what changes by itself",
                "leave out one of them",
                code="E-CONTRACT-041",
            )
        return contracts.patch(ws, name, body)
    return contracts.edit(ws, name, str(column), **changes)


@verb("contract export", writes=True)
def contract_export(
    ws: Workspace,
    name: str,
    file: File,
    *,
    to: Literal["json", "json-schema", "pandera"] = "json",
) -> Exported:
    """Write a contract to a file: as it is, as JSON Schema, or as pandera's YAML.

    What the other format can't enforce is said, and kept in it for `contract import`.

    Parameters
    ----------
    name : str
        A name, or name@version.
    file : str
        The file to write.
    to : str
        The format. JSON Schema describes one record, pandera a data frame.

    Examples
    --------
    >>> %mlops contract export flights flights.schema.json --to json-schema
    >>> %mlops contract export flights flights.yaml --to pandera
    """
    from jupyter_mlops.profiling import contracts
    from jupyter_mlops.profiling.contracts.exporting import write

    return write(contracts.get(ws, name), file, to)


@verb("contract import", writes=True)
def contract_import(ws: Workspace, name: str, file: File) -> Contract:
    """Read a contract from a file: our own JSON or YAML, JSON Schema, or pandera's YAML.

    Parameters
    ----------
    name : str
        What to call it; a new version when there is one of that name.
    file : str
        The file.

    Examples
    --------
    >>> %mlops contract import flights flights.schema.json
    """
    from jupyter_mlops.profiling import contracts
    from jupyter_mlops.profiling.contracts.exporting import read

    return contracts.save(ws, read(file), name)


def _named(ws: Workspace, source: Any, *, first: bool) -> Contract | None:
    """The contract that is meant, `first` or where no data is; None for data."""
    from jupyter_mlops.profiling import contracts
    from jupyter_mlops.workspace.errors import MLOpsError

    if isinstance(source, contracts.Contract):
        return source
    if not isinstance(source, str):
        return None
    if source.startswith("contract:"):
        return contracts.get(ws, source)
    known = {one.name for one in contracts.list_contracts(ws)}
    if source.partition("@")[0] not in known:
        return None
    # Of flights@7, the contract may have too few versions and the dataset enough, or neither.
    ways: tuple[Callable[[Workspace, str], Contract | None], ...] = (_contract, _data)
    for way in ways if first else reversed(ways):
        try:
            return way(ws, source)
        except MLOpsError:
            continue
    return contracts.get(ws, source)


def _contract(ws: Workspace, source: str) -> Contract:
    from jupyter_mlops.profiling import contracts

    return contracts.get(ws, source)


def _data(ws: Workspace, source: str) -> None:
    """Raise unless there is such data."""
    from jupyter_mlops import data

    data.resolve(ws, source)
