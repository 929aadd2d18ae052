"""One ColumnTransformer that fits, from the profile of whatever table."""

from __future__ import annotations

import ast
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from jupyter_mlops.data import numpy_pandas
from jupyter_mlops.models.skops_policy import refused
from jupyter_mlops.profiling import Preparation, prepare, profile
from jupyter_mlops.verbs.line import parse
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Invalid, Workspace
from tests.profiling.clean import TABLES
from tests.profiling.faults import TARGET, orders

pytestmark = pytest.mark.filterwarnings("error::FutureWarning")


def passengers(rows: int = 900) -> pd.DataFrame:
    """A passenger list of the kind everybody knows: titles, cabins, gaps, shared tickets."""
    rng = np.random.default_rng(0)
    woman = rng.random(rows) < 0.4
    title = np.where(woman, rng.choice(["Mrs", "Miss"], rows), "Mr")
    pclass = rng.choice([1, 2, 3], rows, p=[0.2, 0.2, 0.6])
    age = rng.normal(30, 12, rows).clip(1, 80).round()
    cabin = [f"{rng.choice(list('ABCD'))}{rng.integers(1, 99)}" for _ in range(rows)]
    chance = 1 / (1 + np.exp(-(2.2 * woman - 0.9 * (pclass - 2) - 1)))
    return pd.DataFrame(
        {
            "passenger": np.arange(rows),
            "pclass": pclass,
            "name": [f"Smith{i}, {t}. Jo" for i, t in enumerate(title)],
            "sex": np.where(woman, "female", "male"),
            "age": np.where(rng.random(rows) < 0.2, np.nan, age),
            "sibsp": rng.poisson(0.5, rows),
            "ticket": [f"PC {i}" for i in rng.integers(0, 400, rows)],
            "fare": rng.lognormal(3, 1, rows).round(2),
            "cabin": pd.Series(cabin).where(rng.random(rows) < 0.03),
            "embarked": rng.choice(["S", "C", "Q", None], rows, p=[0.7, 0.2, 0.09, 0.01]),
            "boarded": rng.choice(["Yes", "no"], rows),
            "condition": rng.choice(["poor", "fair", "good", "Good ", "n/a"], rows),
            "paid": [f"£{x:,.2f}" for x in rng.lognormal(3, 1, rows)],
            "on": [f"{d}.04.1912" for d in rng.integers(1, 28, rows)],
            "survived": rng.random(rows) < chance,
        }
    )


def made_of(frame: pd.DataFrame, target: str | None) -> Preparation:
    return prepare(profile(pl.from_pandas(frame).lazy(), target=target))


def group(made: Preparation, name: str) -> list[str]:
    return next((one.columns for one in made.groups if one.name == name), [])


def test_a_passenger_list_becomes_numbers_a_model_learns_from() -> None:
    frame = passengers()
    made = made_of(frame, "survived")
    assert isinstance(made.transformer, ColumnTransformer)
    assert made.left_out == {
        "passenger": "a key",
        "name": "personal data",
        "cabin": made.left_out["cabin"],
    }
    assert "missing in 9" in made.left_out["cabin"]
    assert group(made, "categories") == ["sex", "embarked"]
    assert group(made, "many categories") == ["ticket"]
    assert group(made, "ordered categories") == ["condition"]
    assert group(made, "flags") == ["boarded"]
    assert group(made, "parts of times") == ["on month", "on weekday"]
    assert "paid" in group(made, "numbers") + group(made, "skewed numbers")
    assert "[\n                    ['poor', 'fair', 'good'],\n" in made.code
    train, test = frame.iloc[:600], frame.iloc[600:]
    x, held = made.fit_transform(train), made.transform(test)
    assert np.isfinite(x).all()
    assert np.isfinite(held).all()
    model = LogisticRegression(max_iter=2000).fit(x, train["survived"])
    assert roc_auc_score(test["survived"], model.predict_proba(held)[:, 1]) > 0.7


def test_the_code_alone_makes_the_same_and_says_why() -> None:
    frame = orders()
    made = made_of(frame, TARGET)
    space: dict[str, object] = {}
    exec(made.code, space)
    assert set(space) >= {"features", "prepare"}
    x = space["prepare"].fit_transform(space["features"](frame), frame[TARGET])  # type: ignore
    assert np.allclose(x, made.fit_transform(frame))
    comments = [line.strip() for line in made.code.splitlines() if line.strip().startswith("# ")]
    for one in made.groups:
        assert f"# {one.name}: {one.why}" in comments
    assert max(len(line) for line in made.code.splitlines()) <= 100
    assert not any(isinstance(node, ast.Lambda) for node in ast.walk(ast.parse(made.code)))
    # The groups come in the order of their first column in the table.
    assert [one.name for one in made.groups][:2] == ["parts of times", "numbers"]


@pytest.mark.parametrize("name", TABLES)
def test_every_clean_table_is_prepared_and_the_rows_held_out_too(name: str) -> None:
    frame, target = TABLES[name]()
    frame = frame[:30_000]
    made = prepare(profile(frame.lazy(), target=target))
    table = numpy_pandas(frame)
    cut = 3 * len(table) // 4
    made.fit(table.iloc[:cut])
    held = made.transform(table.iloc[cut:].drop(columns=[target] if target else []))
    assert held.shape[0] == len(table) - cut
    assert np.isfinite(held).all()
    if name == "flights":
        assert set(made.left_out) >= {"dep_delay", "arr_time", "air_time", "year"}
        assert "TargetEncoder" in made.code


def test_the_fitted_transformer_is_stored_by_skops_without_a_waiver() -> None:
    frame = passengers().assign(
        story=[f"once upon a time there was number {i} of the ship" for i in range(900)]
    )
    made = made_of(frame, "survived").fit(frame)
    raw = skops.io.dumps(made.transformer)
    unknown = skops.io.get_untrusted_types(data=raw)
    assert refused(unknown) == []
    loaded = skops.io.loads(raw, trusted=unknown)
    given = made.features(frame) if made.features else frame
    expected, back = made.transformer.transform(given), loaded.transform(given)
    assert abs(expected - back).max() == 0


def test_rows_that_never_were_before_are_taken() -> None:
    frame = passengers()
    made = made_of(frame, "survived").fit(frame)
    odd = frame.iloc[:3].assign(sex="x", age=np.nan, condition="new", ticket=None, fare=np.nan)
    odd["boarded"], odd["paid"], odd["on"] = "perhaps", "a lot", "yesterday"
    assert np.isfinite(made.transform(odd)).all()
    assert made.transform(odd.drop(columns="survived")).shape[0] == 3


def test_every_type_a_table_may_have_finds_its_place() -> None:
    n = 240
    rng = np.random.default_rng(1)
    start = datetime(2020, 1, 1)
    frame = pl.DataFrame(
        {
            "flag": [None if i % 7 == 0 else i % 2 == 0 for i in range(n)],
            "price": [Decimal(i) / 4 for i in range(n)],
            "took": [timedelta(seconds=int(i)) for i in rng.integers(0, 900, n)],
            "day": [date(2020, 1, 1) + timedelta(days=i % 300) for i in range(n)],
            "when": [None if i % 9 == 0 else start + timedelta(hours=7 * i) for i in range(n)],
            "clock": [time(i % 24, i % 60) for i in range(n)],
            "vector": pl.Series([[float(i), 1.0, 2.0, 3.0 - i] for i in range(n)]),
            "kind": pl.Series(["a", "b", None, "a"] * (n // 4), dtype=pl.Categorical),
            "wild": [float("inf") if i == 3 else float(i % 50) for i in range(n)],
            'it\'s a\n"name"': rng.normal(size=n),
            "my__text": [f"the quick brown fox number {i} jumps again" for i in range(n)],
            "when month": rng.normal(size=n),
            "raw": [b"x"] * (n - 1) + [b"y"],
        }
    ).with_columns(y=pl.Series(rng.integers(0, 3, n)))
    made = prepare(profile(frame.lazy(), target="y"))
    assert set(made.left_out) == {"raw"}
    table = numpy_pandas(frame)
    x = made.fit(table).transform(table)
    x = x.toarray() if hasattr(x, "toarray") else x
    assert np.isfinite(x).all()
    assert "when month′" in group(made, "parts of times")


def test_a_leak_to_check_is_said_in_the_code_and_a_sure_one_left_out() -> None:
    frame = orders()
    rng = np.random.default_rng(0)
    frame["refund"] = np.where(frame[TARGET], frame["price"], 0.0)
    frame["hint"] = frame[TARGET] + rng.normal(0, 0.55, len(frame))
    made = made_of(frame, TARGET)
    assert made.left_out["refund"] == "may know the answer"
    assert "# To check: hint: leakage" in made.code


def test_where_nothing_is_left_it_is_said() -> None:
    frame = pd.DataFrame({"id": np.arange(300), "same": 1, "y": [True, False, True] * 100})
    with pytest.raises(Invalid, match="no column is left") as caught:
        made_of(frame, "y")
    assert caught.value.code == "E-PROFILE-060"


def test_the_verb_gives_the_preparation_and_shows_its_code(ws: Workspace) -> None:
    line = parse(["profile", "t", "--target", "survived", "--as", "pipeline"])
    assert line.arguments["as"] == "pipeline"
    frame = passengers(300)
    made = find("profile")(ws, source=frame, target="survived", as_="pipeline")
    bundle = mimebundle(made)
    assert "ColumnTransformer" in bundle["text/html"]
    assert len(bundle["text/plain"].splitlines()) <= 15
    assert "passenger" in bundle["text/plain"]
    assert {len(str(one)) < 200_000 for one in bundle.values()} == {True}
    with pytest.raises(Invalid, match="one table"):
        find("profile")(ws, source=frame, against=frame, **{"as": "pipeline"})
    with pytest.raises(Invalid, match="takes no 'as_'"):
        find("profile")(ws, source=frame, as_="pipeline", **{"as": "pipeline"})


def test_a_kept_profile_gives_the_same_preparation(ws: Workspace) -> None:
    from jupyter_mlops import data

    data.add(ws, "ship", passengers(300))
    first = find("profile")(ws, source="ship", target="survived", as_="pipeline")
    again = find("profile")(ws, source="ship", target="survived", as_="pipeline")
    assert first.code == again.code
    assert first.data_ref == "data:ship@1"


def test_the_test_rows_beside_the_training_rows_name_what_both_have(ws: Workspace) -> None:
    frame = orders()
    both = find("profile")(ws, source=frame.iloc[:2000], against=frame.iloc[1900:])
    assert {one.finding for one in both.advice} >= {"overlap"}
    assert "100 of the other table" in mimebundle(both)["text/plain"]
