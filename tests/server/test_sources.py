"""What a browser may name as data: files below the server's root, and nothing else of the disk."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_mlops.server.served import ServedWorkspace
from jupyter_mlops.workspace import MLOpsError


@pytest.fixture
def served(tmp_path: Path) -> ServedWorkspace:
    root = tmp_path / "root"
    (root / "data").mkdir(parents=True)
    (root / "data" / "a.csv").write_text("x\n1\n")
    (root / "b c.csv").write_text("x\n1\n")
    # A sibling whose name begins like the root's.
    (tmp_path / "root2").mkdir()
    (tmp_path / "root2" / "secret.csv").write_text("x\n1\n")
    (root / "link.csv").symlink_to(tmp_path / "root2" / "secret.csv")
    (root / "out").symlink_to(tmp_path / "root2")
    return ServedWorkspace(root, "", SimpleNamespace(root_dir=str(root)))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("data/a.csv", "data/a.csv"),
        ("/data/../data/a.csv", None),
        ("RTC:data/a.csv", "data/a.csv"),
        ("b c.csv", "b c.csv"),
        ("data/*.csv", "data/*.csv"),
        ("data/nosuch.csv", "data/nosuch.csv"),
    ],
)
def test_paths_of_the_file_browser(served: ServedWorkspace, text: str, path: str | None) -> None:
    if path is None:
        with pytest.raises(MLOpsError):
            served.source(text)
    else:
        assert served.source(text) == str(served.root / path)


@pytest.mark.parametrize(
    "text", ["flights", "flights@3", "data:flights@latest", "s3://bucket/a.csv", "https://x.org/a"]
)
def test_names_references_and_urls_stay(served: ServedWorkspace, text: str) -> None:
    assert served.source(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "../root2/secret.csv",
        "data/../../root2/secret.csv",
        "..",
        "../root2/*.csv",
        "*/secret.csv",
        "/etc/passwd",
        "/etc/*",
        "//etc/passwd",
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "link.csv",
        "out/secret.csv",
        "RTC:../root2/secret.csv",
        "..\\root2\\secret.csv",
        "C:\\..\\..\\root2\\secret.csv",
        "local:/etc/passwd",
        "~/secret.csv/../../../../etc/passwd",
        "data/a.csv\0.png",
    ],
)
def test_what_leaves_the_root_is_refused(served: ServedWorkspace, text: str) -> None:
    with pytest.raises(MLOpsError) as caught:
        served.source(text)
    assert caught.value.status in {400, 403}


def test_an_absolute_path_below_the_root_is_fine(served: ServedWorkspace) -> None:
    assert served.source(str(served.root / "data" / "a.csv")).endswith("data/a.csv")


def test_a_server_without_a_folder_reads_no_files(tmp_path: Path) -> None:
    served = ServedWorkspace(tmp_path, "", SimpleNamespace())
    assert served.source("flights") == "flights"
    with pytest.raises(MLOpsError, match="aren't in a folder"):
        served.source("data/a.csv")


def test_the_workspace_is_the_nearest_from_the_root_upwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    served = ServedWorkspace(root, "", SimpleNamespace())
    assert served.place() == root
    (tmp_path / ".mlops").mkdir()
    assert served.place() == tmp_path
    monkeypatch.setenv("JUPYTER_MLOPS_WORKSPACE", str(tmp_path / "c"))
    assert served.place() == tmp_path / "c"
    assert ServedWorkspace(root, str(root), SimpleNamespace()).place() == root


def test_a_notebook_in_a_subfolder_shares_the_servers_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_mlops.workspace import Workspace

    (tmp_path / "root" / "notebooks").mkdir(parents=True)
    ServedWorkspace(tmp_path / "root", "", SimpleNamespace()).tell_kernels()
    monkeypatch.chdir(tmp_path / "root" / "notebooks")
    assert Workspace.open().root == tmp_path / "root"
    os.environ["JUPYTER_MLOPS_SERVER_ROOT"] = str(tmp_path / "other")
    monkeypatch.chdir(tmp_path)
    assert Workspace.open().root == tmp_path


def test_a_workspace_made_anew_is_another(tmp_path: Path) -> None:
    import shutil

    served = ServedWorkspace(tmp_path, "", SimpleNamespace())
    with served.open("ann").write() as tx:
        tx.emit("dataset.added", "data:x@1")
    assert served.open().events()[0].actor == "ann"
    shutil.rmtree(tmp_path / ".mlops")
    assert served.look().events() == []
    assert served.open("bob").events() == []


def test_database_files_are_paths_like_any_other(served: ServedWorkspace) -> None:
    inside = served.source("sqlite:///data/shop.db#orders")
    assert inside == f"sqlite:///{served.root}/data/shop.db#orders"
    for outside in (
        "sqlite:////etc/shop.db#orders",
        "duckdb:///../root2/x.duckdb#t",
        "SQLite:///out/x.db#t",
        "duckdb:///%2e%2e/root2/x.duckdb#t",
    ):
        with pytest.raises(MLOpsError, match="outside the server's root"):
            served.source(outside)


def test_files_that_are_written_lie_below_the_root(served: ServedWorkspace) -> None:
    assert served.file("data/new.json") == str(served.root / "data" / "new.json")
    for outside in ("../new.json", "/etc/new.json", "out/new.json"):
        with pytest.raises(MLOpsError, match="outside the server's root"):
            served.file(outside)
