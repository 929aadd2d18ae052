"""Models are files that load without running anybody's code."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import textwrap
import types
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from jupyter_mlops.models.freezing import freeze, thaw
from jupyter_mlops.models.skops_policy import TRUSTED, check_contents, refused
from jupyter_mlops.workspace import Denied, Unavailable

X, y = make_classification(80, 6, random_state=0)


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        DecisionTreeClassifier(),
        RandomForestClassifier(5),
        GradientBoostingClassifier(n_estimators=5),
        HistGradientBoostingClassifier(max_iter=5),
        AdaBoostClassifier(n_estimators=3),
        KNeighborsClassifier(),
        SVC(),
        MLPClassifier((4,), max_iter=5),
        GaussianProcessClassifier(),
        CalibratedClassifierCV(LogisticRegression(), cv=2),
        VotingClassifier([("a", LogisticRegression()), ("b", DecisionTreeClassifier())]),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2),
        make_pipeline(SimpleImputer(), StandardScaler(), PCA(3), LogisticRegression()),
        make_pipeline(SelectKBest(k=2), DecisionTreeClassifier()),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_kept_answers_as_before(model: Any, tmp_path: Path) -> None:
    model.fit(X, y)
    frozen = freeze(model)
    (tmp_path / "model.skops").write_bytes(frozen.content)
    assert np.array_equal(thaw(tmp_path / "model.skops").predict(X), model.predict(X))


def test_a_function_of_the_notebooks_own_is_refused_by_name() -> None:
    notebook = types.ModuleType("notebook_zq")
    exec("def doubled(x):\n    return x * 2\n", vars(notebook))
    sys.modules["notebook_zq"] = notebook
    try:
        model = make_pipeline(FunctionTransformer(notebook.doubled), LogisticRegression())
        with pytest.raises(Denied, match=r"notebook_zq\.doubled, which can't be loaded safely"):
            freeze(model.fit(X, y))
    finally:
        del sys.modules["notebook_zq"]


def test_a_file_that_asks_for_another_type_isnt_loaded(tmp_path: Path) -> None:
    """The type is named in the file only; nothing of it may be imported or called."""
    content = freeze(StandardScaler().fit(X)).content
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "schema.json":
                schema = json.loads(part)
                schema["__class__"], schema["__module__"] = "Popen", "subprocess"
                part = json.dumps(schema).encode()
            new.writestr(name, part)
    with pytest.raises(Denied, match="holds types that aren't allowed in a model"):
        thaw(path)


def test_a_tree_that_points_outside_itself_may_not_predict() -> None:
    forest = RandomForestClassifier(2, random_state=0).fit(X, y)
    check_contents(forest)
    left = forest.estimators_[1].tree_.children_left
    inner = int(np.flatnonzero(left != -1)[0])
    left.setflags(write=True)
    for wrong in (10_000, inner):
        left[inner] = wrong
        with pytest.raises(Denied, match="points outside itself"):
            check_contents(forest)
    boosted = HistGradientBoostingClassifier(max_iter=2).fit(X, y)
    check_contents(make_pipeline(boosted))
    boosted._predictors[1][0].nodes["right"][0] = 99
    with pytest.raises(Denied, match="points outside itself"):
        check_contents(make_pipeline(boosted))


def test_a_broken_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(b"PK nothing")
    with pytest.raises(Unavailable, match="can't be read"):
        thaw(path)


def test_boosting_with_categories_is_kept_and_no_other_partial_is() -> None:
    rows = pd.DataFrame({"c": pd.Series(list("abca") * 20, dtype="category"), "x": X[:, 0]})
    model = HistGradientBoostingClassifier(max_iter=2).fit(rows, y)
    assert "functools.partial" in freeze(model).trusted
    model = make_pipeline(FunctionTransformer(partial(np.mean, axis=0)), LogisticRegression())
    with pytest.raises(Denied, match="a call that scikit-learn doesn't make: it calls mean"):
        freeze(model)


def test_nothing_reviewed_lets_a_file_name_what_to_run() -> None:
    tops = {name.partition(".")[0] for name in TRUSTED - {"functools.partial"}}
    assert tops == {"collections", "numpy", "scipy", "sklearn"}
    assert refused(skops.io.get_untrusted_types(data=skops.io.dumps(len))) != []


def test_the_first_model_loads_none_of_dasks_arrays_and_hides_nothing_for_good() -> None:
    script = """
        import sys
        from sklearn.linear_model import LinearRegression
        from jupyter_mlops import models
        frozen = models.freeze(LinearRegression().fit([[0], [1]], [0, 1]))
        assert frozen.format == "skops"
        assert "dask.array" not in sys.modules
        from sklearn.externals.array_api_compat import dask
        assert dask.__path__
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)
