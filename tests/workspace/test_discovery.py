"""Where a workspace is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_mlops.workspace import NotFound, Unavailable, Workspace


def test_the_variable_goes_before_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / ".mlops").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("JUPYTER_MLOPS_WORKSPACE", str(tmp_path / "there"))
    assert Workspace.open().root == tmp_path / "there"


def test_a_folder_given_goes_before_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_MLOPS_WORKSPACE", str(tmp_path / "there"))
    assert Workspace.open(tmp_path / "given").root == tmp_path / "given"


def test_the_nearest_parent_that_holds_one_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Workspace.open(tmp_path)
    Workspace.open(tmp_path / "inner")
    deep = tmp_path / "inner" / "notebooks" / "deep"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert Workspace.open().root == tmp_path / "inner"


def test_without_any_one_is_made_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ws = Workspace.open()
    assert ws.root == tmp_path
    assert ws.home == tmp_path / ".mlops"
    assert (ws.home / "mlops.db").is_file()


def test_a_new_workspace_is_private_and_ignored_by_git(tmp_path: Path) -> None:
    ws = Workspace.open(tmp_path)
    assert ws.home.stat().st_mode & 0o077 == 0
    assert (ws.home / ".gitignore").read_text() == "*\n"


def test_none_is_made_where_none_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"E-WORKSPACE-001") as raised:
        Workspace.open(tmp_path, create=False)
    assert str(tmp_path) in str(raised.value)
    assert not (tmp_path / ".mlops").exists()


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / ".mlops").write_text("not a folder")
    with pytest.raises(Unavailable, match=r"no workspace can be made in .*E-WORKSPACE-002"):
        Workspace.open(tmp_path)


def test_a_current_folder_that_was_deleted_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(Unavailable, match=r"E-WORKSPACE-003"):
        Workspace.open()


@pytest.mark.parametrize("name", ["a b", "100%", "what?", "täglich", "a#b", "quo'te"])
def test_folders_of_any_name_work(tmp_path: Path, name: str) -> None:
    ws = Workspace.open(tmp_path / name)
    with ws.write() as tx:
        tx.emit("dataset.added", "data:flights@1")
    assert (tmp_path / name / ".mlops" / "mlops.db").is_file()
    assert ws.audit().events == 1


def test_opening_again_reuses_the_connections(tmp_path: Path) -> None:
    assert Workspace.open(tmp_path).store is Workspace.open(tmp_path).store


def test_many_workspaces_leave_few_files_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(40):
        Workspace.open(tmp_path / str(number)).events()
    assert len(list(Path("/proc/self/fd").iterdir())) < before + 40
