"""Completion of columns: of the dataset, contract or data frame that the line names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_mlops.workspace.errors import MLOpsError

if TYPE_CHECKING:
    from jupyter_mlops.verbs.table import Parameter, Verb

__all__ = ["columns"]

LIMIT = 1000
# The parameters that name columns of the table that stands first on the line.
_COLUMNS = {"target", "key", "time", "columns", "stratify", "group", "column", "on", "by"}


def columns(
    verb: Verb, parameter: Parameter, taken: list[str], current: str, namespace: dict[str, Any]
) -> list[str]:
    """The columns that a word may name, as they are written on a line.

    Parameters
    ----------
    verb : Verb
    parameter : Parameter
        What the word is for; where it takes several names, the last one is completed.
    taken : list of str
        The arguments before it; the first one names the table.
    current : str
        The word, as far as it is written.
    namespace : dict
        The kernel's variables.
    """
    of_profile = verb.name == "profile column" and parameter.name == "name"
    if not taken or not (parameter.name in _COLUMNS or of_profile):
        return []
    first = taken[0]
    if first.startswith("{"):
        found = _of_frame(namespace.get(first.strip("{}")))
    else:
        found = _of_record(verb, first)
    ahead = ""
    if parameter.kind == "list" and not current.startswith(('"', "'")):
        ahead = current[: current.rfind(",") + 1]
    # Between commas quotes would be part of the name, or open in the middle of a word.
    written = [_word(name) for name in found[:LIMIT]]
    return [ahead + one for one in written if one and not (ahead and one[0] in "\"'")]


def _of_frame(value: Any) -> list[str]:
    if not hasattr(type(value), "columns"):
        return []
    return [one for one in value.columns if isinstance(one, str)]


def _of_record(verb: Verb, name: str) -> list[str]:
    """The columns of the newest version, or of the one that is named."""
    from sqlalchemy import select

    from jupyter_mlops.data.records import DatasetRecord
    from jupyter_mlops.profiling.records import ContractRecord, ProfileRecord
    from jupyter_mlops.workspace import Workspace

    kind, _, plain = name.rpartition(":")
    plain, _, version = plain.partition("@")
    group = verb.name.partition(" ")[0] if " " in verb.name else "data"
    try:
        with Workspace.open(create=False).read() as session:
            if group == "profile":
                made = session.get(ProfileRecord, plain)
                name, version = (made.data or "") if made is not None else "", ""
                plain, _, version = name.removeprefix("data:").partition("@")
            table = ContractRecord if group == "contract" or kind == "contract" else DatasetRecord
            query = select(table).where(table.name == plain).order_by(table.version.desc())
            if version.isdigit():
                query = query.where(table.version == int(version))
            record = session.scalars(query.limit(1)).first()
            if isinstance(record, ContractRecord):
                return list(record.body.get("columns", {}))
            return [one[0] for one in record.columns] if isinstance(record, DatasetRecord) else []
    except MLOpsError:  # no workspace, or none that answers: there is nothing to offer
        return []


def _word(name: str) -> str:
    """A name as a word of a line; nothing where no quotes can hold it."""
    shown = name.replace("{", "{{").replace("}", "}}")
    if shown.isidentifier():
        return shown
    if any(one in shown for one in "\n\r\\") or not shown:
        return ""
    mark = '"' if '"' not in shown else "'"
    plain = not any(one.isspace() or one in "\"'#;,$-" for one in shown)
    return shown if plain else f"{mark}{shown}{mark}" if mark not in shown else ""
