"""Folders: on disk, or wherever fsspec reaches."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_mlops.workspace import Folder, Invalid, NotFound, Unavailable, Workspace


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "disk":
        return Folder(str(tmp_path / "files"))
    return Folder(f"memory://{uuid.uuid4().hex}/files")


def test_a_file_comes_back(folder: Folder) -> None:
    url = folder.write_bytes("datasets/ab12.parquet", b"rows")
    assert url == folder.url("datasets/ab12.parquet")
    assert folder.exists("datasets/ab12.parquet")
    assert folder.read_bytes("datasets/ab12.parquet") == b"rows"
    with folder.open("datasets/ab12.parquet") as file:
        assert file.read(2) == b"ro"


def test_writing_again_replaces_it(folder: Folder) -> None:
    folder.write_bytes("a", b"long content")
    folder.write_bytes("a", b"short")
    assert folder.read_bytes("a") == b"short"
    assert folder.list() == ["a"]


def test_keys_are_listed_below_a_prefix(folder: Folder) -> None:
    assert folder.list() == []
    for key in ("b/2", "b/1", "a", "b/c/3", "bb/4"):
        folder.write_bytes(key, b"")
    assert folder.list() == ["a", "b/1", "b/2", "b/c/3", "bb/4"]
    assert folder.list("b") == ["b/1", "b/2", "b/c/3"]


def test_deleting_twice_is_no_error(folder: Folder) -> None:
    folder.write_bytes("a/b", b"")
    folder.delete("a/b")
    folder.delete("a/b")
    assert not folder.exists("a/b")


def test_what_is_not_there_is_told(folder: Folder) -> None:
    with pytest.raises(NotFound, match="E-FOLDER-003"):
        folder.read_bytes("nothing")


def test_files_are_only_written_whole(folder: Folder) -> None:
    with pytest.raises(Invalid, match="E-FOLDER-002"):
        folder.open("a", "wb")


ESCAPES = [
    "",
    ".",
    "..",
    "../x",
    "a/../../x",
    "a/../..",
    "/etc/passwd",
    "//etc/passwd",
    "/",
    "./..",
    "a/./../../x",
    "..//x",
    "a\0b",
    "\0",
    "../files-of-others/x",
    "....//../..",
]


@pytest.mark.parametrize("key", ESCAPES)
def test_a_key_never_leaves_its_folder(folder: Folder, key: str, tmp_path: Path) -> None:
    for use in (folder.exists, folder.read_bytes, folder.delete, folder.url, folder.open):
        with pytest.raises(Invalid, match="E-FOLDER-005"):
            use(key)
    with pytest.raises(Invalid, match="E-FOLDER-005"):
        folder.write_bytes(key, b"")
    if key:
        with pytest.raises(Invalid, match="E-FOLDER-005"):
            folder.list(key)
    assert list(tmp_path.rglob("*x*")) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.lists(st.sampled_from(["..", ".", "a", "/", "//", "~", "\\", "%2e%2e", " "]), max_size=8))
def test_any_key_stays_inside_or_is_refused(tmp_path: Path, parts: list[str]) -> None:
    folder = Folder(str(tmp_path / "files"))
    try:
        path = folder.local("/".join(parts) if len(parts) % 2 else "".join(parts))
    except Invalid:
        return
    assert path.is_relative_to(tmp_path / "files")
    assert path != tmp_path / "files"


def test_a_link_inside_leads_nowhere_outside(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "files"))
    folder.write_bytes("a", b"")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "files" / "link").symlink_to(tmp_path)
    with pytest.raises(Invalid, match="E-FOLDER-005"):
        folder.read_bytes("link/secret")
    with pytest.raises(Invalid, match="E-FOLDER-005"):
        folder.write_bytes("link/new", b"")


def test_a_folder_may_itself_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    folder = Folder(str(tmp_path / "link" / "files"))
    folder.write_bytes("a/b", b"x")
    assert (tmp_path / "real" / "files" / "a" / "b").read_bytes() == b"x"
    assert folder.list() == ["a/b"]


def test_local_is_a_path_on_disk_only(tmp_path: Path) -> None:
    path = Folder(str(tmp_path / "files")).local("models/m1/MLmodel")
    assert path == tmp_path / "files" / "models" / "m1" / "MLmodel"
    assert path.parent.is_dir()
    with pytest.raises(Unavailable, match="E-FOLDER-004"):
        Folder("memory://x").local("a")


def test_a_draft_left_by_a_crash_is_not_listed(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "files"))
    folder.write_bytes("a/b", b"x")
    (tmp_path / "files" / "a" / ".0123456789ab.draft").write_bytes(b"half")
    assert folder.list() == ["a/b"]


def test_a_place_that_does_not_exist_is_told() -> None:
    with pytest.raises(Invalid, match="E-FOLDER-001"):
        Folder("nosuchprotocol://bucket")


def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "files"))
    folder.write_bytes("a/b", b"x")
    with pytest.raises(Unavailable, match="E-FOLDER-006"):
        folder.write_bytes("a", b"y")
    with pytest.raises(Unavailable, match="E-FOLDER-006"):
        folder.write_bytes("a/b/c", b"y")
    with pytest.raises(Unavailable, match="E-FOLDER-006"):
        folder.local("a/b/c")
    assert folder.list() == ["a/b"]
    assert os.listdir(tmp_path / "files" / "a") == ["b"]  # noqa: PTH208


def test_settings_choose_where_folders_are(tmp_path: Path) -> None:
    ws = Workspace.open(tmp_path, traffic_url="memory://elsewhere", artifacts_url="")
    assert ws.artifacts.url("a") == (tmp_path / ".mlops" / "artifacts" / "a").as_uri()
    assert ws.traffic.url("a") == "memory:///elsewhere/a"
    assert ws.reports.is_local
