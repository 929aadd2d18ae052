"""How the map of an endpoint's drift looks, and one feature of one window."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from jupyter_mlops.monitoring.driftmap import DriftMap, FeatureInWindow, MapWindow
from jupyter_mlops.monitoring.features import Verdict
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Column,
    Distribution,
    Fact,
    Facts,
    Heat,
    HeatColumn,
    HeatRow,
    Level,
    Notice,
    Query,
    Series,
    Table,
    View,
)
from jupyter_mlops.views.cells import percent_text
from jupyter_mlops.views.data import short
from jupyter_mlops.views.registry import look

__all__ = ["drift_map_view", "feature_view"]

ROWS: Final = 40
_LEVELS: Final[dict[Verdict, Level]] = {
    "drifted": "bad",
    "watch": "warn",
    "stable": "good",
    "not enough data": "info",
}
_WORDS: Final[dict[Level, str]] = {level: word for word, level in _LEVELS.items()}


@look(DriftMap)
def drift_map_view(result: DriftMap) -> View:
    """Which features moved when: a square for each feature and period."""
    shown = result.names[:ROWS]
    moved = [name for name in result.names if result.drifted(name)]
    facts = [
        Fact(label="Model", value=result.model or "–", ref=f"model:{result.model}")
        if result.model
        else Fact(label="Model", value="–"),
        Fact(label="Reference", value=f"{result.reference} ({result.reference_rows:,} rows)"),
        Fact(label="Periods", value=f"{len(result.windows):,}", hint=f"of {result.every}"),
        Fact(
            label="Rows",
            value=f"{sum(one.rows for one in result.windows):,}",
            hint=f"read from {result.source}",
        ),
    ]
    blocks: list[Block] = [_said(result, moved), Facts(items=facts)]
    blocks += [Notice(level="warn", text=text) for text in result.notices]
    blocks.append(
        Heat(
            title="Feature by period",
            columns=[_column(one) for one in result.windows],
            rows=[_row(result, name) for name in shown],
            unit="PSI",
            words=_WORDS,
            detail=Query(verb="drift-feature", args=_asked(result)),
            total=len(result.names),
            note=f"Each period is judged by itself: where nothing changed, one in "
            f"{1 / result.limits.alpha:,.0f} of them may still show a feature as drifted.",
        )
    )
    if moved:
        blocks.append(_first_seen(result, moved))
    line = f"%mlops drift map {result.endpoint} --every {result.every}"
    return View(
        kind="drift-map",
        title=f"Drift map of {result.endpoint}",
        subtitle=f"{_when(result.windows[0].start)} to {_when(result.windows[-1].end)}"
        f" by {result.every}",
        ref=result.ref,
        line=line + (f" --against {result.against}" if result.against else ""),
        blocks=blocks,
    )


@look(FeatureInWindow)
def feature_view(result: FeatureInWindow) -> View:
    """One feature in a window and in the reference, side by side."""
    one = result.drift
    window = result.window
    said = one.reason[:1].upper() + one.reason[1:]
    blocks: list[Block] = [
        Notice(level=_LEVELS[one.verdict], text=f"{one.verdict.capitalize()}: {said}."),
        Facts(items=_figures(result)),
        _spread(result),
        Actions(items=[_check(result)]),
    ]
    return View(
        kind="drift-feature",
        title=f"{short(one.name)} of {result.endpoint}",
        subtitle=f"{one.verdict} · {window}",
        ref=result.ref,
        line=f"%mlops drift feature {result.endpoint} {_quoted(one.name)}{_span(result)}",
        blocks=blocks,
    )


def _said(result: DriftMap, moved: list[str]) -> Notice:
    if all(one.verdict == "not enough data" for w in result.windows for one in w.features.values()):
        fix = "a longer --every takes more rows together"
        return Notice(text="No period has enough rows to be judged.", fix=fix)
    if not moved:
        return Notice(level="good", text="No feature drifted in any period.")
    first = min(result.drifted(name)[0].start for name in moved)
    names = ", ".join(short(name) for name in moved[:3])
    more = f" and {len(moved) - 3:,} more" if len(moved) > 3 else ""
    many = f"{len(moved):,} of {len(result.names):,} features drifted"
    text = f"{many}, since {_when(first)} at the earliest: {names}{more}."
    return Notice(level="bad", text=text)


def _column(one: MapWindow) -> HeatColumn:
    return HeatColumn(
        label=_when(one.start),
        hint=f"{one.rows:,} rows",
        args={"since": one.start.isoformat(), "until": one.end.isoformat()} if one.rows else {},
    )


def _row(result: DriftMap, name: str) -> HeatRow:
    found = [one.features.get(name) for one in result.windows]
    return HeatRow(
        label=short(name),
        levels=[None if one is None else _LEVELS[one.verdict] for one in found],
        values=[None if one is None else round(one.effect, 3) for one in found],
        args={"feature": name},
    )


def _asked(result: DriftMap) -> dict[str, Any]:
    asked: dict[str, Any] = {"endpoint": result.endpoint}
    return asked | ({"against": result.against} if result.against else {})


def _first_seen(result: DriftMap, moved: list[str]) -> Table:
    rows = []
    for name in moved[:ROWS]:
        periods = result.drifted(name)
        worst = max(periods, key=lambda one: one.features[name].effect)
        rows.append(
            {
                "name": short(name),
                "periods": len(periods),
                "since": _when(periods[0].start),
                "last": _when(periods[-1].start),
                "worst": _when(worst.start),
                "why": worst.features[name].reason,
            }
        )
    return Table(
        title="What drifted",
        columns=[
            Column(key="name", label="Feature"),
            Column(key="periods", label="Periods", kind="number"),
            Column(key="since", label="First"),
            Column(key="last", label="Last"),
            Column(key="worst", label="Furthest"),
            Column(key="why", label="There"),
        ],
        rows=rows,
        total=len(moved),
    )


def _figures(result: FeatureInWindow) -> list[Fact]:
    one = result.drift
    hint = f"{one.floor:.3f} when nothing changed"
    facts = [Fact(label="PSI above chance", value=f"{one.effect:.3f}", hint=hint)]
    if one.distance is not None:
        text = f"{one.distance:.2f} interquartile ranges"
        facts.append(Fact(label="Moved by", value=text))
    if one.missing_reference or one.missing_current:
        text = f"{percent_text(one.missing_reference)} → {percent_text(one.missing_current)}"
        facts.append(Fact(label="Missing", value=text))
    if one.unseen is not None:
        facts.append(Fact(label="Never seen before", value=percent_text(one.unseen)))
    facts.append(Fact(label="Rows", value=f"{one.rows:,}", hint=f"{one.rows_needed:,} needed"))
    return facts


def _spread(result: FeatureInWindow) -> Block:
    one = result.drift
    shape = one.histogram
    if not shape.labels:
        return Notice(text="There are no values to draw.")
    series = [
        Series(label=str(result.window), shares=shape.current),
        Series(label=f"reference, {result.reference}", shares=shape.reference),
    ]
    if one.kind == "category":
        return Distribution(labels=[short(text) for text in shape.labels], series=series)
    low, high = shape.labels[0].partition(" to ")[0], shape.labels[-1].rpartition(" to ")[2]
    return Distribution(ends=[low, high], series=series)


def _check(result: FeatureInWindow) -> Action:
    """All features of the window, the answers and the loss: a check that is kept."""
    window = result.window
    args: dict[str, Any] = {"endpoint": result.endpoint}
    for flag, time in (("since", window.since), ("until", window.until)):
        if time is not None:
            args[flag] = time.isoformat()
    if result.against:
        args["against"] = result.against
    line = f"%mlops drift {result.endpoint}{_span(result)}"
    return Action(label="Check this window", verb="drift", args=args, line=line)


def _span(result: FeatureInWindow) -> str:
    words = ""
    for flag, time in (("since", result.window.since), ("until", result.window.until)):
        if time is not None:
            words += f" --{flag} {time:%Y-%m-%dT%H:%M:%S}".removesuffix(":00")
    return words + (f" --against {result.against}" if result.against else "")


def _quoted(name: str) -> str:
    return name if name.replace("_", "").isalnum() else f'"{name}"'


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
