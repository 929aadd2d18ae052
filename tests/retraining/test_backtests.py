"""Back-tests: policies played through a past of which everything is known."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "agent")]

import world
from world import Place, deliveries

from jupyter_mlops import mlops
from jupyter_mlops.experiments import clusters
from jupyter_mlops.retraining import Terms
from jupyter_mlops.retraining.backtesting.backtest import replay
from jupyter_mlops.retraining.backtesting.playing import Past, Played
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Invalid

TERMS = Terms(endpoint="delay", notebook="train.ipynb", every="10d", window="60d", over="10d")


def past(*parts: tuple[str, int, bool]) -> Past:
    """What came after ten days in which rain decides: start, days, and whether it is turned."""
    import pandas as pd

    names: dict[str, object] = {}
    first = deliveries(10)
    exec(world.IMPORTS + world.MODEL, {"data": first}, names)
    rows = pd.concat(
        deliveries(days, start=start, turned=turned, seed=50 + n)
        for n, (start, days, turned) in enumerate(parts)
    )
    renamed = {"at": "event_time"}
    return Past(
        pl.from_pandas(first.rename(columns=renamed)),
        pl.from_pandas(rows.rename(columns=renamed)).sort("event_time"),
        tuple(world.FEATURES),
        "late",
        "binary",
        names["model"],
    )


def played(given: Past, terms: Terms = TERMS) -> dict[str, Played]:
    found, _ = replay(given, "ours", terms)
    return {one.name: one for one in found}


@pytest.fixture(scope="module")
def turned() -> dict[str, Played]:
    return played(past(("2026-02-01", 30, False), ("2026-03-03", 60, True)))


def test_a_policy_with_a_gate_keeps_the_gain_with_fewer_promotions(
    turned: dict[str, Played],
) -> None:
    assert turned["never"].trainings == 0
    assert turned["always"].promotions == turned["always"].trainings == 8
    gain = turned["never"].loss - turned["always"].loss
    assert gain > 0.1
    assert turned["never"].loss - turned["ours"].loss > 0.8 * gain
    assert 1 <= turned["ours"].promotions <= 5


def test_no_look_knows_what_comes_after_it(turned: dict[str, Played]) -> None:
    """The turn on 3 March can be learnt at the look after it, and not before."""
    first = next(one for one in turned["ours"].steps if one.promoted)
    assert first.at > datetime(2026, 3, 3, tzinfo=UTC)
    looks = [one.at.date().isoformat() for one in turned["ours"].steps]
    assert looks[0] == "2026-02-11"
    assert len(looks) == 8


def test_every_row_is_answered_once(turned: dict[str, Played]) -> None:
    assert {len(one.losses) for one in turned.values()} == {90 * 60}


def test_a_world_that_stays_costs_a_gated_policy_little_and_promotes_nothing_wrong() -> None:
    found = played(past(("2026-02-01", 60, False)))
    assert abs(found["ours"].loss - found["never"].loss) < 0.005
    assert found["on loss"].trainings <= 1
    assert found["on drift"].trainings == 0


def test_a_condition_is_asked_at_each_look() -> None:
    asked = TERMS.but(when="loss > champion_at_promotion.loss + 0.05 (95%)")
    found = played(past(("2026-02-01", 30, False), ("2026-03-03", 40, True)), asked)["ours"]
    before = [one for one in found.steps if one.at <= datetime(2026, 3, 3, tzinfo=UTC)]
    assert [one.verdict for one in before] == ["no"] * len(before)
    assert found.promotions >= 1
    assert found.trainings < 6


@pytest.fixture
def lived(place: Place) -> Iterator[Place]:
    place.turn(40)
    place.retrain(window="90d")
    mlops.retrain.stop(place.name)
    yield place
    for one in clusters.clusters(place.ws):
        if one.status == "running":
            clusters.stop(place.ws, one.name)


def test_an_endpoints_own_past_is_played_by_the_verb_and_on_dask(lived: Place) -> None:
    found = mlops.backtest(lived.name, every="5d", seeds=2, share=0.8)
    assert found.rows == 40 * 60
    assert {one.name for one in found.outcomes} == {
        lived.name, "never", "always", "schedule", "on drift", "on loss",
    }  # fmt: skip
    assert found[lived.name].loss.mean < found["never"].loss.mean
    text = mimebundle(found)["text/plain"]
    assert f"{lived.name} keeps" in text
    spread = mlops.backtest(
        lived.name, every="5d", seeds=2, share=0.8, against=["never"], cluster="auto"
    )
    assert spread[lived.name].loss == found[lived.name].loss


def test_what_cant_be_played_is_said(lived: Place) -> None:
    with pytest.raises(Invalid, match="doesn't reach over two looks"):
        mlops.backtest(lived.name, every="30d")
    with pytest.raises(Invalid, match="is no policy to compare with"):
        mlops.backtest(lived.name, every="5d", against=["sometimes"])
    with pytest.raises(Invalid, match="a share above 0"):
        mlops.backtest(lived.name, every="5d", share=0.0)
