"""Splits come out the same anywhere, stay put when rows are added, and can't leak."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from jupyter_mlops import data
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle, view
from jupyter_mlops.workspace import Conflict, Invalid, MLOpsError, NotFound, Workspace

N = 3000
START = datetime(2024, 1, 1)
ROWS = pl.DataFrame(
    {
        "id": range(N),
        "day": [START + timedelta(hours=i // 5) for i in range(N)],
        "who": [f"person {i * 7919 % 211}" for i in range(N)],
        "kind": [["common", "usual", "rare"][(i % 10 > 5) + (i % 100 == 99)] for i in range(N)],
        "x": np.random.default_rng(0).normal(size=N),
    }
)
THREE = ["train=0.7", "valid=0.15", "test=0.15"]


@pytest.fixture
def lone(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "lone")


def ids(one: data.Dataset) -> set[int]:
    return set(one.scan().collect()["id"])


def parts(made: data.Split) -> dict[str, set[int]]:
    return {name: ids(one) for name, one in made.parts.items()}


def test_each_part_is_a_dataset_that_knows_its_parent(ws: Workspace) -> None:
    parent = data.add(ws, "rows", ROWS, key="id", time="day")
    made = data.split(ws, "rows", THREE, seed=3)
    assert [one.ref for one in made.parts.values()] == [
        "data:rows-train@1",
        "data:rows-valid@1",
        "data:rows-test@1",
    ]
    found = data.get(Workspace.open(ws.root), "rows-valid")
    assert (found.key, found.time, found.origin) == ("id", "day", "data:rows@1")
    assert found.provenance["split"] == {
        "part": "valid",
        "of": "data:rows@1",
        "digest": parent.digest,
        "method": "random",
        "column": None,
        "unit": "id",
        "seed": 3,
        "shares": {"train": 0.7, "valid": 0.15, "test": 0.15},
        "cuts": None,
        "gap": None,
        "shared": 0,
    }
    event = ws.events(newest=True)[0]
    assert (event.kind, event.subject) == ("dataset.split", "data:rows@1")
    assert event.outputs == tuple(one.ref for one in made.parts.values())
    assert event.payload["rows"] == {name: one.rows for name, one in made.parts.items()}
    assert sum(one.rows for one in made.parts.values()) == N
    assert made["train"].rows == pytest.approx(0.7 * N, rel=0.05)
    again = data.split(ws, "rows", THREE, seed=3)
    assert [one.ref for one in again.parts.values()] == [one.ref for one in made.parts.values()]
    other = data.split(ws, "rows", THREE, seed=4)
    assert other["train"].version == 2
    assert ws.audit().intact


def test_the_same_rows_land_in_the_same_part_whatever_their_order_and_types(
    lone: Workspace,
) -> None:
    data.add(lone, "a", ROWS)
    other = ROWS.sample(fraction=1, shuffle=True, seed=2).with_columns(pl.col("id").cast(pl.Int32))
    data.add(lone, "b", other.select(ROWS.columns[::-1]))
    for how in ({}, {"group": ["who"]}, {"stratify": "kind"}, {"time": "day"}):
        assert parts(data.split(lone, "a", THREE, **how)) == parts(
            data.split(lone, "b", THREE, **how)
        )


@pytest.mark.parametrize("how", [{}, {"group": ["who"]}, {"time": "day", "cuts": ["2024-01-10"]}])
def test_rows_added_later_move_no_others(lone: Workspace, how: dict[str, object]) -> None:
    wanted = ["train", "test"] if "cuts" in how else ["train=0.6", "test=0.4"]
    data.add(lone, "rows", ROWS.filter(pl.col("id") % 3 > 0))
    before = parts(data.split(lone, "rows", wanted, **how))  # type: ignore[arg-type]
    data.add(lone, "rows", ROWS)
    after = parts(data.split(lone, "rows", wanted, **how))  # type: ignore[arg-type]
    for name in before:
        assert before[name] < after[name]


def test_a_row_whose_other_values_change_stays_in_its_part(lone: Workspace) -> None:
    data.add(lone, "rows", ROWS, key="id")
    before = parts(data.split(lone, "rows"))
    data.add(lone, "rows", ROWS.with_columns(pl.col("x") + 1), key="id")
    assert parts(data.split(lone, "rows")) == before


def test_copies_of_a_row_are_never_torn_apart(lone: Workspace) -> None:
    some = ROWS.filter(pl.col("kind") != "rare")
    twins = pl.concat([some.head(200)] * 7 + [some.tail(400)])
    data.add(lone, "twins", twins)
    for how in ({}, {"stratify": "kind"}, {"time": "day"}):
        made = data.split(lone, "twins", THREE, **how)
        one, two, three = parts(made).values()
        assert not one & two | one & three | two & three
        assert data.overlap(made["train"], made["test"]).shared == 0


def test_copies_of_a_row_go_to_the_nearer_part(lone: Workspace) -> None:
    twins = pl.concat([ROWS.filter(pl.col("kind") == "common").head(20)] * 10)
    data.add(lone, "twins", twins)
    for share in (0.48, 0.52):
        made = data.split(lone, "twins", {"train": share, "test": 1 - share}, stratify="kind")
        assert made["train"].rows == 100


def test_a_group_is_in_one_part_only(lone: Workspace) -> None:
    data.add(lone, "rows", ROWS.with_columns(pl.when(pl.col("id") > 9).then(pl.col("who"))))
    made = data.split(lone, "rows", THREE, group=["who"])
    found = [set(one.scan().collect()["who"]) for one in made.parts.values()]
    assert sum(len(one) for one in found) == len(set.union(*found)) == 212  # and the missing
    assert data.overlap(made["train"], made["test"], ["who"]).shared == 0
    assert data.overlap(made["train"], made["test"], ["kind"]).shared == 3


def test_each_class_is_shared_out_to_the_row(lone: Workspace) -> None:
    data.add(lone, "rows", ROWS)
    made = data.split(lone, "rows", THREE, stratify="kind")
    for name, share in (("train", 0.7), ("valid", 0.15), ("test", 0.15)):
        counts = made[name].scan().collect()["kind"].value_counts().rows()
        for kind, count in counts:
            whole = ROWS.filter(pl.col("kind") == kind).height
            assert abs(count - share * whole) <= 1
            assert made.classes[kind][list(made.parts).index(name)] == count


def test_few_rows_move_when_rows_are_added_to_a_stratified_split(lone: Workspace) -> None:
    data.add(lone, "rows", ROWS.head(N - 300))
    before = parts(data.split(lone, "rows", stratify="kind"))
    data.add(lone, "rows", ROWS)
    after = parts(data.split(lone, "rows", stratify="kind"))
    assert len(before["train"] & after["test"]) + len(before["test"] & after["train"]) < 0.03 * N


def test_time_is_cut_where_the_shares_say_or_where_told(lone: Workspace) -> None:
    zoned = ROWS.with_columns(pl.col("day").dt.replace_time_zone("Europe/Paris"))
    data.add(lone, "rows", zoned)
    made = data.split(lone, "rows", THREE, time="day", gap="12h")
    ends = (pl.col("day").min().alias("first"), pl.col("day").max().alias("last"))
    spans = [one.scan().select(ends).collect().row(0) for one in made.parts.values()]
    for (_, end), (start, _) in pairwise(spans):
        assert start - end >= timedelta(hours=12)
    assert made.left_out == 2 * 12 * 5
    assert made["train"].rows == 0.7 * N
    told = data.split(lone, "rows", ["old", "new"], time="day", cuts=["2024-01-20"])
    first = told["new"].scan().select(pl.col("day").min()).collect().item()
    assert first.isoformat() == "2024-01-20T00:00:00+01:00"  # midnight in Paris
    assert told.told["cuts"][0].startswith("2024-01-20T00:00")
    assert "12h left out" in mimebundle(made)["text/plain"]
    assert "120 rows fall into a gap" in mimebundle(made)["text/plain"]
    days = ROWS.with_columns(pl.col("day").dt.date())
    data.add(lone, "days", days)
    by_day = data.split(lone, "days", time="day", gap="2d")
    first_test = by_day["test"].scan().select(pl.col("day").min()).collect().item()
    last_train = by_day["train"].scan().select(pl.col("day").max()).collect().item()
    assert first_test - last_train == timedelta(days=3)
    assert isinstance(first_test, date)


def test_what_training_would_see_again_is_counted(lone: Workspace) -> None:
    a = data.resolve(lone, pl.DataFrame({"k": [1, 1, 2, 3, None], "x": [1, 1, 2, 3, 4]}))
    b = data.resolve(lone, pl.DataFrame({"x": [1.0, 9, 4], "k": [1.0, 2, None]}))
    by_row, by_key = data.overlap(a, b), data.overlap(a, b, ["k"])
    assert (by_row.by, by_row.shared, by_row.rows_a, by_row.rows_b) == (["k", "x"], 2, 3, 2)
    assert (by_key.by, by_key.shared, by_key.rows_a, by_key.rows_b) == (["k"], 3, 4, 3)
    assert by_row.repeated == pytest.approx(0.2)
    with pytest.raises(NotFound, match="has no column 'kk'"):
        data.overlap(a, b, ["kk"])


def test_the_check_does_not_trust_how_parts_were_made(
    lone: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_mlops.data import parting

    data.add(lone, "twins", pl.concat([ROWS.head(50)] * 2))

    def by_position(*_: object) -> parting.Parting:
        return parting.Parting(np.array([0] * 50 + [1] * 50, dtype=np.uint8))

    monkeypatch.setattr(parting, "by_hash", by_position)
    before = len(lone.events())
    with pytest.raises(Conflict, match=r"50 .* would be in two parts"):
        data.split(lone, "twins")
    assert len(lone.events()) == before


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"parts": ["train=0.7", "test=0.2"]}, "add up to 0.9"),
        ({"parts": ["train=0.7", "test"]}, "add up to 1"),
        ({"parts": ["train=much", "test=0.2"]}, "is no number: 'much'"),
        ({"parts": ["train=1"]}, "can't have 1 part"),
        ({"parts": ["a b=0.5", "test=0.5"]}, "can't name a dataset"),
        ({"stratify": "knd"}, "did you mean 'kind'"),
        ({"stratify": "x"}, "more than 1,000 values"),
        ({"stratify": "kind", "group": ["who"]}, "both by stratify and by group"),
        ({"gap": "1d"}, "--gap goes with --time"),
        ({"time": "x"}, "can't split by time"),
        ({"time": "day", "gap": "soon"}, "'soon' can't be a gap"),
        ({"time": "day", "cuts": ["June"], "parts": ["a", "b"]}, "'June' is no time"),
        ({"time": "day", "cuts": ["2024-01-05"], "parts": THREE}, "can't make these parts"),
        ({"time": "day", "cuts": ["2024-01-05", "2024-01-02"], "parts": list("abc")}, "in order"),
        ({"time": "day", "cuts": ["2030-01-01"], "parts": ["a", "b"]}, "'b' of .* would be empty"),
        ({"group": ["one"]}, "would be empty"),
        ({"stratify": "odd"}, r"class 'True' of 'odd' would be missing .* it has 1 row;"),
        ({"time": "late"}, "1 rows have no 'late'"),
    ],
)
def test_a_split_that_makes_no_sense_is_one_sentence(
    lone: Workspace, how: dict[str, object], says: str
) -> None:
    data.add(
        lone,
        "rows",
        ROWS.with_columns(
            one=pl.lit(1), odd=pl.col("id") == 7, late=pl.when(pl.col("id") > 0).then("day")
        ),
    )
    before = (len(lone.events()), lone.artifacts.list())
    with pytest.raises(MLOpsError, match=says) as caught:
        data.split(lone, "rows", **how)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert (len(lone.events()), lone.artifacts.list()) == before


def test_parts_that_missed_their_share_are_pointed_out(lone: Workspace) -> None:
    data.add(lone, "rows", ROWS.with_columns(big=pl.col("id").clip(0, 40)))
    made = data.split(lone, "rows", ["train=0.5", "test=0.5"], group=["big"])
    assert "missed the wanted share" in mimebundle(made)["text/plain"]


def test_the_verb_shows_parts_classes_and_how_they_were_drawn(lone: Workspace) -> None:
    data.add(lone, "rows", ROWS)
    made = find("data split")(lone, name="rows", parts=THREE, stratify="kind")
    bundle = mimebundle(made)
    text = bundle["text/plain"]
    assert "No row is in two parts" in text
    assert "alike in every class of kind, seed 0 (train 70 %, valid 15 %, test 15 %)" in text
    assert len(text.splitlines()) <= 15
    shown = view(find("data show")(lone, name="rows-test"))
    facts = {fact.label: fact.value for fact in shown.blocks[0].items}  # type: ignore[union-attr]
    assert facts["Part"] == "test of rows@1"
    assert facts["Split"].startswith("at random, alike in every class of kind")
    with pytest.raises(Invalid, match="write parts like"):
        find("data split")(lone, name="rows", parts=["train=2", "test=-1"])
    assert find("data split")(lone, name="rows").told["shares"] == {"train": 0.8, "test": 0.2}
