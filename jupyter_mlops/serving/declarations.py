"""What endpoints were declared to do, as far as events alone hold it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jupyter_mlops.serving.limits import Limits
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.workspace import Workspace, events

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from jupyter_mlops.serving.expectations import Mode

__all__ = ["contract_mode", "ever_hidden", "last_limits", "last_mode", "limits"]

_KIND = "endpoint.declared"


def contract_mode(ws: Workspace, name: str) -> Mode:
    """What an endpoint was last declared to do with rows that break the model's contract."""
    with ws.read() as session:
        return last_mode(session, name)


def limits(ws: Workspace, name: str) -> Limits:
    """What an endpoint was last declared to allow its processes and its callers."""
    with ws.read() as session:
        return last_limits(session, name)


def last_mode(session: Session, name: str) -> Mode:
    """As `contract_mode`, within a transaction."""
    told = _last(session, name).get("contract")
    return told if told in ("enforce", "off") else "observe"


def last_limits(session: Session, name: str) -> Limits:
    """As `limits`, within a transaction."""
    return Limits.of(_last(session, name))


def ever_hidden(ws: Workspace, name: str) -> frozenset[str]:
    """Columns that an endpoint was ever declared to leave out of its log, or to hash."""
    found: set[str] = set()
    with ws.read() as session:
        after = 0
        while told := events.read(session, after=after, kind=_KIND, subject=f"endpoint:{name}"):
            for one in told:
                policy = LogPolicy.of(one.payload.get("log", {}))
                found.update(policy.dropped, policy.hashed)
            after = told[-1].seq
    return frozenset(found)


def _last(session: Session, name: str) -> Mapping[str, Any]:
    """The payload of its last declaration, which is the one that counts."""
    last = events.read(session, limit=1, kind=_KIND, subject=f"endpoint:{name}", newest=True)
    return last[0].payload if last else {}
