"""Digests of values: the same content is the same, any change shows, no size takes long."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from jupyter_mlops.experiments.body import Body, free_variables
from jupyter_mlops.experiments.digests import digest_value
from jupyter_mlops.experiments.localcode import local_modules
from jupyter_mlops.experiments.surroundings import Checkout, environment, notebook_validity


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "n": [1, 2, 3],
            "x": [0.5, np.nan, 2.0],
            "t": ["a", None, "ccc"],
            "c": pd.Series(["u", "v", "u"], dtype="category"),
            "d": pd.to_datetime(["2013-01-01", None, "2013-01-03"]),
            "b": [True, False, True],
            "o": [{"k": 1}, [2], "three"],
        }
    )


def same(one: Any, other: Any) -> bool:
    return digest_value(one) == digest_value(other)


@pytest.mark.parametrize(
    "make",
    [
        frame,
        lambda: pl.from_pandas(frame().drop(columns="o")),
        lambda: np.arange(12).reshape(3, 4),
        lambda: {"a": [1, 2.5, None], "b": {"x", "y", "z"}},
        lambda: LogisticRegression().fit([[0], [1]], [0, 1]),
        lambda: RandomForestClassifier(3, random_state=0).fit([[0], [1]], [0, 1]),
        lambda: Path("a/b"),
    ],
)
def test_the_same_content_has_the_same_digest(make: Callable[[], Any]) -> None:
    assert same(make(), make())
    assert digest_value(make()).method == "exact"


@pytest.mark.parametrize("column", list(frame().columns))
def test_one_changed_cell_changes_a_frames_digest(column: str) -> None:
    changed = frame()
    others: dict[str, Any] = {"n": 9, "x": 9.0, "t": "A", "c": "v", "b": False, "o": "four"}
    changed[column] = changed[column].astype(object) if column == "o" else changed[column]
    changed.at[0, column] = others.get(column, pd.Timestamp("2014-01-01"))
    assert not same(frame(), changed)


def test_names_types_order_and_index_count() -> None:
    base = frame()[["n", "x"]]
    assert not same(base, base.rename(columns={"n": "m"}))
    assert not same(base, base.astype({"n": "int32"}))
    assert not same(base, base.iloc[::-1])
    assert not same(base, base.set_index(pd.Index([5, 6, 7])))
    assert not same(1, True)
    assert not same(1, 1.0)
    assert not same([1, 2], (1, 2))


def test_a_slice_has_the_digest_of_its_copy() -> None:
    big = pd.concat([frame().drop(columns="o")] * 5, ignore_index=True)
    assert same(big.iloc[3:9].reset_index(drop=True), big.iloc[3:9].reset_index(drop=True).copy())
    column = pl.Series("t", ["x", "yy", None, "zzz"] * 10)
    assert same(column.slice(5, 7), pl.Series("t", column.slice(5, 7).to_list()))


def test_a_learned_state_changes_an_estimators_digest() -> None:
    one = LogisticRegression().fit([[0], [1]], [0, 1])
    other = LogisticRegression().fit([[0], [3]], [0, 1])
    assert not same(one, other)


def test_a_value_that_contains_itself_ends() -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    assert digest_value(loop).kind == "value"


def test_a_huge_value_is_sampled_and_says_so() -> None:
    huge = np.zeros((3_000_000, 20), dtype=np.float32)
    started = time.thread_time()
    found = digest_value(huge)
    assert time.thread_time() - started < 0.15
    assert found.method == "sample"
    assert found == digest_value(huge.copy())
    huge[-1] = 1
    assert found != digest_value(huge)


def test_a_functions_source_and_what_it_reads_are_sealed(tmp_path: Path) -> None:
    def names(body: str, factor: int) -> dict[str, Any]:
        path = tmp_path / "cell.py"
        path.write_text(body)
        import linecache

        linecache.checkcache(str(path))
        space: dict[str, Any] = {"__name__": "__main__", "factor": factor, "unused": 1}
        exec(compile(body, str(path), "exec"), space)
        return space

    plain = "def scaled(x):\n    return x * factor\n"
    body = Body.parse("y = scaled(2)", "t")
    first = free_variables(body, names(plain, 2))
    assert list(first) == ["scaled", "scaled.factor"]
    assert first == free_variables(body, names(plain, 2))
    assert first["scaled.factor"] != free_variables(body, names(plain, 3))["scaled.factor"]
    changed = free_variables(body, names(plain.replace("*", "+"), 2))
    assert first["scaled"] != changed["scaled"]


def test_modules_beside_the_notebook_are_sealed_and_libraries_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "prep_zq").mkdir()
    (tmp_path / "prep_zq/__init__.py").write_text("from .steps import clean\n")
    (tmp_path / "prep_zq/steps.py").write_text("import extra_zq\ndef clean(x): return x\n")
    (tmp_path / "extra_zq.py").write_text("import json\n")
    (tmp_path / "unused_zq.py").write_text("")
    body = Body.parse("import pandas\nfrom prep_zq import clean\n", "t")
    before = local_modules(body.tree, {})
    assert list(before) == ["extra_zq", "prep_zq", "prep_zq.steps"]
    (tmp_path / "extra_zq.py").write_text("import json  # changed\n")
    after = local_modules(body.tree, {})
    assert {name for name in before if before[name] != after[name]} == {"extra_zq"}


def test_the_environment_lists_every_installed_package() -> None:
    import re

    expected = {
        f"{re.sub(r'[-_.]+', '-', item.metadata['Name']).lower()}=={item.version}"
        for item in metadata.distributions()
        if item.metadata["Name"] and item.read_text("direct_url.json") is None
    }
    listed = environment()
    assert {line for line in listed.packages if "==" in line} >= expected
    assert listed.digest == environment().digest


def test_git_tells_commit_and_changes(tmp_path: Path) -> None:
    import subprocess

    def git(*words: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    assert Checkout(tmp_path).read() == {}
    git("init", "-b", "main")
    git("commit", "--allow-empty", "-m", "first")
    clean = Checkout(tmp_path).read()
    assert clean["branch"] == "main"
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (tmp_path / "new.txt").write_text("x")
    assert Checkout(tmp_path).read()["dirty"] is True


class Shell:
    """What IPython offers of its history."""

    def __init__(self, *cells: str) -> None:
        self.history_manager = self
        self.input_hist_raw = ["", *cells]

    def __call__(self) -> Shell:
        return self


@pytest.mark.parametrize(
    ("ran", "saved", "validity"),
    [
        (["a = 1", "b = 2"], ["a = 1", "b = 2", "c = 3"], "strong"),
        (["b = 2", "a = 1"], ["a = 1", "b = 2"], "weak"),
        (["a = 1", "a = 1"], ["a = 1", "b = 2"], "weak"),
        (["a = 0", "a = 1"], ["a = 1"], "unknown"),
        (["a = 1", "b = 2"], None, "weak"),
        (["a = 1", "a = 1"], None, "unknown"),
    ],
)
def test_the_notebooks_validity(
    tmp_path: Path, ran: list[str], saved: list[str] | None, validity: str
) -> None:
    import nbformat

    names: dict[str, Any] = {"get_ipython": Shell(*ran)}
    if saved is not None:
        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_code_cell(source) for source in saved]
        nbformat.write(notebook, tmp_path / "n.ipynb")
        names["__session__"] = str(tmp_path / "n.ipynb")
    assert notebook_validity(names) == validity
    assert notebook_validity({}) == "unknown"
