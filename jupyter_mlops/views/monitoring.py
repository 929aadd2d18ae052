"""How drift checks and reports look."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.monitoring import (
    Checks,
    Drift,
    FeatureDrift,
    JointDrift,
    Performance,
    Report,
    Reports,
)
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Chart,
    Column,
    Fact,
    Facts,
    Frame,
    Level,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.data import size_text
from jupyter_mlops.views.distributions import distributions_png, distributions_spec
from jupyter_mlops.views.registry import look

__all__ = ["checks_view", "drift_view", "report_view", "reports_view"]

ROWS = 200
DRAWN = 4
_BADGES: dict[str, Level] = {
    "drifted": "bad",
    "watch": "warn",
    "stable": "good",
    "not enough data": "info",
}
_OVERALL: dict[str, Level] = {
    "stable": "good",
    "inputs moved": "warn",
    "performance worse": "bad",
    "inputs moved, performance worse": "bad",
    "not enough data": "info",
}


@look(Drift)
def drift_view(result: Drift) -> View:
    """What moved, how far, and whether the answers are still good."""
    facts = [
        Fact(label="Verdict", value=result.verdict),
        Fact(label="Window", value=_span(result), hint=f"asked for: {result.window}"),
        Fact(label="Rows", value=f"{result.rows:,}", hint=f"read from {result.source}"),
        Fact(label="Model", value=result.model or "–"),
        Fact(label="Reference", value=f"{result.reference} ({result.reference_rows:,} rows)"),
    ]
    if result.promise:
        facts.append(Fact(label="False alarms", value=_alarms(result), hint=result.promise))
    if result.joint is not None:
        facts.append(_together(result.joint))
    blocks: list[Block] = [
        Facts(items=facts),
        Notice(level=_OVERALL[result.verdict], text=result.sentence),
        *([Notice(level="info", text=_why(result))] if result.causes else []),
        *(Notice(level="warn", text=text) for text in [*result.schema, *result.notices]),
    ]
    if result.performance is not None:
        blocks.append(_performance(result.performance))
    if result.causes:
        blocks.append(_causes(result))
    blocks.append(_features(result))
    chart = _chart(result.features)
    return View(
        kind="drift",
        title=f"Drift of {result.endpoint}",
        subtitle=f"{result.verdict} · checked {result.at:%Y-%m-%d %H:%M} UTC",
        ref=result.ref,
        line=f"%mlops checks {result.ref}",
        blocks=[*blocks, *([chart] if chart else []), Actions(items=[_open_report(result)])],
    )


@look(Checks)
def checks_view(result: Checks) -> View:
    """The checks there were, each with what it found."""
    columns = [
        Column(key="check", label="Check", kind="ref"),
        Column(key="endpoint", label="Endpoint"),
        Column(key="window", label="Window"),
        Column(key="rows", label="Rows", kind="number"),
        Column(key="verdict", label="Verdict", kind="badge"),
        Column(key="drifted", label="Drifted features"),
        Column(key="at", label="Checked", kind="time"),
    ]
    rows = [_line(one) for one in result.items]
    empty = "No check yet: %mlops drift ENDPOINT makes one."
    return _listed("checks", "Drift checks", result, columns, rows, empty)


def _line(one: Drift) -> dict[str, Any]:
    return {
        "check": one.ref,
        "endpoint": one.endpoint,
        "window": _days(one),
        "rows": one.rows,
        "verdict": {"text": one.verdict, "level": _OVERALL[one.verdict]},
        "drifted": ", ".join(one.drifted) or "none",
        "at": one.at.isoformat(),
    }


@look(Report)
def report_view(result: Report) -> View:
    """Where a stored report is and what it shows."""
    kind = "2,000 points a column, which keep its distribution" if result.sampled else "all rows"
    facts = [
        Fact(label="Of", value=result.subject),
        Fact(label="Drawn by", value=result.engine, hint="scores and verdicts are ours"),
        Fact(
            label="Rows",
            value=f"{result.current_rows:,} against {result.reference_rows:,}",
            hint=f"drawn from {kind}",
        ),
        Fact(label="Columns", value=f"{len(result.columns):,}"),
        Fact(label="Size", value=size_text(result.size)),
        Fact(label="In Jupyter", value=result.path),
        Fact(label="File", value=str(result.file or result.url)),
    ]
    return View(
        kind="report",
        title=f"Report of {result.title}",
        subtitle=f"{result.at:%Y-%m-%d %H:%M} UTC by {result.actor}",
        ref=result.ref,
        line=f"%mlops report {result.ref}",
        blocks=[
            Facts(items=facts),
            *(Notice(level="warn", text=text) for text in result.notices),
            Frame(title=f"Report of {result.title}", path=result.path),
        ],
    )


@look(Reports)
def reports_view(result: Reports) -> View:
    """The reports there are."""
    columns = [
        Column(key="report", label="Report", kind="ref"),
        Column(key="title", label="Of"),
        Column(key="subject", label="Check", kind="ref"),
        Column(key="rows", label="Rows", kind="number"),
        Column(key="columns", label="Columns", kind="number"),
        Column(key="size", label="Size"),
        Column(key="at", label="Drawn", kind="time"),
    ]
    rows = [
        {
            "report": one.ref,
            "title": one.title,
            "subject": one.subject,
            "rows": one.current_rows,
            "columns": len(one.columns),
            "size": size_text(one.size),
            "at": one.at.isoformat(),
        }
        for one in result.items
    ]
    empty = "No report yet: %mlops drift ENDPOINT --report draws one."
    return _listed("reports", "Reports", result, columns, rows, empty)


def _listed(
    kind: str,
    title: str,
    result: Checks | Reports,
    columns: list[Column],
    rows: list[dict[str, Any]],
    empty: str,
) -> View:
    of = f" of {result.endpoint}" if result.endpoint else ""
    return View(
        kind=kind,
        title=f"{title}{of}",
        subtitle=f"{result.total:,}",
        line=f"%mlops {kind} {result.endpoint or ''}".rstrip(),
        blocks=[Table(columns=columns, rows=rows, total=result.total, empty=empty)],
    )


def _span(result: Drift) -> str:
    if result.first is None or result.last is None:
        return str(result.window)
    return f"{result.first:%Y-%m-%d %H:%M} to {result.last:%Y-%m-%d %H:%M}"


def _days(result: Drift) -> str:
    """As a list has room for it: days, and hours only within one."""
    if result.first is None or result.last is None or result.first.date() == result.last.date():
        return _span(result)
    return f"{result.first:%Y-%m-%d} to {result.last:%Y-%m-%d}"


def _features(result: Drift) -> Table:
    shown = [*result.features, *result.predictions]
    return Table(
        title="What moved (PSI above its noise floor, distance in interquartile ranges)",
        columns=[
            Column(key="name", label="Column"),
            Column(key="verdict", label="Verdict", kind="badge"),
            Column(key="why", label="Why"),
            Column(key="effect", label="PSI", kind="number"),
            Column(key="floor", label="Floor", kind="number"),
            Column(key="distance", label="IQR", kind="number"),
            Column(key="missing", label="Missing"),
            Column(key="unseen", label="Unseen", kind="percent"),
            Column(key="vanished", label="No more", kind="percent"),
            Column(key="reference", label="Before", kind="spark"),
            Column(key="current", label="Now", kind="spark"),
        ],
        rows=[_row(one) for one in shown[:ROWS]],
        total=len(shown),
        empty="No features to compare.",
    )


def _why(result: Drift) -> str:
    """When, where and at what cost the first features moved, for where there is little room."""
    told = []
    for one in result.causes[:2]:
        where = str(one.segment) if one.segment else "everywhere"
        cost = f", expected loss {one.loss}" if one.loss is not None else ""
        told.append(f"{one.feature} {one.when + ', ' if one.when else ''}{where}{cost}")
    return "Why: " + "; ".join(told)


def _causes(result: Drift) -> Table:
    """Where, since when, and at what cost; the costs of features that moved together overlap."""
    whole = f": {result.loss} in all" if result.loss is not None else ""
    return Table(
        title=f"Why (expected loss explained by each feature alone{whole})",
        columns=[
            Column(key="feature", label="Column"),
            Column(key="when", label="When"),
            Column(key="where", label="Where"),
            Column(key="loss", label="Expected loss"),
            Column(key="share", label="Of its change", kind="percent"),
        ],
        rows=[
            {
                "feature": one.feature,
                "when": one.when or "–",
                "where": str(one.segment).removeprefix("where ") if one.segment else "everywhere",
                "loss": str(one.loss) if one.loss is not None else "–",
                "share": result.explained(one),
            }
            for one in result.causes
        ],
    )


def _alarms(result: Drift) -> str:
    return f"at most 1 check in {1 / result.limits.alpha:,.0f} if nothing changed"


def _together(joint: JointDrift) -> Fact:
    if joint.verdict == "not enough data":
        return Fact(label="Together", value=joint.verdict, hint=joint.reason)
    value = f"{joint.verdict}, area {joint.auc:.2f} ({joint.low:.2f}–{joint.high:.2f})"
    hint = f"{joint.reason}; a classifier on {joint.rows:,} rows, 0.5 when nothing changed"
    return Fact(label="Together", value=value, hint=hint)


def _row(one: FeatureDrift) -> dict[str, Any]:
    change = one.missing_current - one.missing_reference
    return {
        "name": one.name,
        "verdict": {"text": one.verdict, "level": _BADGES[one.verdict]},
        "why": one.reason,
        "effect": round(one.effect, 3),
        "floor": round(one.floor, 4),
        "distance": None if one.distance is None else round(one.distance, 2),
        "missing": f"{change:+.1%}" if change else "–",
        "unseen": one.unseen,
        "vanished": one.vanished,
        "reference": one.histogram.reference,
        "current": one.histogram.current,
    }


def _performance(performance: Performance) -> Facts:
    before = {score.name: score for score in performance.reference_scores or []}
    items = []
    for score in performance.scores:
        was = before.get(score.name)
        value = f"{score.value:.3f} ({score.low:.3f}–{score.high:.3f})"
        then = f"{was.low:.3f}–{was.high:.3f} on {performance.reference_rows:,} rows" if was else ""
        then = then if performance.reference_rows else "the run's own figure, taken as exact"
        items.append(
            Fact(
                label=score.label,
                value=f"{value}, was {was.value:.3f}" if was else value,
                hint=f"at validation {then}" if was else "",
            )
        )
    items.append(Fact(label="Truth", value=f"{performance.rows:,} of {performance.answered:,}"))
    items.append(Fact(label="Intervals", value=performance.interval))
    return Facts(items=items)


def _chart(features: list[FeatureDrift]) -> Chart | None:
    drawn = [one for one in features if one.histogram.labels][:DRAWN]
    if not drawn:
        return None
    names = ", ".join(one.name for one in drawn)
    return Chart(
        title="Reference and now",
        spec=distributions_spec(drawn),
        png=distributions_png(drawn),
        alt=f"Distributions of {names} in the reference and in the window.",
    )


def _open_report(result: Drift) -> Action:
    return Action(label="Open Evidently report", verb="report", args={"ref": result.ref})
