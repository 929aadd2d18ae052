"""Fourteen things Evidently does that a report must not suffer from.

Each test first shows the trap in the pinned version, so that a new version which closes one is
noticed, and then that our report doesn't fall into it.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

import jupyter_mlops
from jupyter_mlops.monitoring import Report, compare_features
from jupyter_mlops.monitoring.drawing import Rows
from jupyter_mlops.views.registry import mimebundle
from jupyter_mlops.workspace.records import utcnow

ROOT = Path(jupyter_mlops.__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def engine():
    """Our module first: it sets the telemetry switch and mends what pandas dropped."""
    from jupyter_mlops.monitoring import evidently_report

    return evidently_report


@pytest.fixture(scope="module")
def evidently(engine):
    import evidently

    return evidently


@pytest.fixture(scope="module")
def stattests(engine):
    from evidently.legacy.calculations import stattests

    return stattests


def evaluated(before: pd.DataFrame, after: pd.DataFrame, definition=None) -> dict[str, float]:
    """Scores by column, as Evidently by itself gives them."""
    from evidently import DataDefinition, Dataset
    from evidently import Report as TheirReport
    from evidently.presets import DataDriftPreset

    definition = definition or DataDefinition()
    sides = [Dataset.from_pandas(one, definition) for one in (before, after)]
    run = TheirReport([DataDriftPreset()]).run(sides[1], sides[0])
    return {
        one["config"]["column"]: float(one["value"])
        for one in run.dict()["metrics"]
        if "column" in one["config"]
    }


def ours(before: pl.DataFrame, after: pl.DataFrame):
    features = compare_features(before, after, before.columns)
    return {one.name: one for one in features}, features


def drawn(before: pl.DataFrame, after: pl.DataFrame):
    from jupyter_mlops.monitoring import evidently_report as engine

    return engine.draw(Rows(before), Rows(after), ours(before, after)[1], "t")


@pytest.fixture(scope="module")
def page():
    rng = np.random.default_rng(1)
    before = pl.DataFrame({"x": rng.normal(size=600), "y": rng.normal(size=600)})
    return drawn(before, before.with_columns(y=pl.col("y") + 3))


def test_01_a_path_object_is_silently_ignored(engine, page, tmp_path):
    run = engine.Run.loads(page.snapshot)
    run.save_html(tmp_path / "never.html")
    assert not (tmp_path / "never.html").exists()
    assert page.html.lower().lstrip().startswith(b"<!doctype html>")


def test_02_what_save_json_writes_cant_be_loaded_again(engine, page, tmp_path):
    run = engine.Run.loads(page.snapshot)
    run.save_json(str(tmp_path / "lossy.json"))
    with pytest.raises(Exception, match="validation error"):
        engine.Run.load(str(tmp_path / "lossy.json"))
    (tmp_path / "ours.json").write_text(page.snapshot)
    again = engine.Run.load(tmp_path / "ours.json")
    assert again.dict()["tests"] == run.dict()["tests"]
    assert engine.drifted_columns(again.dumps()) == {"x": False, "y": True}


def test_03_columns_of_many_types_are_left_out_without_a_word(engine):
    small = pd.DataFrame(
        {"x": [0.5, 1.5, 2.5] * 20, "u": pd.Series([1, 2, 3] * 20, dtype="uint8")}
    ).assign(i=lambda one: one["x"].astype("Float64"))
    assert set(evaluated(small, small)) == {"x"}
    n = 60
    frame = pl.DataFrame(
        {
            "u8": pl.Series(range(n), dtype=pl.UInt8),
            "gaps": pl.Series([None, *range(n - 1)], dtype=pl.Int64),
            "flag": pl.Series([True, None, False] * 20),
            "money": pl.Series([Decimal("1.50")] * n, dtype=pl.Decimal(10, 2)),
            "day": [dt.date(2013, 1, 1) + dt.timedelta(i) for i in range(n)],
            "moment": [dt.datetime(2013, 1, 1) + dt.timedelta(i) for i in range(n)],
            "length": [dt.timedelta(seconds=i) for i in range(n)],
            "text": pl.Series(["a", None, "b"] * 20),
            "kind": pl.Series(["a", "b", None] * 20, dtype=pl.Categorical),
            "endless": pl.Series([float("inf"), *range(n - 1)], dtype=pl.Float32),
        }
    )
    found = drawn(frame, frame)
    assert set(found.columns) == set(frame.columns)
    assert set(engine.drifted_columns(found.snapshot)) == set(frame.columns)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # its sums over endless values
def test_04_one_missing_or_empty_column_ends_the_whole_report(engine, evidently):
    good = pd.DataFrame({"x": [0.1, 0.2, 0.3] * 10, "y": [1.0, 2.0, 3.0] * 10})
    numbers = evidently.DataDefinition(numerical_columns=["x", "y"], categorical_columns=[])
    for bad in (good[["x"]], good.assign(y=np.nan), good.assign(y=np.inf)):
        with pytest.raises((ValueError, KeyError)):
            evaluated(good, bad, numbers)
        before, after = pl.from_pandas(good), pl.from_pandas(bad)
        features = compare_features(before, before, before.columns)
        found = engine.draw(Rows(before), Rows(after), features, "t")
        assert found.columns == ["x"]
        assert [one.split(" isn't")[0] for one in found.notices] == ["'y'"]


def test_05_missing_values_are_dropped_before_every_test(engine):
    rng = np.random.default_rng(5)
    before = pd.DataFrame({"x": rng.normal(size=5000)})
    after = before.mask(rng.random((5000, 1)) < 0.6)
    assert evaluated(before, after)["x"] < 0.05
    sides = pl.from_pandas(before), pl.from_pandas(after)
    found, _ = ours(*sides)
    assert found["x"].verdict == "drifted"
    assert found["x"].reason.startswith("missing 0.0% → 59.2%")
    assert engine.drifted_columns(drawn(*sides).snapshot) == {"x": True}


def test_06_its_dataset_statistics_count_no_missing_values(evidently):
    frame = pd.DataFrame({"x": [1.5, np.nan, np.nan, 2.5] * 100})
    numbers = evidently.DataDefinition(numerical_columns=["x"])
    stats = evidently.Dataset.from_pandas(frame, numbers).stats()
    assert stats.column_stats["x"].general_stats.missing_values.count == 0
    words = evidently.DataDefinition(categorical_columns=["c"])
    letters = pd.DataFrame({"c": pd.Series(["a", "a", "b"], dtype=object)})
    counted = evidently.Dataset.from_pandas(letters, words).stats().column_stats["c"]
    with pytest.raises(TypeError):
        _ = counted.categorical_stats.most_common
    found, _ = ours(pl.from_pandas(frame), pl.from_pandas(frame))
    assert found["x"].missing_current == 0.5


def test_07_one_outlier_hides_a_shift_from_its_psi(evidently, stattests):
    rng = np.random.default_rng(7)
    before, after = rng.normal(size=20_000), rng.normal(0.5, 1, 20_000)
    far = np.append(after[:-1], 1000.0)
    theirs = [
        stattests.psi_stat_test(
            pd.Series(before), pd.Series(one), evidently.ColumnType.Numerical, None
        ).drift_score
        for one in (after, far)
    ]
    assert theirs[0] > 0.2
    assert theirs[1] < 0.05
    mine = [
        ours(pl.DataFrame({"x": before}), pl.DataFrame({"x": one}))[0]["x"] for one in (after, far)
    ]
    assert mine[0].effect > 0.2
    assert mine[1].effect == pytest.approx(mine[0].effect, rel=0.01)


def test_08_one_outlier_in_the_reference_hides_a_shift_from_its_wasserstein(evidently, stattests):
    rng = np.random.default_rng(8)
    before, after = rng.normal(size=20_000), rng.normal(0.5, 1, 20_000)
    far = np.append(before[:-1], 1000.0)
    theirs = [
        stattests.wasserstein_stat_test(
            pd.Series(one), pd.Series(after), evidently.ColumnType.Numerical, None
        ).drift_score
        for one in (before, far)
    ]
    assert theirs[0] > 0.4
    assert theirs[1] < 0.1
    mine = [
        ours(pl.DataFrame({"x": one}), pl.DataFrame({"x": after}))[0]["x"] for one in (before, far)
    ]
    assert mine[1].distance == pytest.approx(mine[0].distance, rel=0.01)


def test_09_every_test_runs_three_times_so_ours_is_worked_out_before(
    engine, evidently, monkeypatch
):
    from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
    from evidently.presets import DataDriftPreset

    number = evidently.ColumnType.Numerical
    asked = []

    def counted(reference, current, feature_type, threshold):
        asked.append(current.name)
        return 0.0, False

    register_stattest(StatTest("counted", "counted", [number]), default_impl=counted)
    frame = pd.DataFrame({"x": np.arange(50.0), "y": np.arange(50.0)})
    side = evidently.Dataset.from_pandas(frame)
    evidently.Report([DataDriftPreset(num_method="counted")]).run(side, side).dict()
    assert asked.count("x") == asked.count("y") >= 2

    sides = pl.from_pandas(frame), pl.from_pandas(frame)
    features = compare_features(*sides, ["x", "y"])

    def never(*_):
        raise AssertionError("a test ran again for the report")

    monkeypatch.setattr(engine, "compare_features", never)
    found = engine.draw(*map(Rows, sides), features, "t")
    assert engine.drifted_columns(found.snapshot) == {"x": False, "y": False}


def test_10_it_doesnt_know_polars_frames(evidently):
    from evidently.presets import DataDriftPreset

    frame = pl.DataFrame({"x": np.arange(300.0)})
    with pytest.raises(ValueError, match="Unsupported dataset type"):
        evidently.Report([DataDriftPreset()]).run(frame, frame)
    assert drawn(frame, frame).columns == ["x"]


def test_11_its_output_puts_megabytes_into_a_notebook(engine, page):
    run = engine.Run.loads(page.snapshot)
    assert len(run._repr_html_()) > 3_000_000
    report = Report(
        id="ab12", subject="drift:1", title="delay: March", engine=engine.ENGINE,
        reference_rows=300, current_rows=300, columns=page.columns, notices=[], sampled=False,
        size=len(page.html), url="file:///r/ab12.html", actor="ana", at=utcnow(),
    )  # fmt: skip
    bundle = mimebundle(report)
    assert sum(len(str(one)) for one in bundle.values()) < 20_000
    assert not any("<script" in str(one) for one in bundle.values())


def test_12_a_callable_isnt_taken_but_a_registered_name_is(engine, evidently):
    from evidently.metrics import ValueDrift

    rng = np.random.default_rng(12)
    columns = {"x": rng.normal(size=900), "c": rng.choice(["a", "b"], 900)}
    before = pd.DataFrame(columns)
    after = before.assign(x=before["x"] + 1.5)
    definition = evidently.DataDefinition(numerical_columns=["x"], categorical_columns=["c"])
    sides = [evidently.Dataset.from_pandas(one, definition) for one in (before, after)]
    with pytest.raises(Exception, match=r"str"):
        ValueDrift(column="x", method=lambda *_: (0.0, False))
    # In a report of one's own, ours judges the rows it is given.
    metrics = [ValueDrift(column=name, method=engine.TEST) for name in columns]
    run = evidently.Report(metrics, include_tests=True).run(sides[1], sides[0])
    assert engine.drifted_columns(run.dumps()) == {"x": True, "c": False}
    scores = {one["config"]["column"]: one["value"] for one in run.dict()["metrics"]}
    found, _ = ours(pl.DataFrame(columns), pl.from_pandas(after))
    assert scores["x"] == pytest.approx(found["x"].effect, abs=1e-9)
    assert scores["c"] == pytest.approx(found["c"].effect, abs=1e-9)


SILENT = """
import os, socket, sys
import pandas.core.dtypes.common as common
vars(common).pop("infer_dtype_from_object", None)  # as from pandas 3.1 on
asked = []
connect = socket.socket.connect
socket.socket.connect = lambda self, address: asked.append(address)
import polars as pl
from jupyter_mlops.monitoring import compare_features, evidently_report
frame = pl.DataFrame({"x": range(300)})
from jupyter_mlops.monitoring.drawing import Rows
side = Rows(frame)
page = evidently_report.draw(side, side, compare_features(frame, frame, ["x"]), "t")
print(len(page.columns), asked, os.environ["DO_NOT_TRACK"])
"""


def test_13_nothing_is_sent_and_pandas_may_lack_what_it_dropped():
    environment = {k: v for k, v in os.environ.items() if k != "DO_NOT_TRACK"}
    done = subprocess.run(
        [sys.executable, "-c", SILENT], capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == "1 [] 1", done.stderr


NAMES = {
    "evidently": "Report Run Dataset DataDefinition ColumnType __version__",
    "evidently.presets": "DataDriftPreset",
    "evidently.legacy.calculations.stattests.registry": "StatTest register_stattest",
    "evidently.legacy.core": "ColumnType",
}


def test_14_all_of_it_is_legacy_so_one_version_is_pinned_and_loaded_late(evidently):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (pinned,) = (one for one in project["dependencies"] if one.startswith("evidently"))
    assert pinned == f"evidently=={evidently.__version__}"
    for module, names in NAMES.items():
        found = __import__(module, fromlist=["_"])
        assert [name for name in names.split() if not hasattr(found, name)] == []
    program = "import sys, jupyter_mlops.monitoring; print('evidently' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
