"""What a policy's notebooks took of the week's budget."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from jupyter_mlops.retraining.records import DecisionRecord
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["lately"]


def lately(
    ws: Workspace, policy: str, span: timedelta = timedelta(days=7), *, besides: str | None = None
) -> tuple[int, float]:
    """Notebooks that a policy ran in the last days, and their processor seconds.

    The decision `besides` doesn't count.
    """
    query = select(func.count(), func.coalesce(func.sum(DecisionRecord.cpu_seconds), 0.0)).where(
        DecisionRecord.policy == policy,
        DecisionRecord.at > utcnow() - span,
        DecisionRecord.cpu_seconds > 0,
    )
    if besides is not None:
        query = query.where(DecisionRecord.id != besides)
    with ws.read() as session:
        count, seconds = session.execute(query).one()
    return int(count), float(seconds)
