"""Models of other libraries in their own formats, and pickles after a waiver only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import pyfunc

from experiments.workbench import Bench
from jupyter_mlops import experiments, models
from jupyter_mlops.experiments import sending
from jupyter_mlops.experiments.evidence import RunEvidence
from jupyter_mlops.models.formats import format_of
from jupyter_mlops.models.freezing import freeze, freezer
from jupyter_mlops.models.gates import check, set_gates
from jupyter_mlops.serving.loading import open_model
from jupyter_mlops.serving.modelfile import read_model_file
from jupyter_mlops.serving.predictor import Predictor
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Denied, Invalid, NotFound

pytest.importorskip("xgboost")
pytest.importorskip("lightgbm")

BODY = """\
from {library} import {kind}

X = rows.drop(columns="target")
model = {kind}(n_estimators=8, n_jobs=1{more}).fit(X, rows["target"])
"""
PICKLED = """\
class Constant:
    classes_ = [0, 1]
    def __init__(self, columns):
        self.feature_names_in_ = columns
    def predict(self, rows):
        import numpy
        return numpy.ones(len(rows), dtype=int)
    def predict_proba(self, rows):
        import numpy
        return numpy.tile([0.25, 0.75], (len(rows), 1))
X = rows.drop(columns="target")
import numpy
Constant.classes_ = numpy.array([0, 1])
model = Constant(numpy.array(X.columns, dtype=object))
"""


def registered(bench: Bench, body: str, **options: Any) -> models.ModelVersion:
    run = bench.scored(body, name="delay", **options)
    assert run.has_model, run.notes
    sending.send(bench.ws, run.id)
    return models.register(bench.ws, experiments.find_run(bench.ws, run), "delay")


def served(bench: Bench, version: models.ModelVersion, rows: pd.DataFrame) -> Any:
    """What the process of an endpoint answers."""
    file = read_model_file(version.path(bench.ws))
    model = open_model(file, version.digest, pickles=True)
    predictor = Predictor(model, file.fields, tensor=file.tensor)
    columns = {str(name): rows[name].to_numpy() for name in rows.columns}
    return predictor(columns)


@pytest.mark.parametrize(
    ("library", "kind", "more", "file"),
    [
        ("xgboost", "XGBClassifier", "", "model.ubj"),
        ("xgboost", "XGBRFClassifier", "", "model.ubj"),
        ("lightgbm", "LGBMClassifier", ", verbose=-1", "model.txt"),
    ],
)
def test_a_booster_is_kept_in_its_own_format_and_answers_as_before(
    tracked: Bench, library: str, kind: str, more: str, file: str
) -> None:
    version = registered(tracked, BODY.format(library=library, kind=kind, more=more))
    folder = version.path(tracked.ws)
    assert (folder / file).is_file()
    assert format_of(folder) == library
    assert f"{library}" in (folder / "requirements.txt").read_text()
    rows = tracked.names["held_out"].drop(columns="target")
    model = tracked.names["model"]
    again = models.load(tracked.ws, version)
    np.testing.assert_allclose(again.predict_proba(rows), model.predict_proba(rows), rtol=1e-6)
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))
    answer = served(tracked, version, rows)
    np.testing.assert_allclose(answer.probability, model.predict_proba(rows)[:, 1], rtol=1e-6)
    # MLflow's own loader of the library opens it too.
    expected = model.predict(rows) if library == "xgboost" else model.predict_proba(rows)[:, 1]
    np.testing.assert_allclose(pyfunc.load_model(str(folder)).predict(rows), expected, rtol=1e-6)
    set_gates(tracked.ws, "delay", "latency.p50 < 10s")
    assert check(tracked.ws, "delay", RunEvidence(tracked.ws)).passed


@pytest.mark.parametrize(
    ("library", "kind", "more"),
    [("xgboost", "XGBRegressor", ""), ("lightgbm", "LGBMRegressor", ", verbose=-1")],
)
def test_a_booster_of_numbers_and_of_several_classes(
    tracked: Bench,
    iris: dict[str, pd.DataFrame],
    diabetes: dict[str, pd.DataFrame],
    library: str,
    kind: str,
    more: str,
) -> None:
    for frames, one in ((diabetes, kind), (iris, kind.replace("Regressor", "Classifier"))):
        tracked.names |= frames
        version = registered(
            tracked,
            BODY.format(library=library, kind=one, more=more),
            valid=frames["held_out"],
        )
        rows = frames["held_out"].drop(columns="target")
        model = tracked.names["model"]
        again = models.load(tracked.ws, version)
        np.testing.assert_allclose(again.predict(rows), model.predict(rows), rtol=1e-6)
        answer = served(tracked, version, rows)
        np.testing.assert_allclose(answer.prediction, model.predict(rows), rtol=1e-6)


@pytest.mark.parametrize(
    ("library", "kind", "more"),
    [
        ("xgboost", "XGBClassifier", ", enable_categorical=True"),
        ("lightgbm", "LGBMClassifier", ", verbose=-1"),
    ],
)
def test_categories_come_as_text_to_an_endpoint(
    tracked: Bench, library: str, kind: str, more: str
) -> None:
    dice = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"c": pd.Categorical(dice.choice(list("xyz"), 400)), "n": dice.random(400)}
    )
    frame["target"] = ((frame["c"] == "y") ^ (frame["n"] > 0.7)).astype(int)
    tracked.names["rows"] = frame
    version = registered(tracked, BODY.format(library=library, kind=kind, more=more), valid=frame)
    rows = frame.drop(columns="target")
    expected = tracked.names["model"].predict_proba(rows)[:, 1]
    assert expected.std() > 0.1
    text = rows.assign(c=rows["c"].astype(object))
    np.testing.assert_allclose(served(tracked, version, text).probability, expected, rtol=1e-6)


def test_what_a_boosters_format_has_no_place_for_is_refused() -> None:
    from xgboost import XGBClassifier, XGBRegressor

    rows, truth = np.random.default_rng(0).random((40, 2)), [0, 1] * 20

    def loss(truth: Any, guess: Any) -> Any:
        return guess - truth, np.ones_like(guess)

    with pytest.raises(Denied, match="its loss is a function of the notebook"):
        freeze(XGBRegressor(n_estimators=2, objective=loss).fit(rows, truth))
    with pytest.raises(Denied, match=r"takes -1\.0 for missing"):
        freeze(XGBClassifier(n_estimators=2, missing=-1.0).fit(rows, truth))


def test_a_pickle_is_refused_until_somebody_takes_it_upon_themselves(tracked: Bench) -> None:
    refused = tracked.train(PICKLED, "delay", target="target")
    assert not refused.has_model
    with pytest.raises(Invalid, match="a waiver needs a reason"):
        find("waive pickle")(tracked.ws, model="delay")
    made = find("waive pickle")(tracked.ws, model="delay", reason="a rule, reviewed by ada")
    assert "may be kept as a pickle" in mimebundle(made)["text/plain"]
    (event,) = tracked.ws.events(kind="model.waived")
    assert event.payload["reason"] == "a rule, reviewed by ada"
    options = {"valid": tracked.names["held_out"], "target": "target"}
    run = experiments.train(
        tracked.ws,
        "delay",
        PICKLED,
        freeze=freezer(tracked.ws, "delay"),
        namespace=tracked.names,
        **options,  # type: ignore[arg-type]
    )
    assert run.model["format"] == "pickle"
    sending.send(tracked.ws, run.id)
    run = experiments.find_run(tracked.ws, run)
    with pytest.raises(Denied, match="the model of other is a pickle"):
        models.register(tracked.ws, run, "other")
    version = models.register(tracked.ws, run, "delay")
    # Here it isn't loaded, in the endpoint's own process it is.
    with pytest.raises(Denied, match="loaded in an endpoint's own process only"):
        models.load(tracked.ws, version)
    rows = tracked.names["held_out"].drop(columns="target")
    np.testing.assert_array_equal(served(tracked, version, rows).probability, 0.75)
    set_gates(tracked.ws, "delay", "latency.p50 < 10s")
    (line,) = check(tracked.ws, "delay", RunEvidence(tracked.ws)).lines
    assert line.verdict == "unknown"
    assert "is a pickle" in line.reason
    find("waive pickle")(tracked.ws, model="delay", withdraw=True)
    with pytest.raises(Denied, match="no waiver is recorded for it"):
        version.path(tracked.ws)
    with pytest.raises(NotFound, match="there is no waiver"):
        find("waive pickle")(tracked.ws, model="delay", withdraw=True)


def test_a_pickle_isnt_made_of_what_has_a_safe_format(tracked: Bench) -> None:
    from sklearn.linear_model import LogisticRegression

    find("waive pickle")(tracked.ws, model="delay", reason="just in case")
    model = LogisticRegression().fit([[0], [1]], [0, 1])
    assert freezer(tracked.ws, "delay")(model).format == "skops"


def test_a_pickle_named_as_a_safe_format_isnt_run(tmp_path: Path) -> None:
    """What MLmodel says chooses the reader, and each reader takes its own format alone."""
    import pickle

    from jupyter_mlops.models.formats import open_folder
    from jupyter_mlops.workspace import MLOpsError

    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "went off",))

    for kind, file in (("xgboost", "model.ubj"), ("lightgbm", "model.txt")):
        (tmp_path / file).write_bytes(pickle.dumps(Bomb()))
        told = f"metadata:\n  jupyter_mlops:\n    format: {kind}\n    class: a.XGBClassifier\n"
        (tmp_path / "MLmodel").write_text(told)
        with pytest.raises(MLOpsError, match="can't be read by its own library"):
            open_folder(tmp_path)
    assert not (tmp_path / "went off").exists()
