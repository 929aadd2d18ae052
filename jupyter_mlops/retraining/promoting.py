"""From a challenger that passed to a version that serves, and back when it does worse."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, Final

import numpy as np
import pandas as pd
import polars as pl
from sqlalchemy import select

from jupyter_mlops import models, serving
from jupyter_mlops.experiments.comparison import paired_difference
from jupyter_mlops.experiments.influence import METRICS_OF_ROWS, influence
from jupyter_mlops.experiments.trials import find_run
from jupyter_mlops.models import ModelVersion
from jupyter_mlops.models.aliases import pointed_to
from jupyter_mlops.models.approvals import approvals_of
from jupyter_mlops.monitoring.estimates import FEWEST_BLOCKS
from jupyter_mlops.monitoring.limits import level
from jupyter_mlops.retraining.decisions import Decision, close, note
from jupyter_mlops.retraining.evidence import HeldOut, score
from jupyter_mlops.retraining.labelled import TIME, labelled
from jupyter_mlops.retraining.policies import policy
from jupyter_mlops.retraining.records import DecisionRecord
from jupyter_mlops.workspace import (
    Conflict,
    Denied,
    MLOpsError,
    NotFound,
    Unavailable,
    Workspace,
)
from jupyter_mlops.workspace.records import utcnow

__all__ = ["CHAMPION", "deciding_metric", "promote_challenger", "settle_waiting", "watch_promoted"]

CHAMPION: Final = "champion"
#: Rows with truth at which a promoted version is looked at for the first time; then at twice as
#: many, and so on.
FIRST_LOOK: Final = 100
#: All looks together send a version back that isn't worse with this probability at the most.
WRONGLY: Final = 0.05
#: A version that held so long isn't looked at any more.
WATCHED: Final = timedelta(days=30)


def promote_challenger(ws: Workspace, found: Decision, held: HeldOut) -> Decision:
    """Let the champion's alias point to the challenger, and serve it.

    Nothing is promoted when the policy or the champion was changed meanwhile, or a gate of the
    model doesn't pass.
    """
    assert found.challenger is not None
    try:
        kept = policy(ws, found.policy)
    except NotFound:
        return close(ws, found.ref, "held", "The policy was taken away while it decided.")
    if kept.paused:
        return close(ws, found.ref, "stopped", "The policy was stopped while it decided.")
    if kept.generation != found.generation:
        return close(ws, found.ref, "held", "The policy was changed while it decided.")
    challenger = models.get(ws, found.challenger)
    now = pointed_to(ws, found.model, CHAMPION)
    before = int(found.champion.rpartition("@")[2]) if found.champion else None
    # A process that died between the promotion and its record finds the work done.
    if now != challenger.version:
        if now is not None and now != before:
            reason = f"{found.model}@{CHAMPION} was moved to version {now} while it decided."
            return close(ws, found.ref, "held", reason)
        try:
            serving.check_successor(ws, challenger, found.terms.endpoint)
            models.promote(ws, challenger.label, CHAMPION, held)
        except (Denied, Conflict) as error:
            return close(ws, found.ref, "held", f"{error.what}: {error.why}.")
    serving.declare(ws, models.get(ws, challenger.label), found.terms.endpoint)
    served = f"{challenger.label} is {CHAMPION} and served by {found.terms.endpoint}."
    return close(ws, found.ref, "promoted", f"{served} {found.reason}".strip())


def settle_waiting(ws: Workspace) -> int:
    """Promote what a person has approved; return how many decisions were settled."""
    settled = 0
    for found in _in_state(ws, "waiting"):
        try:
            settled += _promote_approved(ws, found)
        except Unavailable:
            raise  # what can't be reached now is asked again
        except MLOpsError as error:
            # One that can't be promoted any more doesn't hold up the others.
            why = f": {error.why}" if error.why else ""
            reason = f"{found.challenger} can't be promoted: {error.what}{why}."
            close(ws, found.ref, "failed", reason, found={"code": error.code})
            settled += 1
    return settled


def _promote_approved(ws: Workspace, found: Decision) -> bool:
    assert found.challenger is not None
    challenger = models.get(ws, found.challenger)
    if not approvals_of(ws, challenger):
        return False
    versions = [challenger]
    if found.champion:
        versions.append(models.get(ws, found.champion))
    promote_challenger(ws, found, HeldOut.restored(ws, found.folder, versions))
    return True


def watch_promoted(ws: Workspace) -> int:
    """Send back each promoted version that does worse than the one before; return how many.

    Both are scored on the rows that the new one answered and whose truth has come; the losses
    are paired, with days as blocks where there are eight. It is looked at 100 rows, 200, 400, and
    so on, the k-th time with confidence 1 - 0.05 / (k (k + 1)): these sum to 5 %, the bound on
    sending back a version that isn't worse.
    """
    back = 0
    for found in _in_state(ws, "promoted"):
        if found.champion is None or found.challenger is None or found.ended_at is None:
            continue
        if found.found.get("watch", {}).get("done") or utcnow() - found.ended_at > WATCHED:
            continue
        try:
            back += _watch(ws, found, found.challenger, found.champion)
        except MLOpsError as error:
            # It is looked at again when more truth has come; the others are looked at now.
            watch = found.found.get("watch", {})
            note(ws, found.ref, found={"watch": watch | {"error": str(error)}})
    return back


def _watch(ws: Workspace, found: Decision, challenger: str, champion: str) -> bool:
    version = models.get(ws, challenger)
    if pointed_to(ws, found.model, CHAMPION) != version.version:
        note(ws, found.ref, found={"watch": {"done": "another version is champion by now"}})
        return False
    return _look(ws, found, version, models.get(ws, champion))


def _look(ws: Workspace, found: Decision, version: ModelVersion, earlier: ModelVersion) -> bool:
    run = find_run(ws, f"run:{version.run_id}")
    known = labelled(ws, found.terms.endpoint, version, run)
    rows = known.rows.filter(pl.col("version").cast(pl.String) == str(version.version))
    # A look that nobody took, because many rows came at once, is no look.
    looks = (rows.height // FIRST_LOOK).bit_length()
    if looks <= int(found.found.get("watch", {}).get("looks", 0)):
        return False
    confidence = 1 - WRONGLY / (looks * (looks + 1))
    frames = [score(ws, one, rows) for one in (earlier, version)]
    metric = deciding_metric(run.task, frames[0])
    classes = run.model.get("classes") or []
    theirs, mine = (influence(one, metric, classes) for one in frames)
    # A higher accuracy is better: turned round, everything is a loss.
    sign = -1.0 if metric in ("auc", "accuracy", "r2") else 1.0
    groups = _days(frames[0])
    worse, low, high, _ = paired_difference(sign * theirs, sign * mine, groups, confidence)
    said = (
        f"its {metric} on {rows.height:,} rows with truth is {float(mine.mean()):.4g} against "
        f"{float(theirs.mean()):.4g} of {earlier.label} on the same rows; as a loss the "
        f"difference is {worse:+.4g} ({level(confidence)}: {low:+.4g} to {high:+.4g})"
    )
    told: dict[str, Any] = {"looks": looks, "rows": rows.height, "said": said}
    told |= {"low": _number(low), "high": _number(high)}
    # A difference that isn't a number sends nobody back.
    if not low > 0:
        note(ws, found.ref, found={"watch": told})
        return False
    models.rollback(ws, found.model, CHAMPION)
    now = models.get(ws, f"{found.model}@{CHAMPION}")
    # Callers have sent what it takes before.
    serving.declare(ws, now, found.terms.endpoint, other_columns=True)
    reason = f"{version.label} went back to {now.label}: {said}."
    close(ws, found.ref, "rolled back", reason, found={"watch": told | {"done": "rolled back"}})
    return True


def deciding_metric(task: str | None, rows: pd.DataFrame) -> str:
    """The metric that decides: the first that the task has, accuracy without probabilities."""
    if task != "regression" and "p_0" not in rows:
        return "accuracy"
    return METRICS_OF_ROWS[task or "regression"][0]


def _number(value: float) -> float | None:
    """As JSON has it, which knows neither NaN nor infinity."""
    return value if math.isfinite(value) else None


def _days(rows: pd.DataFrame) -> np.ndarray | None:
    days = rows[f"by.{TIME}"].dt.date
    return days.to_numpy() if days.nunique() >= FEWEST_BLOCKS else None


def _in_state(ws: Workspace, state: str) -> list[Decision]:
    query = select(DecisionRecord).where(
        DecisionRecord.state == state, DecisionRecord.dry.is_(False)
    )
    with ws.read() as session:
        return [Decision.of(row) for row in session.scalars(query)]
