"""What differs between two versions: columns, rows by key or by content, and distributions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pytest

from jupyter_mlops import data
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import MLOpsError, Workspace

BEFORE = pl.DataFrame(
    {
        "id": [1, 2, 3, 4, 5],
        "name": ["a", "b", "c", None, "e"],
        "size": [1.0, 2.0, float("nan"), 4.0, 5.0],
        "old": [0, 0, 0, 0, 0],
        "code": ["1", "2", "3", "4", "5"],
    }
)
AFTER = pl.DataFrame(
    {
        "id": [5, 4, 3, 2, 6],
        "size": [5.0, 4.5, None, 2.0, 6.0],
        "name": ["e", "d", "c", "b", "f"],
        "code": [5, 4, 3, 22, 6],
        "new": [True] * 5,
    }
)


@pytest.fixture
def lone(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "lone")


def test_rows_are_matched_by_key_and_columns_by_name(ws: Workspace) -> None:
    data.add(ws, "t", BEFORE, key="id")
    data.add(ws, "t", AFTER, key="id")
    found = data.diff(data.get(ws, "t@1"), data.get(ws, "t@2"))
    assert found.key == ["id"]
    assert (found.added, found.removed, found.changed, found.same) == (1, 1, 2, 2)
    assert found.changes == {"name": 1, "size": 1, "code": 1}
    assert found.added_columns == {"new": "boolean"}
    assert found.removed_columns == {"old": "integer"}
    assert found.retyped == {"code": ("text", "integer")}
    assert found.reordered
    assert found.examples["added"]["id"].to_list() == [6]
    assert found.examples["removed"].rows() == [(1, "a", 1.0, 0, "1")]
    changed = found.examples["changed"]
    assert changed.columns == [
        "id",
        "name before",
        "name after",
        "size before",
        "size after",
        "code before",
        "code after",
    ]
    assert changed.rows()[1] == (4, None, "d", 4.0, 4.5, "4", "4")


def test_without_a_key_rows_count_as_often_as_they_occur(lone: Workspace) -> None:
    a = pl.DataFrame({"x": [1, 1, 1, 2, 3], "y": ["a", "a", "a", "b", None]})
    b = pl.DataFrame({"y": ["a", "b", "b", "b", None, "n"], "x": [1.0, 2.0, 2.0, 2.0, 3.0, 9.0]})
    found = data.diff(data.resolve(lone, a), data.resolve(lone, b))
    assert (found.added, found.removed, found.changed, found.same) == (3, 2, 0, 3)
    assert sorted(found.examples["added"]["x"]) == [2.0, 9.0]
    assert found.examples["removed"].rows() == [(1, "a")]
    assert found.retyped == {"x": ("integer", "float")}


def test_the_same_content_does_not_differ(lone: Workspace) -> None:
    a = data.resolve(lone, BEFORE)
    b = data.resolve(lone, BEFORE.sample(fraction=1, shuffle=True, seed=0))
    for key in (None, ["id"], ["id", "code"]):
        found = data.diff(a, b, key)
        assert found.equal
        assert (found.added, found.removed, found.changed, found.same) == (0, 0, 0, 5)
    assert "Nothing differs" in mimebundle(found)["text/plain"]


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (pl.Series([1, 2]), pl.Series(["1", "2"])),
        (pl.Series([1, 2]), pl.Series([1.0, 2.0])),
        (pl.Series(["2024-05-01"]).str.to_date(), pl.Series(["2024-05-01"]).str.to_datetime()),
        (pl.Series(["1.50"]).cast(pl.Decimal(10, 2)), pl.Series([1.5])),
        (pl.Series(["a"]), pl.Series(["a"], dtype=pl.Categorical)),
        (pl.Series([[1, 2]]), pl.Series([[1, 2]])),
    ],
)
def test_another_type_of_the_same_values_is_no_change_of_rows(
    lone: Workspace, here: pl.Series, there: pl.Series
) -> None:
    a = data.resolve(lone, pl.DataFrame({"k": range(len(here)), "v": here}))
    b = data.resolve(lone, pl.DataFrame({"k": range(len(there)), "v": there}))
    for key in (["k"], []):
        found = data.diff(a, b, key)
        assert (found.added, found.removed, found.changed) == (0, 0, 0)


def test_names_may_hold_anything(lone: Workspace) -> None:
    odd = ['say "hi"', "a\nb", "k0", "position", "'; DROP TABLE a; --", "hash"]
    a = pl.DataFrame({name: [1, 2] for name in odd}).with_columns(pl.Series(odd[2], [1, 2]))
    b = a.with_columns(pl.Series(odd[0], [1, 7]))
    for key, expected in ((["k0"], (0, 0, 1)), (None, (1, 1, 0))):
        found = data.diff(data.resolve(lone, a), data.resolve(lone, b), key)
        assert (found.added, found.removed, found.changed) == expected
        assert len(mimebundle(found)["text/plain"].splitlines()) <= 15


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (["idd"], "did you mean 'id'"),
        (["name"], "1 rows lack it and 0 repeat"),
        (["old"], "0 rows lack it and 4 repeat"),
    ],
)
def test_a_key_that_identifies_nothing_is_refused(
    lone: Workspace, key: list[str], says: str
) -> None:
    table = data.resolve(lone, BEFORE)
    with pytest.raises(MLOpsError, match=says):
        data.diff(table, table, key)


def test_tables_without_a_common_column_cannot_be_compared(lone: Workspace) -> None:
    a, b = (data.resolve(lone, pl.DataFrame({name: [1]})) for name in "ab")
    with pytest.raises(MLOpsError, match="no column in common"):
        data.diff(a, b)


def test_a_million_rows_are_compared_in_bounded_memory(lone: Workspace) -> None:
    n = 1_000_000
    numbers = np.random.default_rng(0)
    base = pl.DataFrame(
        {"id": range(n), "x": numbers.normal(size=n), "c": numbers.integers(0, 9, n)}
    ).with_columns(s=pl.format("text {}", pl.col("id") % 1000))
    before, after = lone.root / "before.parquet", lone.root / "after.parquet"
    base.write_parquet(before, row_group_size=100_000)
    other = base.with_columns(x=pl.when(pl.col("id") % 1000 == 0).then(0.0).otherwise("x"))
    other.slice(10).reverse().write_parquet(after, row_group_size=100_000)
    del base, other
    a, b = (data.resolve(lone, str(path)) for path in (before, after))
    held = psutil.Process().memory_info().rss
    by_key = data.diff(a, b, ["id"])
    assert (by_key.added, by_key.removed, by_key.changed) == (0, 10, n // 1000 - 1)
    by_content = data.diff(a, b)
    assert (by_content.added, by_content.removed) == (n // 1000 - 1, n // 1000 + 9)
    assert psutil.Process().memory_info().rss - held < 600e6


def test_the_verb_adds_how_values_are_spread(ws: Workspace) -> None:
    data.add(ws, "t", pl.DataFrame({"id": range(500), "x": [i % 7 for i in range(500)]}), key="id")
    later = pl.DataFrame({"id": range(500), "x": [i % 7 + 20 for i in range(500)]})
    data.add(ws, "t", later, key="id")
    found = find("data diff")(ws, a="t@1", b="t@2")
    assert found.changes == {"x": 500}
    assert found.sides.distances["x"] == 1.0
    bundle = mimebundle(found)
    assert bundle["text/plain"].startswith("t@2 against t@1 · rows: 500 changed")
    assert "Spread differently: x 100 %" in bundle["text/plain"]
    assert "x before" in bundle["text/html"]
    assert len(bundle["text/html"]) < 200_000
    same = find("data diff")(ws, a="t@1", b="t@1")
    assert same.equal
    assert same.sides is None


def test_a_difference_stays_small_whatever_the_data(lone: Workspace) -> None:
    wide = pl.DataFrame({f"<b>c{i}</b>" * 20: ["x" * 5_000] * 5 for i in range(80)})
    found = find("data diff")(lone, a=wide.head(3), b=wide.with_columns(pl.all() + "y"))
    bundle = mimebundle(found)
    assert len(bundle["text/plain"].splitlines()) <= 15
    assert len(bundle["text/html"].encode()) < 200_000
    assert "<b>c" not in bundle["text/html"]
