"""A pass shows what it knows while it goes on, and keeps it when it is stopped."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.io.plugins import register_io_source

from jupyter_mlops import profiling
from jupyter_mlops.data import Table
from jupyter_mlops.data.sources.frames import FrameSource
from jupyter_mlops.profiling import Profile, profile, reading
from jupyter_mlops.profiling.profiles import Progress
from jupyter_mlops.workspace import Workspace

ROWS = 300_000


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame({"x": rng.normal(size=ROWS), "k": rng.choice(["a", "b"], ROWS)})


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("profile")]


def test_the_first_rows_are_shown_before_the_rest_is_read(table: pl.DataFrame) -> None:
    seen: list[Progress] = []
    shown: list[Profile] = []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if progress.due:
            shown.append(progress.profile())

    made = profile(table.lazy(), progress=watch)
    assert seen[0].rows < 0.1 * ROWS
    assert seen[0].due
    assert [one.rows for one in seen] == sorted(one.rows for one in seen)
    assert seen[-1].rows == ROWS
    assert (shown[0].rows, shown[0].complete) == (seen[0].rows, False)
    # What was shown doesn't change when more is seen.
    assert shown[0].columns["x"].rows == seen[0].rows
    assert made.complete
    assert made.columns["x"].rows == ROWS


def test_the_rows_of_parquet_are_known_beforehand_and_those_of_csv_are_not(
    table: pl.DataFrame, tmp_path: Path
) -> None:
    small = table[:1000]
    small.write_parquet(tmp_path / "t.parquet", row_group_size=300)
    small.write_csv(tmp_path / "t.csv")
    parquet = pl.scan_parquet(tmp_path / "t.parquet")
    totals: list[int | None] = []
    for frame in (
        parquet,
        pl.scan_csv(tmp_path / "t.csv"),
        parquet.filter(pl.col("x") > 0),
        pl.concat([parquet, parquet]),
    ):
        profile(frame, progress=lambda seen: totals.append(seen.total))
    assert totals == [1000, None, None, None]


@pytest.mark.parametrize("size", [7, 1000, 50_000, ROWS])
def test_row_groups_of_any_size_give_the_rows_in_order(
    table: pl.DataFrame, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_ROWS", 20_000)
    rows = table if size > 1000 else table[:5000]
    for name, part in (("a", rows[:3000]), ("b", rows[3000:])):
        part.write_parquet(tmp_path / f"{name}.parquet", row_group_size=size)
    frame = pl.scan_parquet(tmp_path / "*.parquet")
    groups = reading.row_groups(frame)
    assert groups is not None
    assert sum(groups) == rows.height
    parts = list(reading.batches(frame, rows.schema, groups))
    assert max(part.height for part in parts) < 40_000
    assert pl.concat(parts).equals(rows)


def test_an_interrupt_keeps_what_is_known(table: pl.DataFrame) -> None:
    before = signal.getsignal(signal.SIGINT)

    def interrupt(progress: Progress) -> None:
        signal.raise_signal(signal.SIGINT)

    made = profile(table.lazy(), progress=interrupt)
    assert not made.complete
    assert 0 < made.rows < ROWS
    # Every column has seen the same rows.
    assert {column.rows for column in made.columns.values()} == {made.rows}
    assert made.columns["k"].values.distinct() == 2
    assert not Profile.from_dict(made.to_dict()).complete
    assert signal.getsignal(signal.SIGINT) is before
    assert threads() == []


def test_a_second_interrupt_is_obeyed_at_once(table: pl.DataFrame) -> None:
    def interrupt(progress: Progress) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        profile(table.lazy(), progress=interrupt)
    assert threads() == []


def test_another_thread_can_stop_a_pass(table: pl.DataFrame) -> None:
    cancel = threading.Event()
    found: list[Profile] = []

    def work() -> None:
        found.append(profile(table.lazy(), progress=lambda _: cancel.set(), cancel=cancel))

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert not found[0].complete
    assert 0 < found[0].rows < ROWS
    assert threads() == []


def test_a_stopped_profile_is_shown_and_not_kept(ws: Workspace, table: pl.DataFrame) -> None:
    cancel = threading.Event()
    source = Table(FrameSource(table))
    made = profiling.make(ws, source, progress=lambda _: cancel.set(), cancel=cancel)
    assert (made.complete, made.id, ws.events()) == (False, "", [])
    again = profiling.make(ws, source)
    assert again.complete
    assert [event.kind for event in ws.events()] == ["profile.made"]


def test_a_table_that_is_not_recorded_is_read_once(ws: Workspace, table: pl.DataFrame) -> None:
    scans = 0

    class Counting(FrameSource):
        def scan(self) -> pl.LazyFrame:
            nonlocal scans
            scans += 1
            return super().scan()

    made = profiling.make(ws, Table(Counting(table)))
    assert made.digest == FrameSource(table).digest()
    assert scans == 1


def test_a_table_that_goes_away_in_the_middle_says_so_and_leaves_nothing(
    ws: Workspace, table: pl.DataFrame
) -> None:
    def rows(*_: object) -> Iterator[pl.DataFrame]:
        yield table[:1000]
        raise OSError("the table was dropped")

    frame = register_io_source(rows, schema=table.schema)
    with pytest.raises(Exception, match="the table was dropped"):
        profiling.make(ws, Table(FrameSource(frame)))
    assert ws.events() == []
    assert threads() == []


def test_a_column_that_cannot_be_profiled_does_not_take_the_others_along(
    table: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = profiling.ColumnProfile.update

    def update(self: profiling.ColumnProfile, column: pl.Series, words: object = None) -> None:
        if self.name == "x" and self.rows:
            raise pl.exceptions.ComputeError("no such operation on this type\nsecond line")
        real(self, column)

    monkeypatch.setattr(profiling.ColumnProfile, "update", update)
    made = profile(table.lazy())
    column = made.columns["x"]
    assert column.fault.endswith("could not be profiled: no such operation on this type")
    assert (column.rows, column.missing, column.moments.count) == (ROWS, 0, 0)
    assert made.columns["k"].values.distinct() == 2
    assert Profile.from_dict(made.to_dict()).columns["x"].fault == column.fault
