"""Aliases: moved in one transaction with their event, and what they pointed to before."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from jupyter_mlops.models.records import AliasRecord
from jupyter_mlops.models.settling import settle
from jupyter_mlops.models.versions import ModelVersion
from jupyter_mlops.workspace import Conflict, Event, Invalid, Workspace, check_name
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.tracking import explained, tracking_client

__all__ = ["before", "check_alias", "move_alias", "pointed_to"]

How = Literal["register", "promote", "rollback"]
MOVED = "model.alias_moved"
PAGE = 1000


def check_alias(alias: str) -> None:
    """Refuse a word that can't be an alias.

    Raises
    ------
    Invalid
        It is no name, or reads like a version.
    """
    check_name(alias, "alias")
    # MLflow keeps these words for itself.
    if alias.isdigit() or alias.lower() == "latest" or alias.lower().lstrip("v").isdigit():
        raise Invalid(
            f"{alias!r} can't be an alias",
            "it reads like a version",
            "use a word such as champion",
            code="E-MODEL-009",
        )


def move_alias(
    ws: Workspace,
    version: ModelVersion,
    alias: str,
    how: How = "promote",
    *,
    expected: int | None = None,
    **payload: Any,
) -> Event:
    """Let an alias point to `version`: our record and its event at once, then MLflow.

    A crash in between is mended by the next look at the model, see
    `jupyter_mlops.models.settling`.

    Parameters
    ----------
    ws : Workspace
    version : ModelVersion
    alias : str
    how : {"register", "promote", "rollback"}
    expected : int, optional
        The version it pointed to when this was decided.
    **payload
        What else the event tells.

    Raises
    ------
    Conflict
        It points to another version by now than the one `expected`.
    """
    check_alias(alias)
    client = tracking_client(ws)
    settle(ws, client, version.name)
    seen = _moved_at(ws, version.name, alias)
    earlier = pointed_to(ws, version.name, alias)
    if expected is not None and earlier != expected:
        raise _moved_meanwhile(version, alias, earlier)
    with ws.write() as tx:
        key = (version.name, alias)
        row = tx.session.get(AliasRecord, key, with_for_update=True)
        if row is not None and row.moved_at != seen:
            raise _moved_meanwhile(version, alias, row.version)
        if row is None:
            row = AliasRecord(model=version.name, alias=alias)
            tx.session.add(row)
        row.version, row.actor = version.version, ws.user
        row.moved_at, row.settled_at = utcnow(), None
        event = tx.emit(
            MOVED,
            f"model:{version.name}@{alias}",
            payload={
                "alias": alias,
                "version": version.version,
                "before": earlier,
                "digest": version.digest,
                "how": how,
                **payload,
            },
            inputs=[version.ref],
        )
    settle(ws, client, version.name)
    return event


def _moved_at(ws: Workspace, name: str, alias: str) -> datetime | None:
    with ws.read() as session:
        row = session.get(AliasRecord, (name, alias))
        return row.moved_at if row is not None else None


def pointed_to(ws: Workspace, name: str, alias: str) -> int | None:
    """The version MLflow has at an alias; None when there is none."""
    from mlflow.exceptions import MlflowException

    client = tracking_client(ws)
    with explained(ws):
        try:
            return int(client.get_model_version_by_alias(name, alias).version)
        except MlflowException as error:
            # Servers and the embedded store have different codes for an alias that isn't there.
            if error.error_code not in {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"}:
                raise
    return None


def before(ws: Workspace, name: str, alias: str) -> int | None:
    """The version that rolling an alias back returns to; None when there is none.

    Moves are a stack: promoting puts a version on it, rolling back takes one off. A version
    that somebody set in MLflow itself is on it once a later move has seen it.
    """
    stack: list[int] = []
    for event in _moves(ws, f"model:{name}@{alias}"):
        earlier, version = event.payload.get("before"), int(event.payload["version"])
        if earlier is not None and stack[-1:] != [earlier]:
            stack.append(int(earlier))
        if event.payload.get("how") == "rollback":
            stack.pop()
            if stack[-1:] != [version]:
                stack.append(version)
        elif stack[-1:] != [version]:
            stack.append(version)
    now = pointed_to(ws, name, alias)
    if now is not None and stack[-1:] != [now]:
        stack.append(now)
    return stack[-2] if len(stack) > 1 else None


def _moves(ws: Workspace, subject: str) -> list[Event]:
    found: list[Event] = []
    while True:
        after = found[-1].seq if found else 0
        page = ws.events(after=after, limit=PAGE, kind=MOVED, subject=subject)
        found += page
        if len(page) < PAGE:
            return found


def _moved_meanwhile(version: ModelVersion, alias: str, now: int | None) -> Conflict:
    where = f"version {now}" if now is not None else "no version"
    return Conflict(
        f"{version.name}@{alias} was moved meanwhile",
        f"it points to {where}",
        "look at it and ask again",
        code="E-MODEL-016",
    )
