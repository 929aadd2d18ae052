"""Variables travel once, by mapped files: equal to what they were, and nobody's writes reach
another trial."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import polars as pl
import pytest

from jupyter_mlops.experiments.driver.shipments import Shipment, pack
from jupyter_mlops.workspace import Invalid, NotFound


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5_000, 4))
    return {
        "x": x,
        "same": x,
        "gaps": x[::2],
        "frame": pd.DataFrame(
            {
                "n": np.arange(5_000),
                "s": [f"t{i % 7}" for i in range(5_000)],
                "c": pd.Categorical(["u", "v"] * 2_500),
                "t": pd.date_range("2026-01-01", periods=5_000, tz="UTC"),
            }
        ),
        "polars": pl.DataFrame({"a": [1, None, 3], "b": ["x", "y", None], "c": [[1], [], None]}),
        "series": pl.Series("named", [1.5, 2.5]),
        "scale": 3,
    }


def test_values_come_out_as_they_went_in(tmp_path, values):
    found = pack(tmp_path, values, {}).load()
    np.testing.assert_array_equal(found["x"], values["x"])
    np.testing.assert_array_equal(found["gaps"], values["gaps"])
    assert found["same"] is found["x"]
    pd.testing.assert_frame_equal(found["frame"], values["frame"])
    assert found["polars"].equals(values["polars"])
    assert found["polars"].schema == values["polars"].schema
    assert found["series"].name == "named"
    assert found["series"].equals(values["series"])
    assert found["scale"] == 3


def test_a_trial_may_write_and_no_other_sees_it(tmp_path, values):
    shipment = pack(tmp_path, values, {})
    first = shipment.load()
    first["x"][0, 0] = 99.0
    first["frame"].loc[0, "n"] = -1
    second = shipment.load()
    assert second["x"][0, 0] == values["x"][0, 0]
    assert second["frame"].loc[0, "n"] == 0


def test_large_arrays_are_mapped_rather_than_read(tmp_path):
    big = np.ones(8_000_000)  # 64 MB
    shipment = pack(tmp_path, {"big": big}, {})
    assert len((shipment.folder / "values.pickle").read_bytes()) < 1_000
    import psutil

    before = psutil.Process().memory_info()
    held = [shipment.load()["big"] for _ in range(8)]
    private = psutil.Process().memory_info().rss - before.rss
    assert all(one[0] == 1.0 for one in held)
    assert private < 16_000_000  # eight copies would be 512 MB


def test_the_same_values_are_kept_once(tmp_path, values):
    assert pack(tmp_path, values, {}).folder == pack(tmp_path, values, {}).folder
    assert len(list(tmp_path.iterdir())) == 1
    assert pack(tmp_path, values | {"scale": 4}, {}).folder != pack(tmp_path, values, {}).folder


def test_functions_and_classes_of_the_notebook_travel_with_what_they_use(tmp_path):
    names: dict = {"__name__": "__main__"}
    exec(
        "factor = 3\n"
        "def times(n): return n * factor\n"
        "class Doubler:\n    def __call__(self, n): return times(n) * 2\n",
        names,
    )
    found = pack(tmp_path, {"times": names["times"], "doubler": names["Doubler"]()}, {}).load()
    assert found["times"](2) == 6
    assert found["doubler"](2) == 12


def test_local_modules_lie_in_the_shipment(tmp_path):
    (tmp_path / "beside").mkdir()
    module = tmp_path / "beside" / "helper.py"
    module.write_text("def one(): return 1\n")
    shipment = pack(tmp_path / "home", {}, {"helper": module})
    assert (shipment.modules / "helper.py").read_text() == "def one(): return 1\n"
    module.write_text("def one(): return 2\n")
    assert pack(tmp_path / "home", {}, {"helper": module}).digest != shipment.digest


@pytest.mark.parametrize("value", [threading.Lock(), (i for i in range(3))])
def test_what_cannot_travel_is_named_and_nothing_is_left_behind(tmp_path, value):
    with pytest.raises(Invalid) as refused:
        pack(tmp_path, {"fine": 1, "stubborn": value}, {})
    assert "'stubborn'" in refused.value.what
    assert list(tmp_path.iterdir()) == []


def test_a_function_over_a_socket_is_named(tmp_path):
    import socket

    with socket.socket() as line:
        fetch = lambda: line.recv(1)  # noqa: E731
        with pytest.raises(Invalid, match="'fetch'"):
            pack(tmp_path, {"fetch": fetch}, {})


def test_a_shipment_that_is_gone_says_so(tmp_path):
    with pytest.raises(NotFound, match="variables are gone"):
        Shipment.at(tmp_path / "nothing")
