"""Datasets have names and versions; the same content is the same version."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from jupyter_mlops import data
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle, view
from jupyter_mlops.workspace import Conflict, Invalid, NotFound, Workspace

FRAME = pd.DataFrame({"id": [1, 2, 3], "x": [0.5, None, 1.5], "when": pd.to_datetime("2013-01-01")})


def kinds(ws: Workspace) -> list[str]:
    return [event.kind for event in ws.events()]


def test_the_same_content_is_the_same_version(ws: Workspace) -> None:
    first = data.add(ws, "t", FRAME)
    again = data.add(ws, "t", pl.from_pandas(FRAME).sample(fraction=1, shuffle=True, seed=1))
    second = data.add(ws, "t", FRAME.head(2))
    assert (first.ref, again.ref, second.ref) == ("data:t@1", "data:t@1", "data:t@2")
    assert kinds(ws) == ["dataset.added", "dataset.added"]
    assert [one.version for one in second.versions] == [2, 1]
    assert data.get(ws, "t@1").pandas().equals(first.pandas())


def test_writers_at_the_same_time_get_versions_of_their_own(ws: Workspace) -> None:
    def one(i: int) -> int:
        # Threads 0 and 3, 1 and 4, 2 and 5 add the same content.
        return data.add(Workspace.open(ws.root), "t", FRAME.assign(i=i % 3)).version

    with ThreadPoolExecutor(6) as pool:
        versions = list(pool.map(one, range(6)))
    assert versions[:3] == versions[3:]
    assert sorted(versions[:3]) == [1, 2, 3]
    assert ws.audit().intact


def test_adding_earlier_content_makes_it_current(ws: Workspace) -> None:
    data.add(ws, "t", FRAME)
    data.add(ws, "t", FRAME.head(2))
    data.add(ws, "t", FRAME)
    assert data.get(ws, "t").version == 1
    assert [one.version for one in data.list_datasets(ws)] == [1]
    assert len(ws.events()) == 3


def test_a_dataset_outlives_its_file_and_its_process(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,x\n1,a\n2,b\n")
    data.add(ws, "t", str(path), key="id")
    path.unlink()
    other = Workspace.open(ws.root)
    found = data.resolve(other, "data:t")
    assert found.pandas()["x"].tolist() == ["a", "b"]
    assert found.key == "id"
    assert found.schema == {"id": "integer", "x": "text"}
    assert found.digest == data.digest(found.scan())


def test_pandas_comes_back_with_numpy_types(ws: Workspace) -> None:
    frame = pl.DataFrame({"n": [1, None], "d": ["1.5", "2.5"], "i": [1, 2]}).with_columns(
        pl.col("d").cast(pl.Decimal(10, 2)), pl.col("i").cast(pl.UInt8)
    )
    back = data.add(ws, "t", frame).pandas()
    assert [str(dtype) for dtype in back.dtypes] == ["float64", "float64", "uint8"]


def test_pictures_in_a_frame_are_kept_as_lists(ws: Workspace) -> None:
    frame = pd.DataFrame({"image": [np.eye(3, dtype="uint8"), None, np.ones((2, 2))]})
    back = data.add(ws, "t", frame).scan().collect()["image"].to_list()
    assert back == [np.eye(3).tolist(), None, np.ones((2, 2)).tolist()]


def test_names_files_and_frames_resolve(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("a\n1\n")
    data.add(ws, "t.csv", FRAME)
    assert data.resolve(ws, "t.csv").ref == "data:t.csv@1"  # a dataset goes before a file
    assert data.resolve(ws, "./t.csv").rows == 1
    assert data.resolve(ws, FRAME).rows == 3
    assert data.resolve(ws, pl.from_pandas(FRAME).lazy()).rows == 3
    with pytest.raises(NotFound, match=r"did you mean 't\.csv'"):
        data.resolve(ws, "tt.csv")
    with pytest.raises(Invalid, match="data can't be a int"):
        data.resolve(ws, 3)


def test_large_files_stay_where_they_are_and_are_watched(ws: Workspace, tmp_path: Path) -> None:
    ws.settings.copy_limit = 10
    path = tmp_path / "large.parquet"
    pl.DataFrame({"a": [1, 2, 3]}).write_parquet(path)
    added = data.add(ws, "large", str(path))
    assert ws.artifacts.list("datasets") == []
    assert data.get(ws, "large").pandas()["a"].tolist() == [1, 2, 3]
    pl.DataFrame({"a": [3, 2, 1]}).write_parquet(path)  # the same content, written anew
    assert data.get(ws, "large").scan().collect().height == 3
    pl.DataFrame({"a": [9]}).write_parquet(path)
    with pytest.raises(Conflict, match="have changed since"):
        data.get(ws, "large").scan()
    path.unlink()
    with pytest.raises(NotFound, match="are gone"):
        data.get(ws, "large").scan()
    assert added.version == 1


@pytest.mark.parametrize(
    ("frame", "keys", "error", "says"),
    [
        (FRAME.head(0), {}, Invalid, "has columns but no rows"),
        (pd.DataFrame(), {}, Invalid, "has no columns"),
        (FRAME, {"key": "idd"}, NotFound, "did you mean 'id'"),
        (FRAME, {"key": "when"}, Conflict, "2 repeat another's"),
        (FRAME, {"key": "x"}, Conflict, "1 rows lack it"),
        (FRAME, {"time": "x"}, Invalid, "can't be the time: it holds float"),
        (FRAME, {"where": "id > 1000"}, Invalid, "no row of .* fulfils 'id > 1000'"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), {}, Invalid, "two columns"),
        (pd.DataFrame({"a": [1, "x", {}]}), {}, Invalid, "column 'a' can't be kept"),
    ],
)
def test_what_cannot_be_added_leaves_nothing_behind(
    ws: Workspace, frame: pd.DataFrame, keys: dict[str, str], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        data.add(ws, "t", frame, **keys)
    assert kinds(ws) == []
    assert ws.artifacts.list() == []


def test_a_dataset_that_does_not_exist_names_the_closest(ws: Workspace) -> None:
    data.add(ws, "flights", FRAME)
    with pytest.raises(NotFound, match="did you mean 'flights'"):
        data.get(ws, "fligths")
    with pytest.raises(NotFound, match="has no version 7"):
        data.get(ws, "flights@7")


def test_verbs_show_what_they_return(ws: Workspace) -> None:
    find("data add")(ws, name="t", source=FRAME, key="id", time="when")
    assert "t@1" in mimebundle(find("data ls")(ws))["text/plain"]
    shown = view(find("data show")(ws, name="t"))
    assert (shown.kind, shown.ref, shown.title) == ("dataset", "data:t@1", "t@1")
    text = mimebundle(find("data sample")(ws, source="t", rows=2))["text/plain"]
    assert "2 of 3 rows" in text
    with pytest.raises(Invalid, match="sample can't have 0 rows"):
        find("data sample")(ws, source="t", rows=0)


def test_a_result_stays_small_whatever_the_data(ws: Workspace) -> None:
    wide = pl.DataFrame({f"<b>column</b> {i}" * 20: ["x" * 100_000] for i in range(300)})
    added = data.add(ws, "wide", wide)
    for result in (added, data.sample(ws, "wide", 50)):
        bundle = mimebundle(result)
        assert len(bundle["text/plain"].splitlines()) <= 15
        assert len(bundle["text/html"].encode()) < 200_000
        assert len(str(bundle)) < 400_000
        assert "<b>column" not in bundle["text/html"]


def test_rows_that_are_gone_still_leave_a_record_to_look_at(ws: Workspace) -> None:
    data.add(ws, "t", FRAME)
    ws.artifacts.delete(ws.artifacts.list("datasets")[0])
    assert "are gone" in mimebundle(data.get(ws, "t"))["text/plain"]
    with pytest.raises(NotFound, match="are gone"):
        data.get(ws, "t").pandas()
    data.add(ws, "t", FRAME)
    assert data.get(ws, "t").pandas().shape == (3, 3)
