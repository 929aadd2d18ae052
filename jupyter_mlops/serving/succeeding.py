"""Whether callers of one version can go on asking another: what it takes that they don't send."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from jupyter_mlops.serving.fields import Field
from jupyter_mlops.serving.modelfile import ModelFile, read_model_file
from jupyter_mlops.serving.records import EndpointRecord
from jupyter_mlops.workspace import Conflict, Invalid, NotFound, Reference, Workspace

__all__ = ["check_successor", "not_sent"]

#: Kinds of numbers, which JSON doesn't tell apart; a value that doesn't fit is refused by itself.
_NUMBERS: Final = frozenset({"integer", "long", "float", "double"})


class _Version(Protocol):
    """What is asked of a registered version."""

    @property
    def digest(self) -> str: ...
    @property
    def ref(self) -> str: ...
    def path(self, ws: Workspace) -> Path: ...


def check_successor(ws: Workspace, version: _Version, endpoint: str) -> None:
    """Refuse a version whose columns callers of an endpoint don't send.

    Parameters
    ----------
    ws : Workspace
    version : ModelVersion
    endpoint : str
        Nothing is refused where it doesn't run, or isn't there yet.

    Raises
    ------
    Conflict
        The version asks for what the one that is served doesn't ask for.
    """
    with ws.read() as session:
        row = session.get(EndpointRecord, Reference.parse(endpoint, kind="endpoint").name)
        if row is None or row.desired != "running" or row.digest == version.digest:
            return
        name, served, folder = row.name, f"{row.model}@{row.version}", Path(row.path)
    try:
        before = read_model_file(folder)
    except (Invalid, NotFound, OSError):
        return  # what can't be read any more answers nobody
    asked = not_sent(before, read_model_file(version.path(ws)))
    if asked:
        raise Conflict(
            f"{version.ref.removeprefix('model:')} asks for what callers of endpoint '{name}' "
            "don't send",
            f"unlike {served}, which is served, it takes {', '.join(asked[:5])}",
            "serve it as an endpoint of its own with `--name`; or, once callers send it, with "
            "`--other-columns`",
            code="E-SERVE-067",
        )


def not_sent(before: ModelFile, after: ModelFile) -> list[str]:
    """What `after` asks for that a request to `before` never holds, in words.

    Each of them has every such request refused. A column that is no longer asked for is none: it
    is ignored with a warning.

    Examples
    --------
    >>> not_sent(read_model_file(old), read_model_file(new))  # doctest: +SKIP
    ["column 'gate'", "column 'hour' as string instead of long"]
    """
    if (before.tensor, before.unnamed) != (after.tensor, after.unnamed):
        return ["rows of another form"]
    if before.tensor and len(before.fields) != len(after.fields):
        return [f"rows of {len(after.fields)} values instead of {len(before.fields)}"]
    known = {one.name: one for one in before.fields}
    told = []
    for one in after.fields:
        old = known.get(one.name)
        if old is None and one.required:
            told.append(f"column {one.name!r}")
        elif old is not None and _kind(old) != _kind(one):
            told.append(f"column {one.name!r} as {one.type.name} instead of {old.type.name}")
    return told


def _kind(field: Field) -> tuple[str, tuple[int, ...]]:
    name = field.type.name
    return ("number" if name in _NUMBERS else name, field.type.shape)
