"""Contracts in the workspace: named, versioned, and never changed once saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jupyter_mlops.data import Table, resolve
from jupyter_mlops.profiling.contracts.checking import check
from jupyter_mlops.profiling.contracts.editing import changed, merged
from jupyter_mlops.profiling.contracts.inferring import infer
from jupyter_mlops.profiling.contracts.model import Contract
from jupyter_mlops.profiling.contracts.violations import CheckResult
from jupyter_mlops.profiling.keeping import make
from jupyter_mlops.profiling.records import ContractRecord
from jupyter_mlops.workspace.errors import Invalid, MLOpsError, NotFound, closest
from jupyter_mlops.workspace.records import new_id, utcnow
from jupyter_mlops.workspace.references import Reference, check_name
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Contracts", "edit", "enforce", "get", "learn", "list_contracts", "patch", "save"]


@dataclass(frozen=True)
class Contracts(Result):
    """The contracts of a workspace, each in its newest version; `counts` says how many it has."""

    items: list[Contract]
    counts: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Contract]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def learn(
    ws: Workspace,
    table: Table,
    *,
    target: str | None = None,
    key: list[str] | None = None,
    time: str | None = None,
) -> Contract:
    """Learn a contract from a table: profiled once, and its bounds counted in one more pass.

    Parameters
    ----------
    ws : Workspace
    table : Table
        From `jupyter_mlops.data.resolve`; a dataset's key and time are taken from it.
    target : str, optional
        The column to predict.
    key, time : optional
        As `infer` takes them.
    """
    profile = make(ws, table, target=target)
    if not profile.complete:
        # What was seen until an interrupt is worth a look, and no promise about all rows.
        raise KeyboardInterrupt
    named = key or ([table.key] if table.key else None)
    return infer(profile, table.scan(), key=named, time=time or table.time)


def enforce(ws: Workspace, name: str, table: Table, environment: str = "training") -> CheckResult:
    """Check a table against a saved contract, and raise if it breaks it.

    Raises
    ------
    NotFound
        There is no such contract.
    Invalid
        The table breaks it.
    """
    __tracebackhide__ = True
    contract = get(ws, name)
    found = check(contract, table.scan(), environment=environment, label=table.label)
    found.raise_for_violations()
    return found


def save(ws: Workspace, contract: Contract, name: str | None = None) -> Contract:
    """Save a contract as the newest version of its name.

    A contract with the content of the newest version is that version; nothing is written.

    Returns
    -------
    Contract
        With its name and version.

    Examples
    --------
    >>> save(ws, infer(profile), "flights").ref  # doctest: +SKIP
    'contract:flights@1'
    """
    name = check_name(name or contract.name, "contract")
    for attempt in range(4):
        try:
            return _save(ws, contract, name)
        except IntegrityError:
            # On PostgreSQL two writers may have taken the same number; the loser looks again.
            if attempt == 3:
                raise
    raise AssertionError("the loop returns or raises")


def get(ws: Workspace, name: str) -> Contract:
    """Find a contract by name, ``name@version`` or reference; a bare name means the newest.

    Raises
    ------
    NotFound
        No contract of that name or version; names the closest.

    Examples
    --------
    >>> get(ws, "contract:flights@2")  # doctest: +SKIP
    """
    ref = Reference.parse(name, kind="contract")
    query = select(ContractRecord).where(ContractRecord.name == ref.name)
    if ref.version is not None:
        if ref.number is None:
            raise Invalid(
                f"{ref.version!r} is no version of a contract",
                fix=f"write {ref.name}@1",
                code="E-CONTRACT-030",
            )
        query = query.where(ContractRecord.version == ref.number)
    with ws.read() as session:
        record = session.scalars(query.order_by(ContractRecord.version.desc()).limit(1)).first()
        names = [] if record else sorted(set(session.scalars(select(ContractRecord.name))))
        if record is not None:
            return _of(record)
    if ref.name in names:
        raise NotFound(
            f"contract {ref.name!r} has no version {ref.version}",
            fix=f"`%mlops contract show {ref.name}` shows the newest",
            code="E-CONTRACT-031",
        )
    raise NotFound(
        f"no contract is called {ref.name!r}",
        f"the workspace holds {', '.join(names[:8])}" if names else "the workspace holds none",
        closest(ref.name, names) or f"learn one: `%mlops contract DATA --save {ref.name}`",
        code="E-CONTRACT-032",
    )


def list_contracts(ws: Workspace) -> Contracts:
    """List the contracts, each in its newest version, by name."""
    newest = (
        select(ContractRecord.name, func.max(ContractRecord.version).label("version"))
        .group_by(ContractRecord.name)
        .subquery()
    )
    joined = select(ContractRecord).join(
        newest,
        (ContractRecord.name == newest.c.name) & (ContractRecord.version == newest.c.version),
    )
    with ws.read() as session:
        items = [_of(one) for one in session.scalars(joined.order_by(ContractRecord.name))]
    return Contracts(items, {one.name: one.version or 0 for one in items})


def edit(ws: Workspace, name: str, column: str, **changes: Any) -> Contract:
    """Change what a contract says of a column, as a new version.

    The data that the contract was learnt from is checked anew; what it already breaks is told
    in the contract's `notes`.

    Parameters
    ----------
    ws : Workspace
    name : str
        A bare name means the newest version, which the new one follows.
    column : str
    **changes
        See `jupyter_mlops.profiling.contracts.editing.CHANGES`.
    """
    return _edited(ws, name, lambda old: changed(old, column, ws.user, **changes))


def patch(ws: Workspace, name: str, text: str) -> Contract:
    """Change a contract by JSON or YAML text, as a new version; see `editing.merged`.

    Raises
    ------
    Invalid
        The text can't be read; says where.
    """
    import yaml  # type: ignore[import-untyped]

    try:
        change = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise Invalid(
            "the text can't be read as YAML or JSON",
            f"line {mark.line + 1}: {getattr(error, 'problem', '')}" if mark else str(error),
            "write what changes, such as `columns: {income: {null: {max_fraction: 0.1}}}`",
            code="E-CONTRACT-033",
        ) from None
    return _edited(ws, name, lambda old: merged(old, change, ws.user))


def _edited(ws: Workspace, name: str, change: Callable[[Contract], Contract]) -> Contract:
    old = get(ws, name)
    new = change(old)
    if new.digest == old.digest:
        return old.model_copy(update={"notes": ["Nothing changed: it says so already."]})
    saved = save(ws, new, old.name)
    return saved.model_copy(update={"notes": _tried(ws, saved)})


def _tried(ws: Workspace, contract: Contract) -> list[str]:
    """What the data that a contract was learnt from says to it."""
    source = contract.origin.data
    if not source or source.startswith(("a ", "an ")):  # a frame, which nothing can give again
        return ["Not tried: the frame it was learnt from isn't kept."] if source else []
    try:
        table = resolve(ws, source)
        found = check(contract, table.scan(), label=table.label)
    except MLOpsError as error:
        return [f"Not tried on {source}, which it was learnt from: {error.what}."]
    if not found.violations:
        return [f"{table.label}, which it was learnt from, keeps it."]
    return [
        f"{table.label}, which it was learnt from, breaks it: {one.sentence}."
        for one in found.violations
    ]


def _save(ws: Workspace, contract: Contract, name: str) -> Contract:
    body, digest = contract.content(), contract.digest
    with ws.write() as tx:
        newest = _newest(tx.session, name)
        if newest is not None and newest.digest == digest:
            return _of(newest)
        number = (newest.version if newest is not None else 0) + 1
        record = ContractRecord(
            id=new_id(),
            name=name,
            version=number,
            digest=digest,
            body=body,
            data=contract.origin.data or None,
            profile=contract.profile or None,
            author=ws.user,
            created_at=utcnow(),
        )
        tx.session.add(record)
        tx.session.flush()
        data, before = contract.origin.data, f"contract:{name}@{number - 1}"
        inputs = [data] if data.startswith("data:") else []
        tx.emit(
            "contract.saved",
            f"contract:{name}@{number}",
            payload={"digest": digest, "columns": len(contract.columns)},
            inputs=[*inputs, *([before] if number > 1 else [])],
            outputs=[f"contract:{name}@{number}"],
        )
        return _of(record, contract.notes)


def _newest(session: Session, name: str) -> ContractRecord | None:
    return session.scalars(
        select(ContractRecord)
        .where(ContractRecord.name == name)
        .order_by(ContractRecord.version.desc())
        .limit(1)
    ).first()


def _of(record: ContractRecord, notes: list[str] | None = None) -> Contract:
    return Contract.from_dict(
        record.body,
        name=record.name,
        version=record.version,
        author=record.author,
        created_at=record.created_at,
        profile=record.profile or "",
        notes=list(notes or []),
    )
