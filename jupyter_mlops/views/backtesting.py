"""How a back-test looks."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.monitoring.performance import LABELS
from jupyter_mlops.retraining.backtesting.results import Backtest, Outcome, Spread
from jupyter_mlops.views.blocks import Block, Chart, Column, Fact, Facts, Notice, Table, View
from jupyter_mlops.views.drawing import drawn
from jupyter_mlops.views.plotting import BEST, GREY, PADDING, SCHEMA, data_of
from jupyter_mlops.views.registry import look

__all__ = ["backtest_view"]


@look(Backtest)
def backtest_view(result: Backtest) -> View:
    """The policies beside each other, then each look of the first seed."""
    several = result.seeds > 1
    columns = [
        Column(key="policy", label="Policy"),
        Column(key="loss", label=_named(result.loss), kind="number"),
        Column(key="regret", label="Above the best", kind="number"),
        Column(key="kept", label="Gain kept", kind="number"),
        Column(key="trainings", label="Trained", kind="number"),
        Column(key="promotions", label="Promoted", kind="number"),
        Column(key="fruitless", label="In vain", kind="number"),
        Column(key="cpu", label="Processor time", kind="number"),
    ]
    rows = [_row(one, several) for one in result.outcomes]
    blocks: list[Block] = [Table(columns=columns, rows=rows, total=len(rows))]
    mine = next((one for one in result.outcomes if one.kept and one.name not in _RIVALS), None)
    if mine is not None and mine.kept is not None:
        many = "promotion" if mine.promotions.mean == 1 else "promotions"
        text = (
            f"{mine.name} keeps {mine.kept.mean:.0%} of what training at each look gains, with "
            f"{_count(mine.promotions)} {many}."
        )
        blocks.insert(0, Notice(level="info", text=text))
    chart = _chart(result)
    if chart is not None:
        blocks.append(chart)
    for one in result.outcomes:
        if one.name not in _RIVALS:
            blocks.append(_steps(one))
    blocks.append(_words(result))
    blocks.append(
        Facts(
            items=[
                Fact(label="Rows with truth", value=f"{result.rows:,}"),
                Fact(label="From", value=f"{result.first:%Y-%m-%d}"),
                Fact(label="To", value=f"{result.last:%Y-%m-%d}"),
                Fact(label="Seeds", value=f"{result.seeds} of {result.share:.0%} of the rows"),
                Fact(label="Took", value=f"{result.seconds:,.0f} s"),
            ]
        )
    )
    blocks += [Notice(level="info", text=one) for one in result.notes]
    spread = ", 95 % intervals over seeds" if several else ""
    return View(
        kind="backtest",
        title=f"Back-test of {result.model}",
        subtitle=f"{len(rows)} policies on {result.endpoint}{spread}",
        ref=f"endpoint:{result.endpoint}",
        blocks=blocks,
    )


_RIVALS = ("never", "always", "schedule", "on drift", "on loss")


#: Apart for colour-blind readers (Okabe and Ito); a policy of one's own has the strongest.
_COLOURS = {
    "never": GREY,
    "always": "#56b4e9",
    "schedule": "#2f80c4",
    "on drift": "#009e73",
    "on loss": "#cc79a7",
}


def _chart(result: Backtest) -> Chart | None:
    """The loss of each policy over time."""
    rows = [
        (f"{start:%Y-%m-%dT%H:%M:%S}Z", one.name, loss)
        for one in result.curves
        for start, loss in zip(one.starts, one.losses, strict=True)
        if loss is not None
    ]
    if not rows:
        return None
    names = sorted((one.name for one in result.curves), key=lambda name: name in _RIVALS)
    values = data_of(["at", "policy", "loss"], rows)
    values["format"] = {**values["format"], "parse": {"at": "date", "loss": "number"}}
    scale = {"domain": names, "range": [_COLOURS.get(one, BEST) for one in names]}
    spec = {
        "$schema": SCHEMA,
        "height": 200,
        "padding": PADDING,
        "data": values,
        "mark": {"type": "line", "strokeWidth": 1.8, "tooltip": True},
        "encoding": {
            "x": {"field": "at", "type": "temporal", "title": None, "scale": {"type": "utc"}},
            "y": {"field": "loss", "type": "quantitative", "title": _named(result.loss),
                  "scale": {"zero": False}},
            "color": {"field": "policy", "type": "nominal", "title": None, "scale": scale,
                      "legend": {"orient": "top", "symbolType": "stroke"}},
        },
    }  # fmt: skip
    seed = " of the first seed" if result.seeds > 1 else ""
    alt = (
        f"{_named(result.loss)}{seed} from {result.first:%Y-%m-%d} to {result.last:%Y-%m-%d} had "
        f"{', '.join(names)} decided who answers."
    )
    return drawn(Chart(title=f"{_named(result.loss)} over time{seed}", spec=spec, alt=alt))


def _row(one: Outcome, several: bool) -> dict[str, Any]:
    return {
        "policy": one.name,
        "loss": _number(one.loss, several),
        "regret": _number(one.regret, several),
        "kept": f"{one.kept.mean:.0%}" if one.kept else "",
        "trainings": _count(one.trainings),
        "promotions": _count(one.promotions),
        "fruitless": _count(one.fruitless),
        "cpu": f"{one.cpu_seconds.mean:,.1f} s",
    }


def _named(metric: str) -> str:
    return LABELS.get(metric, metric)


def _words(result: Backtest) -> Table:
    return Table(
        title="What each of them does",
        columns=[Column(key="policy", label="Policy"), Column(key="terms", label="In words")],
        rows=[{"policy": one.name, "terms": one.terms} for one in result.outcomes],
    )


def _number(found: Spread, several: bool) -> str:
    if not several:
        return f"{found.mean:.4f}"
    return f"{found.mean:.4f} ({found.low:.4f} to {found.high:.4f})"


def _count(found: Spread) -> str:
    return f"{found.mean:.1f}".removesuffix(".0")


def _steps(one: Outcome) -> Table:
    became = {(True, True): "promoted", (True, False): "held"}
    return Table(
        title=f"What {one.name} would have done",
        columns=[
            Column(key="at", label="Look"),
            Column(key="became", label="Became"),
            Column(key="reason", label="Because"),
        ],
        rows=[
            {
                "at": f"{step.at:%Y-%m-%d}",
                "became": became.get((step.trained, step.promoted), "unneeded"),
                "reason": step.reason if len(step.reason) <= 200 else f"{step.reason[:199]}…",
            }
            for step in one.steps
        ],
        total=len(one.steps),
        empty="The past is shorter than two looks.",
    )
