"""Which rows of an endpoint's traffic are worth a person's look."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, get_args

import numpy as np
import polars as pl

from jupyter_mlops import serving
from jupyter_mlops.monitoring.checks import latest
from jupyter_mlops.monitoring.columns import as_numbers, is_number
from jupyter_mlops.monitoring.outliers import SCORE, scored_rows, unscored
from jupyter_mlops.monitoring.served import reference_of
from jupyter_mlops.monitoring.sides import INPUT, within
from jupyter_mlops.monitoring.windows import Window
from jupyter_mlops.workspace import Invalid, Workspace

__all__ = ["PICKS", "Pick", "pick"]

Pick = Literal["strange", "uncertain", "drifted"]
PICKS: Final[tuple[Pick, ...]] = get_args(Pick)
_MOST: Final = 100_000
_BINS: Final = 20
_CATEGORIES: Final = 100


@dataclass(frozen=True)
class _Sought:
    """Which rows of a log are looked at."""

    window: Window
    after: datetime | None = None
    but: Collection[str] = field(default=())

    def of(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        rows = within(rows, self.window)
        if self.after is not None:
            rows = rows.filter(pl.col("at").cast(pl.Datetime("us", "UTC")) > self.after)
        if self.but:
            rows = rows.filter(~pl.col("prediction_id").is_in(list(self.but)))
        return rows


def pick(
    ws: Workspace,
    endpoint: str,
    how: Sequence[Pick],
    count: int = 50,
    window: Window | None = None,
    *,
    after: datetime | None = None,
    but: Collection[str] = (),
) -> pl.DataFrame:
    """Pick the rows that teach most: each way in turn names its next best.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    how : sequence of {"strange", "uncertain", "drifted"}
        Least like the training rows; where the two likeliest classes are closest (margin
        sampling: Scheffer, Decomain and Wrobel, Intelligent Data Analysis, 2001); or where
        features that drifted hold what became more frequent, by the ratio of its shares.
    count : int
        Rows at the most.
    window : Window, optional
        By event time; all that is logged when None.
    after : datetime, optional
        Only rows that were logged later.
    but : collection of str
        Predictions that aren't picked, since they were before.

    Returns
    -------
    polars.DataFrame
        What the log has of each row (``prediction_id``, ``key``, ``event_time``, ``version``,
        ``prediction``, ``probability`` and ``in.<name>``), ``picked`` (which ways named it) and
        ``score`` by the first of them, the higher the more telling.

    Raises
    ------
    NotFound
        There is no such endpoint.
    Invalid
        ``E-MONITORING-060``: it isn't known how strange rows are; ``E-MONITORING-062``: a way
        isn't one of these, or the count makes no sense; ``E-MONITORING-063``: there are no
        probabilities; ``E-MONITORING-064``: nothing is known to have drifted.

    Examples
    --------
    >>> pick(ws, "delay", ["strange", "uncertain"], 20)["prediction_id"]  # doctest: +SKIP
    """
    ways = list(dict.fromkeys(how))
    if not ways or not set(ways) <= set(PICKS) or not 1 <= count <= _MOST:
        raise Invalid(
            f"{count:,} rows can't be picked by {', '.join(ways) or 'nothing'}",
            fix=f"pick 1 to {_MOST:,} rows by {', '.join(PICKS)}",
            code="E-MONITORING-062",
        )
    sought = _Sought(window or Window(), after, but)
    ranked = [_RANK[way](ws, endpoint, sought, count) for way in ways]
    order, picked, scores = _in_turn(ways, ranked, count)
    served = serving.get(ws, endpoint)
    rows = sought.of(serving.traffic.read(ws, served.name))
    chosen = pl.DataFrame(
        {"prediction_id": order, "picked": picked, "score": scores},
        schema={"prediction_id": pl.String, "picked": pl.List(pl.String), "score": pl.Float64},
    )
    found = rows.filter(pl.col("prediction_id").is_in(order)).collect(engine="streaming")
    return chosen.join(found, on="prediction_id", how="left", maintain_order="left")


def _in_turn(
    ways: Sequence[Pick], ranked: Sequence[pl.DataFrame], count: int
) -> tuple[list[str], list[list[str]], list[float]]:
    """Each way names its next best that no other has named; all that would have are kept."""
    places = [dict(frame.select("prediction_id", "score").rows()) for frame in ranked]
    queues = [iter(place) for place in places]
    chosen: dict[str, float] = {}
    while queues and len(chosen) < count:
        for queue, place in zip(list(queues), list(places), strict=True):
            one = next((name for name in queue if name not in chosen), None)
            if one is None:
                at = queues.index(queue)
                del queues[at], places[at]
            elif len(chosen) < count:
                chosen[one] = place[one]
    named = {way: set(frame["prediction_id"]) for way, frame in zip(ways, ranked, strict=True)}
    picked: list[list[str]] = [[way for way in ways if one in named[way]] for one in chosen]
    return list(chosen), picked, list(chosen.values())


def _strange(ws: Workspace, endpoint: str, sought: _Sought, count: int) -> pl.DataFrame:
    served, rows = scored_rows(ws, endpoint, sought.window)
    score = -pl.col(SCORE).log10()
    found = _best(sought.of(rows), score, count)
    if found.is_empty():
        raise unscored(ws, served, 1)
    return found


def _uncertain(ws: Workspace, endpoint: str, sought: _Sought, count: int) -> pl.DataFrame:
    served = serving.get(ws, endpoint)
    rows = sought.of(serving.traffic.read(ws, served.name))
    probability = pl.col("probability")
    kind = rows.collect_schema().get("probability")
    if isinstance(kind, pl.List):
        first = probability.list.sort(descending=True)
        margin = first.list.get(0, null_on_oob=True) - first.list.get(1, null_on_oob=True)
    else:
        margin = (2 * probability.cast(pl.Float64) - 1).abs()
    found = _best(rows, 1 - margin, count)
    if found.is_empty():
        raise Invalid(
            f"{served.name} has told no probabilities in that time",
            "without them nobody knows which answers are uncertain",
            "pick by strange or drifted",
            code="E-MONITORING-063",
        )
    return found


def _drifted(ws: Workspace, endpoint: str, sought: _Sought, count: int) -> pl.DataFrame:
    served = serving.get(ws, endpoint)
    check = latest(ws, served.name)
    names = check.drifted if check is not None else []
    if not names:
        raise Invalid(
            f"no feature of {served.name} is known to have drifted",
            f"{check.ref} found none" if check is not None else "it was never checked",
            f"`%mlops drift {served.name}` checks it",
            code="E-MONITORING-064",
        )
    reference = reference_of(ws, served, None).scan().select(names).collect(engine="streaming")
    rows = sought.of(serving.traffic.read(ws, served.name))
    frame = rows.select("prediction_id", *(INPUT + name for name in names)).collect(
        engine="streaming"
    )
    score = np.zeros(frame.height)
    for name in names:
        score += _gain(reference[name], frame[INPUT + name])
    ranked = frame.select("prediction_id", score=pl.Series(score))
    return _best(ranked.lazy(), pl.col("score"), count)


def _gain(reference: pl.Series, current: pl.Series) -> Any:
    """How much more frequent what each row holds has become: the log of the ratio of shares."""
    if is_number(reference.dtype) and is_number(current.dtype):
        before, now = (as_numbers(one).to_numpy() for one in (reference, current))
        known = before[np.isfinite(before)]
        if known.size == 0:
            return np.zeros(len(now))
        edges = np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS))
        bins = [
            np.where(np.isnan(one), len(edges) + 1, np.searchsorted(edges, one, "right"))
            for one in (before, now)
        ]
        width = len(edges) + 2
    else:
        texts = [one.cast(pl.String) for one in (reference, current)]
        # Of both sides: what is new is what became most frequent.
        heavy = pl.concat(
            [one.drop_nulls().alias("text").value_counts(sort=True)["text"][:_CATEGORIES]
             for one in texts]
        ).unique(maintain_order=True)  # fmt: skip
        place = {text: at for at, text in enumerate(heavy.to_list())}
        width = len(place) + 2
        bins = [
            np.array([width - 1 if t is None else place.get(t, width - 2) for t in one.to_list()])
            for one in texts
        ]
    counts = [np.bincount(one.astype(np.int64), minlength=width) + 0.5 for one in bins]
    ratio = np.log(counts[1] / counts[1].sum()) - np.log(counts[0] / counts[0].sum())
    return ratio[bins[1].astype(np.int64)]


def _best(rows: pl.LazyFrame, score: pl.Expr, count: int) -> pl.DataFrame:
    return (
        rows.select("prediction_id", score=score)
        .filter(pl.col("score").is_not_null() & pl.col("score").is_not_nan())
        .top_k(count, by="score")
        .collect(engine="streaming")
        .sort("score", "prediction_id", descending=[True, False])
    )


_RANK: Final[dict[Pick, Callable[[Workspace, str, _Sought, int], pl.DataFrame]]] = {
    "strange": _strange,
    "uncertain": _uncertain,
    "drifted": _drifted,
}
