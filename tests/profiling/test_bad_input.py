"""Whatever the data: a profile of all that can be profiled, or one sentence that says why not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import unescape
from pathlib import Path
from shlex import split
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jupyter_mlops import data, profiling
from jupyter_mlops.profiling import Profile, profile, profile_parquet
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle, view
from jupyter_mlops.workspace import Invalid, MLOpsError, NotFound, Workspace

ROWS = 120
LABELS = [0, 1] * (ROWS // 2)
JSON = "application/vnd.jupyter-mlops.profile.v1+json"

EVIL = "<img src=x onerror=alert(1)>\"'\n</script><script>alert(2)</script> `$x` {y}"

FRAMES: dict[str, dict[str, Any]] = {
    "infinities": {
        "x": [float("inf"), float("-inf"), 1.0, float("nan")] * 30,
        "far": [1e308, -1e308] * 60,
    },
    "decimals": {"x": [Decimal("1.10"), Decimal("99999999999999999999.99")] * 60},
    "time zones": {
        "utc": [datetime(2024, 3, 31, tzinfo=UTC) + timedelta(minutes=20 * i) for i in range(ROWS)],
        "naive": [datetime(2024, 10, 27) + timedelta(minutes=20 * i) for i in range(ROWS)],
    },
    "far dates": {"x": [date(1, 1, 1), date(9999, 12, 31)] * 60},
    "nested": {
        "list": [[1, 2], []] * 60,
        "record": [{"a": 1, "b": {"c": "x"}}, {"a": None, "b": None}] * 60,
        "deep": [[[1]], [[], [2, 3]]] * 60,
    },
    "missing": {"x": pl.Series([None] * ROWS, dtype=pl.Float64), "n": [None] * ROWS},
    "bytes": {"x": [b"\x00\xff", b""] * 60},
    "wide integers": {
        "x": pl.Series([2**100, -(2**100)] * 60, dtype=pl.Int128),
        "u": pl.Series([2**64 - 1, 0] * 60, dtype=pl.UInt64),
    },
    "blank names": {"": range(ROWS), " ": range(ROWS), "\u202ea": range(ROWS), "a\tb": range(ROWS)},
}


@pytest.fixture(autouse=True)
def no_noise() -> Iterator[None]:
    """A warning of NumPy's in a cell is noise that nobody can act on."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "project")


def shown(made: Profile) -> dict[str, Any]:
    """All renderings, small enough for a notebook."""
    bundle = mimebundle(made)
    assert len(str(bundle)) < 200_000
    assert len(bundle["text/plain"].splitlines()) <= 15
    assert set(bundle) == {"text/plain", "text/html", JSON}
    return bundle


@pytest.mark.parametrize("what", FRAMES)
def test_every_kind_of_value_is_profiled_beside_a_target(what: str) -> None:
    frame = pl.DataFrame({**FRAMES[what], "y": LABELS})
    made = profile(frame.lazy(), target="y")
    assert made.rows == ROWS
    assert list(made.columns) == frame.columns
    assert not [column.fault for column in made.columns.values() if column.fault]
    shown(made)
    again = Profile.from_dict(made.to_dict())
    assert mimebundle(again)["text/html"] == mimebundle(made)["text/html"]


@pytest.mark.parametrize("what", FRAMES)
def test_every_kind_of_value_may_be_the_target(what: str) -> None:
    frame = pl.DataFrame({**FRAMES[what], "other": [0.5, 1.5] * 60})
    for target in FRAMES[what]:
        made = profile(frame.lazy(), target=target)
        assert made.analysis is not None
        shown(made)


def test_a_target_nothing_can_be_related_to_is_one_sentence_of_advice() -> None:
    made = profile(pl.LazyFrame({"x": [b"a", b"b"] * 60, "y": LABELS}), target="x")
    told = [one.evidence for one in made.advice if one.column == "x"]
    assert told == ["the target holds values of type bytes, to which nothing can be related"]


def test_an_infinite_label_is_no_label() -> None:
    frame = pl.LazyFrame({"x": range(200), "y": [float("inf"), 1.0, 2.0, 3.0] * 50})
    made = profile(frame, target="y")
    assert made.analysis is not None
    assert made.analysis.sampled == 150
    assert made.analysis.strength["x"] >= 0


@pytest.mark.parametrize("rows", [1, 2])
def test_a_table_of_a_row_or_a_column_is_profiled(rows: int) -> None:
    one = profile(pl.LazyFrame({"x": range(rows)}), target="x")
    assert one.rows == rows
    shown(one)


@pytest.mark.parametrize("frame", [pl.DataFrame(), pl.DataFrame(schema={"x": pl.Int64})])
def test_a_table_without_rows_or_columns_is_one_sentence(
    ws: Workspace, frame: pl.DataFrame
) -> None:
    for name in ("profile", "data add"):
        given = {"source": frame} | ({"name": "none"} if name == "data add" else {})
        with pytest.raises(Invalid, match=r"no (rows|columns)"):
            find(name)(ws, **given)


def test_names_of_markup_quotes_and_lines_do_no_harm(ws: Workspace) -> None:
    frame = pl.DataFrame({EVIL: LABELS, '"><svg onload=alert(3)>': ["<b>a</b>", "</td>"] * 60})
    data.add(ws, "evil", frame)
    made = find("profile")(ws, source="evil", target=EVIL)
    bundle = shown(made)
    assert "<img src=x" not in bundle["text/html"]
    assert "<script" not in bundle["text/html"]
    assert "<svg onload" not in bundle["text/html"]
    assert "<b>a" not in bundle["text/html"]
    assert "onerror=alert(1)" in unescape(bundle["text/html"])
    for name in made.columns:
        opened = find("profile column")(ws, ref=made.id, name=name)
        assert "<svg onload" not in mimebundle(opened)["text/html"]
    # The code of every finding is Python, in which such a name is a literal.
    for one in made.advice:
        compile(one.code, "<advice>", "exec")


@pytest.mark.parametrize("name", ["two words", "it's", 'a "b"', "{x}", "-z", "$HOME"])
def test_the_line_of_a_profile_can_be_run_again(ws: Workspace, name: str) -> None:
    data.add(ws, "odd", pl.DataFrame({name: LABELS, "x": range(ROWS)}))
    line = view(find("profile")(ws, source="odd", target=name)).line
    words = split(line)
    assert name in (words[-1], words[-1].removeprefix("--target="))


TEXTS = {
    "mixed encodings": (b"a,b\n1,\xc3\xa9\n2,\xe9\n", "line 3 of .* is not UTF-8"),
    "ragged": (b"a,b\n1,2\n1,2,3\n", "line 3 of .* has 3 fields where the header has 2"),
    "an open quote": (b'a,b\n1,"x\n2,y\n', "line 2 of .* starts a row that can't be read"),
    "a doubled name": (b"a,a\n1,2\n", "two columns of .* are called 'a'"),
    "zero bytes": (b"a,b\n1,x\x00y\n", "holds zero bytes"),
    "nothing": (b"", "is empty"),
}


@pytest.mark.parametrize("what", TEXTS)
@pytest.mark.parametrize("verb", ["profile", "data add"])
def test_a_broken_csv_is_one_sentence_with_the_place(
    ws: Workspace, tmp_path: Path, what: str, verb: str
) -> None:
    content, sentence = TEXTS[what]
    path = tmp_path / "broken.csv"
    path.write_bytes(content)
    given = {"source": str(path)} | ({"name": "broken"} if verb == "data add" else {})
    with pytest.raises(MLOpsError, match=sentence) as caught:
        find(verb)(ws, **given)
    assert len(caught.value._render_traceback_()) <= 3


def test_a_file_that_vanishes_in_the_middle_of_the_pass_is_one_sentence(
    ws: Workspace, tmp_path: Path
) -> None:
    for part in range(40):
        frame = pl.DataFrame({"x": pl.int_range(part * 40_000, (part + 1) * 40_000, eager=True)})
        frame.write_parquet(tmp_path / f"{part:02}.parquet", row_group_size=20_000)
    table = data.resolve(ws, str(tmp_path / "*.parquet"))

    def gone(_: object) -> None:
        for path in tmp_path.glob("[23]*.parquet"):
            path.unlink()

    with pytest.raises(NotFound, match="went away while it was read"):
        profiling.make(ws, table, progress=gone)


@pytest.mark.parametrize("gone", ["a.parquet", "b.parquet"])
def test_a_file_that_vanishes_before_two_tables_are_put_together_is_one_sentence(
    tmp_path: Path, gone: str
) -> None:
    frames = []
    for name in ("a.parquet", "b.parquet"):
        pl.DataFrame({"x": range(200), "y": [0, 1] * 100}).write_parquet(tmp_path / name)
        frames.append(pl.scan_parquet(tmp_path / name))
    made = [profile(one) for one in frames]
    for one, label in zip(made, ("a.parquet", "b.parquet"), strict=True):
        one.label = label
    (tmp_path / gone).unlink()
    with pytest.raises(NotFound, match=f"a file of {gone} went away while it was read"):
        profiling.overlap(*frames, *made)


def test_a_type_that_changes_between_parts_costs_but_that_column(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"a": ["q", "r"], "b": ["x", "z"]}).write_parquet(tmp_path / "2.parquet")
    made = profile_parquet([str(tmp_path / "1.parquet"), str(tmp_path / "2.parquet")])
    assert "its type changed between parts" in made.columns["a"].fault
    assert made.columns["b"].values.counts == {"x": 2, "y": 1, "z": 1}
    told = shown(made)["text/plain"]
    assert "Not profiled: a – its type changed between parts" in told
    assert "Nothing found" not in told


def test_files_of_other_columns_are_one_sentence(ws: Workspace, tmp_path: Path) -> None:
    pl.DataFrame({"a": [1], "b": ["x"]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"a": [1], "c": [1.5]}).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(MLOpsError, match="have different columns") as caught:
        find("profile")(ws, source=str(tmp_path / "*.parquet"))
    assert "'b'" in str(caught.value.why)


def test_huge_texts_are_neither_kept_nor_shown(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "huge.parquet"
    with pq.ParquetWriter(path, pa.schema([("text", pa.large_string())])) as writer:
        for part in range(4):
            texts = [f"{part} {place} " + "lorem " * 150_000 for place in range(5)]
            writer.write_table(pa.table({"text": pa.array(texts, pa.large_string())}))
    made = find("profile")(ws, source=str(path))
    text = made.columns["text"]
    assert text.high == 900_004
    assert text.distinct == 20
    assert len(str(made.to_dict())) < 100_000
    assert len(str(shown(made))) < 50_000
