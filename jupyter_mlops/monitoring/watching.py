"""One check of a monitor, in a process of its own, and what the log of events says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import func, select

from jupyter_mlops import serving
from jupyter_mlops.experiments.trials import may_live, process_name
from jupyter_mlops.monitoring.alerts import Finding, settle
from jupyter_mlops.monitoring.checks import Drift, check
from jupyter_mlops.monitoring.drift import fresh_window
from jupyter_mlops.monitoring.monitors import Monitor, Terms
from jupyter_mlops.monitoring.records import DriftCheckRecord, MonitorRecord
from jupyter_mlops.monitoring.served import check_served
from jupyter_mlops.monitoring.verdicts import loss_sentence
from jupyter_mlops.monitoring.windows import Window, parse_length
from jupyter_mlops.serving.records import EndpointRecord, FeedbackRecord
from jupyter_mlops.workspace import Conflict, MLOpsError, NotFound, Workspace
from jupyter_mlops.workspace.events import Event
from jupyter_mlops.workspace.records import EventRecord, utcnow
from jupyter_mlops.workspace.store import Transaction

__all__ = ["ATTEMPTS", "follow_events", "give_up", "make_check"]

#: So often a check is begun before it is given up until the next is due.
ATTEMPTS: Final = 3
_PAUSE: Final = timedelta(seconds=5)
_NO_TRAFFIC: Final = "E-MONITORING-005"
_WRONG: Final = {"endpoint.failed": "failed", "endpoint.rolled_back": "rolled back"}
_RIGHT: Final = ("endpoint.ready", "endpoint.stopped")


def make_check(ws: Workspace, endpoint: str) -> Monitor:
    """Check an endpoint as its monitor says, and turn the verdict into alerts.

    A check that was made and not judged, because its process was killed, is judged first: no
    verdict is lost, and none counts twice.

    Raises
    ------
    Conflict
        ``E-ALERT-050``: another process makes a check of it, or it is stopped.
    MLOpsError
        The check can't be made.
    """
    row = _claim(ws, endpoint)
    terms = Terms.of(row.terms)
    # So the checks of a monitor are told from those people make.
    own = Workspace(ws.root, ws.settings)
    own.user = f"monitor:{endpoint}"
    try:
        found, findings, outcome = _checked(own, row, terms)
    except NotFound as error:
        if error.code != _NO_TRAFFIC:
            return _stumbled(ws, row, error)
        found, findings, outcome = None, [], "There is no traffic yet."
    except MLOpsError as error:
        return _stumbled(ws, row, error)
    return _close(ws, row, terms, [*findings, _made(endpoint)], outcome, found)


def _claim(ws: Workspace, endpoint: str) -> MonitorRecord:
    with ws.write() as tx:
        row = tx.session.get(MonitorRecord, endpoint)
        me = process_name()
        if row is None or row.paused:
            raise Conflict(f"{endpoint} isn't monitored", code="E-ALERT-050")
        if row.process is not None and row.process != me and may_live(row.process):
            raise Conflict(
                f"{endpoint} is being checked", "another process does", code="E-ALERT-050"
            )
        row.process = me
        row.attempts += 1
        tx.session.flush()
        tx.session.expunge(row)
        return row


def _checked(
    ws: Workspace, row: MonitorRecord, terms: Terms
) -> tuple[Drift | None, list[Finding], str]:
    found = _unjudged(ws, row)
    before = _last(ws, row)
    fresh = True
    if found is None:
        new = _new(ws, row.endpoint, before)
        fresh, truth = new is not None, _has_truth(ws, row)
        if not fresh and not truth:
            return None, [], "No traffic and no truth has come since the last check."
        since = None
        if terms.window is None and before is not None and before.last is not None:
            # Where only truth is new, the rows of the last check get theirs.
            since = new or before.window
        found = check_served(
            ws,
            row.endpoint,
            against=terms.against,
            window=since,
            length=terms.window,
            stricter=terms.budget.limits,
            every=terms.budget.every,
        )
    return found, _findings(found, terms, fresh), found.sentence


def _unjudged(ws: Workspace, row: MonitorRecord) -> Drift | None:
    query = select(DriftCheckRecord.id).where(
        DriftCheckRecord.endpoint == row.endpoint,
        DriftCheckRecord.actor == f"monitor:{row.endpoint}",
    )
    if row.checked_at is not None:
        query = query.where(DriftCheckRecord.at > row.checked_at)
    with ws.read() as session:
        found = session.scalar(query.order_by(DriftCheckRecord.at.desc()).limit(1))
    return check(ws, found) if found is not None else None


def _last(ws: Workspace, row: MonitorRecord) -> Drift | None:
    return check(ws, row.check) if row.check is not None else None


def _new(ws: Workspace, endpoint: str, before: Drift | None) -> Window | None:
    """The traffic that no check has seen yet; None when there is none."""
    if before is None:
        return Window()
    return fresh_window(serving.traffic.read(ws, endpoint), before)


def _has_truth(ws: Workspace, row: MonitorRecord) -> bool:
    query = select(func.max(FeedbackRecord.received_at))
    with ws.read() as session:
        newest = session.scalar(query.where(FeedbackRecord.endpoint == row.endpoint))
    return newest is not None and (row.checked_at is None or newest > row.checked_at)


def _findings(found: Drift, terms: Terms, fresh: bool) -> list[Finding]:
    """What a check says; inputs that were judged already say nothing again."""
    budget, drifted = terms.budget, found.drifted
    # What moved by itself says more than that the whole did.
    if not drifted and found.joint is not None and found.joint.verdict == "drifted":
        drifted = ["all together"]
    judged = [one for one in found.features if one.verdict != "not enough data"]
    numbers: dict[str, Any] = {"check": found.ref, "rows": found.rows, "window": str(found.window)}
    inputs = {
        "alpha": budget.drift,
        "features": [
            {"name": one.name, "effect": round(one.effect, 4), "reason": one.reason}
            for one in found.features[:20]
            if one.verdict == "drifted"
        ],
    }
    findings = [
        Finding(
            found.endpoint,
            "drift",
            "inputs",
            bool(drifted) if judged and fresh else None,
            found.sentence,
            numbers | inputs,
            tuple(drifted),
        )
    ]
    loss = found.performance
    if loss is not None:
        worse = {"worse": True, "held": False, "better": False, "unknown": None}[loss.verdict]
        measured = {
            "alpha": budget.performance,
            "metric": loss.loss.name,
            "loss": loss.loss.value,
            "change": loss.change,
            "change_low": loss.change_low,
            "change_high": loss.change_high,
            "truths": loss.rows,
        }
        findings.append(
            Finding(
                found.endpoint,
                "performance",
                "loss",
                worse,
                loss_sentence(loss),
                numbers | measured,
            )
        )
    return findings


def _made(endpoint: str) -> Finding:
    return Finding(endpoint, "check", "monitor", False, decisive=True)


def _close(
    ws: Workspace,
    row: MonitorRecord,
    terms: Terms,
    findings: list[Finding],
    outcome: str,
    found: Drift | None,
) -> Monitor:
    every, now = parse_length(terms.every), utcnow()
    with ws.write("agent") as tx:
        kept = tx.session.get(MonitorRecord, row.endpoint)
        if kept is None:
            raise Conflict(f"{row.endpoint} isn't monitored any more", code="E-ALERT-050")
        settle(
            tx,
            findings,
            good_checks=terms.good_checks,
            reopens=max(timedelta(days=1), 3 * every),
            at=now,
        )
        kept.process, kept.attempts = None, 0
        kept.looked_at, kept.outcome = now, outcome
        if found is not None:
            kept.check, kept.checked_at = found.id, found.at
        if kept.generation == row.generation and kept.due_at == row.due_at:
            # Times stay in step; what was missed while nobody looked isn't made up for.
            due = row.due_at + every
            kept.due_at = due if due > now else now + every
        tx.session.flush()
        return Monitor.of(kept)


def _stumbled(ws: Workspace, row: MonitorRecord, error: MLOpsError) -> Monitor:
    """The check can't be made: soon again, and after some attempts that is an alert itself."""
    if row.attempts >= ATTEMPTS:
        return give_up(ws, row.endpoint, str(error))
    with ws.write("agent") as tx:
        kept = tx.session.get(MonitorRecord, row.endpoint)
        if kept is not None:
            kept.process, kept.outcome = None, str(error)
            kept.due_at = utcnow() + _PAUSE * 2.0**row.attempts
    raise error


def give_up(ws: Workspace, endpoint: str, reason: str) -> Monitor:
    """End a check that can't be made, with an alert; the next is due as always."""
    with ws.read() as session:
        row = session.get_one(MonitorRecord, endpoint)
        session.expunge(row)
    finding = Finding(
        endpoint, "check", "monitor", True, f"The check can't be made: {reason}", {"error": reason}
    )
    return _close(ws, row, Terms.of(row.terms), [finding], f"Failed: {reason}", None)


def follow_events(ws: Workspace) -> int:
    """Turn failures and rollbacks of monitored endpoints into alerts; return how many events.

    How far the log was read is written together with the alerts: each event counts once.
    """
    with ws.read() as session:
        rows = list(session.scalars(select(MonitorRecord).where(MonitorRecord.paused.is_(False))))
        if not rows or not _newer(session.scalars, rows):
            return 0
    handled = 0
    with ws.write("agent") as tx:
        for row in tx.session.scalars(
            select(MonitorRecord).where(MonitorRecord.paused.is_(False))
        ):  # fmt: skip
            events = [Event.of(one) for one in tx.session.scalars(_events([row]))]
            for event in events:
                _settle_event(tx, row, event)
                row.seen = event.seq
            handled += len(events)
    return handled


def _newer(scalars: Any, rows: list[MonitorRecord]) -> bool:
    seen = {f"endpoint:{row.endpoint}": row.seen for row in rows}
    return any(found.seq > seen[found.subject] for found in scalars(_events(rows)))


def _events(rows: list[MonitorRecord]) -> Any:
    return (
        select(EventRecord)
        .where(
            EventRecord.seq > min(row.seen for row in rows),
            EventRecord.subject.in_([f"endpoint:{row.endpoint}" for row in rows]),
            EventRecord.kind.in_([*_WRONG, *_RIGHT]),
        )
        .order_by(EventRecord.seq)
    )


def _settle_event(tx: Transaction, row: MonitorRecord, event: Event) -> None:
    said = ""
    if event.kind == "endpoint.failed":
        kept = tx.session.get(EndpointRecord, row.endpoint)
        why = (kept.reason if kept is not None else None) or {}
        said = ": ".join(one for one in (why.get("what"), why.get("why")) if one)
    elif event.kind == "endpoint.rolled_back":
        said = "version {version} was withdrawn: {reason}".format(**event.payload)
    findings = [
        Finding(
            row.endpoint,
            kind,
            "endpoint",
            event.kind == wrong if event.kind in _WRONG else False,
            said,
            {"event": event.seq, **event.payload},
            decisive=True,
        )
        for wrong, kind in _WRONG.items()
        if event.kind == wrong or event.kind in _RIGHT
    ]
    settle(tx, findings, good_checks=Terms.of(row.terms).good_checks, at=event.at)
