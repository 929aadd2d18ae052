"""Texts and vectors in the report: drawn where they can be, one sentence where they can't."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from jupyter_mlops import monitoring
from jupyter_mlops.data import resolve
from jupyter_mlops.monitoring import drawing
from jupyter_mlops.monitoring.contents import compare_embeddings, compare_texts
from jupyter_mlops.monitoring.drawing import POINTS, Rows, drawn, sketched
from jupyter_mlops.monitoring.features import compare_columns
from jupyter_mlops.monitoring.limits import Limits

N = 500
OLD = ["parcel", "van", "street", "door", "bell", "rain", "delay", "late", "early", "route"]
NEW = ["drone", "battery", "charge", "rotor", "altitude", "propeller", "signal", "wind"]


@pytest.fixture(scope="module")
def engine():
    """The one module that holds Evidently's names; its import takes seconds."""
    from jupyter_mlops.monitoring import evidently_report

    return evidently_report


def side(seed, words, shift=0.0, n=N):
    rng = np.random.default_rng(seed)
    notes = [" ".join(rng.choice(words, 6)) for _ in range(n)]
    return pl.DataFrame(
        {
            "note": [None if at % 50 == 0 else one for at, one in enumerate(notes)],
            "vector": (rng.normal(size=(n, 8)) + shift).tolist(),
            "x": rng.normal(size=n),
        }
    )


def judged(before, now):
    contents = {
        "note": ("text", now.height, compare_texts(before["note"], now["note"])),
        "vector": ("embedding", now.height, compare_embeddings(before["vector"], now["vector"])),
    }
    return compare_columns({}, {}, Limits(), contents)


def test_texts_and_vectors_are_drawn_with_our_verdicts(engine):
    before, now = side(1, OLD), side(2, NEW, 1.0)
    features = judged(before, now)
    page = engine.draw(Rows(before), Rows(now), features, "t")
    assert set(page.columns) == {"note", "vector"}
    assert engine.drifted_columns(page.snapshot) == {"note": True, "vector": True}
    assert page.notices == [
        "'vector' is drawn as the distance of each vector from the reference's mean"
    ]
    # The words that tell the sides apart are in the page.
    assert "propeller" in page.html.decode()


def test_texts_and_vectors_in_which_nothing_changed_are_no_alarm(engine):
    before, now = side(1, OLD), side(3, OLD)
    page = engine.draw(Rows(before), Rows(now), judged(before, now), "t")
    assert engine.drifted_columns(page.snapshot) == {"note": False, "vector": False}
    assert not engine.table_drifted(page.snapshot)


def test_our_test_of_texts_may_be_asked_for_by_name(engine):
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(text_columns=["note"])
    before, now = (
        Dataset.from_pandas(
            pd.DataFrame({"note": one["note"].drop_nulls().to_list()}), data_definition=definition
        )
        for one in (side(1, OLD), side(2, NEW))
    )
    report = Report([ValueDrift(column="note", method=engine.TEST)], include_tests=True)
    (test,) = report.run(now, before).dict()["tests"]
    assert str(test["status"]).endswith("FAIL")


def test_texts_without_words_that_differ_are_told_in_one_sentence(engine):
    # Evidently ends the whole report where no word is left to tell the sides apart by.
    before, now = side(1, OLD), side(2, OLD)
    before = before.with_columns(note=pl.lit("the and of"))
    now = now.with_columns(note=pl.lit("to be or not to be"))
    features = judged(before, now)
    assert {one.name: one.verdict for one in features}["note"] == "drifted"
    page = engine.draw(Rows(before), Rows(now), features, "t")
    assert page.columns == ["vector"]
    assert "'note' isn't drawn: Evidently finds no words in it that differ" in page.notices[-1]


def test_vectors_of_another_length_are_told_in_one_sentence():
    before, now = side(1, OLD), side(2, OLD)
    now = now.with_columns(vector=pl.Series([[1.0, 2.0]] * N))
    (one,) = (one for one in judged(before, now) if one.name == "vector")
    columns, notices, _ = drawn(Rows(before), Rows(now), [one])
    assert columns == []
    said = "'vector' isn't drawn: its vectors have another length in the traffic"
    assert notices[0].startswith(said)


def test_of_many_rows_some_are_drawn_spread_evenly():
    before = side(1, OLD, n=9000)
    made = sketched(before.lazy(), {"note": "text", "vector": "embedding", "x": "number"})
    assert made.rows == 9000
    assert POINTS / 2 <= len(made.contents("note")) <= POINTS
    places = pl.Series("at", range(9000))
    step = 1 + 9000 // POINTS
    assert made.contents("note").to_list() == before["note"].gather_every(step).to_list()
    assert places.gather_every(step).len() == len(made.contents("vector"))
    features = judged(before[:N], side(2, NEW, 1.0))
    columns, _, points = drawn(made, made, features)
    assert points
    assert {one.name: len(one.current) for one in columns} == {"note": POINTS, "vector": POINTS}


def test_the_report_of_a_check_shows_them(engine, ws, service, monkeypatch):
    rows = {"before": side(1, OLD), "now": side(2, NEW)}
    traffic = service.traffic(service.rows(N)).drop("in.x", "in.carrier")
    traffic = traffic.with_columns(rows["now"].select(pl.all().name.prefix("in.")))
    reference = resolve(ws, rows["before"])
    check = monitoring.drift(ws, reference, traffic.lazy(), endpoint="delay", jointly=False)
    for limit in (drawing.RAW_ROWS, 100):
        monkeypatch.setattr("jupyter_mlops.monitoring.reports.RAW_ROWS", limit)
        sides = monitoring.reports._sides(ws, check, reference, traffic.lazy())
        page = engine.draw(*sides, check.features, "t", check.limits)
        assert page.sampled == (limit == 100)
        assert engine.drifted_columns(page.snapshot) == {"note": True, "vector": False, "x": False}
