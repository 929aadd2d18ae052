"""Frames of every library go in and come out, and the same rows are the same version."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import dask.dataframe as dd
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from data.storage import S3, web_server
from jupyter_mlops import data
from jupyter_mlops.data import Table, open_source
from jupyter_mlops.data.sources.frames import FrameSource, is_frame
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.errors import Invalid, Unavailable

ROWS = pl.DataFrame(
    {
        "n": [1, 2, 3, 4],
        "gaps": [1, None, 3, None],
        "x": [0.5, float("inf"), -1.0, None],
        "text": ["a", "é", None, "<b>"],
        "flag": [True, False, True, False],
        "when": [datetime(2013, 1, d, tzinfo=UTC) for d in (1, 2, 3, 4)],
    }
)


@pytest.fixture(scope="module")
def places(bucket: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The rows on disk, in a bucket and on a web server."""
    folder = tmp_path_factory.mktemp("rows")
    ROWS.write_parquet(folder / "x.parquet")
    ROWS.write_ipc(folder / "x.arrow")
    (folder / "parts").mkdir()
    ROWS.head(1).write_parquet(folder / "parts" / "2.parquet", compression="gzip")
    ROWS.tail(3).write_parquet(folder / "parts" / "1.parquet")
    buffer = io.BytesIO()
    ROWS.write_parquet(buffer, row_group_size=2)
    bucket.put("lake/frames/x.parquet", buffer.getvalue())
    with web_server() as web, pytest.MonkeyPatch.context() as patch:
        patch.setenv("S3_ID", "x")
        patch.setenv("S3_KEY", "x")
        web.files["/x.parquet"] = buffer.getvalue()
        yield {
            "Parquet": str(folder / "x.parquet"),
            "Arrow file": str(folder / "x.arrow"),
            "many files": str(folder / "parts"),
            "s3": f"s3://lake/frames/x.parquet{bucket.options}",
            "http": f"{web.url}/x.parquet",
        }


FRAMES: dict[str, Any] = {
    "pandas": lambda: ROWS.to_pandas(),
    "pandas with Arrow types": lambda: ROWS.to_pandas(use_pyarrow_extension_array=True),
    "pandas with its own types": lambda: ROWS.to_pandas().convert_dtypes(),
    "polars": lambda: ROWS,
    "lazy polars": ROWS.lazy,
    "Arrow table": ROWS.to_arrow,
    "Arrow batch": lambda: ROWS.to_arrow().combine_chunks().to_batches()[0],
    "Arrow reader": lambda: ROWS.to_arrow().to_reader(max_chunksize=2),
    "Arrow dataset": lambda: ds.dataset(ROWS.to_arrow()),
    "Dask": lambda: dd.from_pandas(ROWS.to_pandas(), npartitions=3),
    "cuDF": lambda: _cudf().DataFrame(ROWS.to_arrow()),
}


@pytest.mark.parametrize("way", [*FRAMES, "Parquet", "Arrow file", "many files", "s3", "http"])
def test_the_same_rows_have_one_digest_whichever_way_they_came(
    places: dict[str, str], way: str
) -> None:
    if way in FRAMES:
        frame = FRAMES[way]()
        assert is_frame(frame)
        source = Table(FrameSource(frame, way))
    else:
        source = Table(open_source(places[way], allow_private=True))
    assert source.digest == data.digest(ROWS.lazy())
    assert source.rows == 4
    # A reader gives its rows once; a source must give them again and again.
    assert source.polars().sort("n")["text"].to_list() == ["a", "é", None, "<b>"]


def test_frames_come_out_as_they_went_in(places: dict[str, str]) -> None:
    table = Table(open_source(places["Parquet"]))
    assert table.polars().equals(ROWS)
    assert table.arrow().equals(ROWS.to_arrow())
    assert table.pandas()["gaps"].dtype == float
    found = table.dask(partitions=4)
    assert found.npartitions == 4
    whole = found.compute().reset_index(drop=True)
    assert dict(found.dtypes) == dict(whole.dtypes)
    parts = [found.get_partition(i).compute() for i in range(found.npartitions)]
    assert {str(part["gaps"].dtype) for part in parts} == {"float64"}
    assert Table(FrameSource(found)).rows == 4
    assert pl.from_pandas(whole[["n", "text"]]).equals(ROWS.select("n", "text"))
    assert found["x"].max().compute() == float("inf")


def test_a_missing_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(FrameSource(ROWS))
    monkeypatch.setitem(sys.modules, "dask.dataframe", None)
    with pytest.raises(Unavailable, match=r'pip install "dask\[dataframe\]"'):
        table.dask()
    monkeypatch.setitem(sys.modules, "cudf", None)
    with pytest.raises(Unavailable, match="pip install cudf-cu12"):
        table.cudf()


def test_a_dask_frame_is_read_part_by_part(tmp_path: Path) -> None:
    alive: list[int] = []

    def make(place: int) -> pd.DataFrame:
        alive.append(place)
        return pd.DataFrame({"n": [place] * 3, "t": ["x", None, "y"] if place else [None] * 3})

    meta = pd.DataFrame({"n": pd.Series(dtype="int64"), "t": pd.Series(dtype="object")})
    frame = dd.from_map(make, [0, 1, 2], meta=meta)
    source = FrameSource(frame)
    assert not alive
    ws = Workspace.open(tmp_path / "ws")
    kept = data.add(ws, "parts", frame)
    assert kept.rows == 9
    assert alive == [0, 1, 2]
    assert source.schema() == {"n": pl.Int64, "t": pl.String}
    assert len(alive) == 6
    assert source.digest() == kept.digest
    assert len(alive) == 6


def test_an_arrow_dataset_gives_only_what_is_asked_for(tmp_path: Path) -> None:
    ROWS.write_parquet(tmp_path / "x.parquet")
    source = FrameSource(ds.dataset(tmp_path, format="parquet"))
    found = source.scan().filter(pl.col("n") > 2).select("text").collect()
    assert found.to_dict(as_series=False) == {"text": [None, "<b>"]}
    assert source.scan().head(1).collect().height == 1


def test_pandas_own_types_are_kept_or_refused_with_the_way_out() -> None:
    frame = pd.DataFrame(
        {
            "kind": pd.Categorical(["a", None, "b"]),
            "grade": pd.Categorical([1, None, 3]),
            "sparse": pd.arrays.SparseArray([0.0, 1.0, 0.0]),
            "day": pd.Series([date(2013, 1, 1), None, date(2013, 1, 3)], dtype="object"),
        }
    )
    schema = FrameSource(frame).schema()
    assert data.Table(FrameSource(frame)).schema["kind"] == "text"
    assert schema["grade"].is_numeric()
    assert schema["sparse"] == pl.Float64
    assert schema["day"] == pl.Date
    refused = {
        "holds periods.*to_timestamp": pd.period_range("2013-01", periods=3, freq="M"),
        "holds intervals.*left": pd.interval_range(0, 3),
        "holds complex numbers": [1j, 2j, 3j],
        "holds int, str": [1, "a", 2],
    }
    for says, values in refused.items():
        with pytest.raises(Invalid, match=f"column 'v' can't be kept as a table column.*{says}"):
            FrameSource(pd.DataFrame({"v": values}))
    with pytest.raises(Invalid, match=r"columns have several levels.*'_'\.join"):
        FrameSource(pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])))
    with pytest.raises(Invalid, match="two columns of the frame are called 'a'"):
        FrameSource(pa.table([[1], [2]], names=["a", "a"]))
    extension = pa.table({"id": pa.array(["a" * 16], pa.string())}).append_column(
        "u", pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"a" * 16], pa.binary(16)))
    )
    assert FrameSource(extension).schema() == {"id": pl.String, "u": pl.Binary}


def _cudf() -> ModuleType:
    """What cuDF looks like from outside, on machines without a GPU; tests/gpu has the real one."""
    module = ModuleType("cudf")

    class DataFrame:
        def __init__(self, table: pa.Table) -> None:
            self._table = table
            self.columns = table.schema.names

        def to_arrow(self) -> pa.Table:
            return self._table

    DataFrame.__module__ = "cudf.core.dataframe"
    module.DataFrame = DataFrame  # type: ignore[attr-defined]
    return module
