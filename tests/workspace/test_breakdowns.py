"""When a disk or a database fails: one sentence with the way out, and nothing half-written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.workspace import Folder, MLOpsError, Unavailable, Workspace
from jupyter_mlops.workspace.connections import network_file_system

# Prints what becomes of a read and of a write, as a person would see it.
TRY = """
import sys
from jupyter_mlops.workspace import Folder, MLOpsError, Workspace
def attempt(name, work):
    try:
        print(name, "ok", work(), flush=True)
    except MLOpsError as error:
        print(name, error, flush=True)
def write():
    with Workspace.open(sys.argv[1]).write() as tx:
        tx.emit("run.started", "run:a")
attempt("read", lambda: len(Workspace.open(sys.argv[1]).events()))
attempt("write", write)
attempt("file", lambda: Folder(f"{sys.argv[1]}/.mlops/artifacts").write_bytes("a", b"x"))
"""


def _as_anybody(root: Path) -> dict[str, str]:
    """Run `TRY` without root's right to write where nobody may."""
    command = [sys.executable, "-c", TRY, str(root)]
    if os.geteuid() == 0:
        drop = "-dac_override,-dac_read_search,-fowner"
        command = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace with an event and a file, whose rights are given back at the end."""
    ws = Workspace.open(tmp_path / "project")
    with ws.write() as tx:
        tx.emit("dataset.added", "data:flights@1")
    ws.artifacts.write_bytes("a", b"before")
    ws.store.dispose()
    yield ws
    for path in [ws.root, *ws.root.rglob("*")]:
        path.chmod(0o700)


def _forbid(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o500 if path.is_dir() else 0o400)


def test_a_read_only_workspace_says_so(written: Workspace) -> None:
    _forbid(written.root)
    said = _as_anybody(written.root)
    assert said["write"].startswith("the store ")
    assert "E-STORE-011" in said["write"] or "E-STORE-014" in said["write"]
    assert "E-FOLDER-006" in said["file"]
    assert "Traceback" not in "".join(said.values())
    written.root.chmod(0o700)
    written.home.chmod(0o700)
    assert not list(written.home.glob("artifacts/.*"))
    assert (written.home / "artifacts" / "a").read_bytes() == b"before"


def test_a_read_only_file_can_still_be_read(written: Workspace) -> None:
    (written.home / "mlops.db").chmod(0o400)
    said = _as_anybody(written.root)
    assert said["read"] == "ok 1"
    assert "the store is read-only for you" in said["write"]


def test_a_read_only_folder_gets_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0o500)
    said = _as_anybody(tmp_path / "locked")
    assert "E-WORKSPACE-002" in said["write"]
    assert "set JUPYTER_MLOPS_WORKSPACE to a folder you may write to" in said["write"]
    assert list((tmp_path / "locked").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_loses_nothing_acknowledged(small_disk: Path) -> None:
    ws = Workspace.open(small_disk)
    ws.artifacts.write_bytes("kept", b"before")
    acknowledged = 0
    with pytest.raises(Unavailable, match=r"the disk (is full|failed).*E-STORE-01[23]"):
        for _ in range(500):
            with ws.write() as tx:
                tx.emit("run.started", "run:a", payload={"text": "x" * 60_000})
            acknowledged += 1
    assert acknowledged > 10
    with pytest.raises(Unavailable, match="E-FOLDER-006"):
        ws.artifacts.write_bytes("kept", b"x" * (4 << 20))
    assert ws.artifacts.read_bytes("kept") == b"before"
    assert ws.artifacts.list() == ["kept"]
    ws.store.dispose()
    # A new process finds all of it, and with room again it goes on.
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    again = Workspace.open(small_disk)
    assert again.audit().intact
    assert again.audit().events == acknowledged
    with again.write() as tx:
        tx.emit("run.started", "run:b")
    assert again.audit().events == acknowledged + 1
    again.store.dispose()


def test_no_workspace_is_half_made_on_a_full_disk(small_disk: Path) -> None:
    filler = small_disk / "filler"
    with filler.open("wb") as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * 65536)
            file.flush()
    with pytest.raises(MLOpsError) as raised:
        Workspace.open(small_disk)
    assert "\n" not in str(raised.value)
    filler.unlink()
    ws = Workspace.open(small_disk)
    assert ws.audit().intact
    ws.store.dispose()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@127.0.0.1:1/x",
        "postgresql://u:hunter2@/x?host=/nowhere",
        "postgresql://u@127.0.0.1:1/x?password=hunter2",
    ],
)
def test_a_database_that_does_not_answer_is_named(tmp_path: Path, url: str) -> None:
    start = time.monotonic()
    with pytest.raises(Unavailable, match=r"the store doesn't answer .*E-STORE-002") as raised:
        Workspace.open(tmp_path, database_url=url)
    assert time.monotonic() - start < 20
    assert "hunter2" not in str(raised.value)
    assert "JUPYTER_MLOPS_DATABASE_URL" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_database_that_does_not_exist_is_named(tmp_path: Path, postgresql: Any) -> None:
    url = f"postgresql://mlops@/nothing?host={postgresql.folder}&port={postgresql.port}"
    with pytest.raises(Unavailable, match=r'"nothing" does not exist.*E-STORE-002'):
        Workspace.open(tmp_path, database_url=url)


def test_a_database_without_rights_is_named(tmp_path: Path, postgresql: Any) -> None:
    url = postgresql.new_database()
    owner = Workspace.open(tmp_path / "owner", database_url=url)
    with owner.store.engine.begin() as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS guest")
        connection.exec_driver_sql("CREATE ROLE guest LOGIN")
        connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
    guest = Workspace.open(tmp_path / "guest", database_url=url.replace("mlops@", "guest@"))
    assert guest.events() == []
    with pytest.raises(Unavailable, match=r"read-only for you.*permission denied.*E-STORE-011"):
        with guest.write() as tx:
            tx.emit("run.started", "run:a")
    with owner.store.engine.begin() as connection:
        connection.exec_driver_sql("DROP OWNED BY guest")
        connection.exec_driver_sql("DROP ROLE guest")


def test_a_database_that_restarts_is_used_again(tmp_path: Path, postgresql: Any) -> None:
    ws = Workspace.open(tmp_path, database_url=postgresql.new_database())
    with ws.write() as tx:
        tx.emit("run.started", "run:a")
    postgresql.stop()
    with pytest.raises(Unavailable, match="E-STORE-002"):
        with ws.write() as tx:
            tx.emit("run.started", "run:b")
    postgresql.start()
    with ws.write() as tx:
        tx.emit("run.started", "run:c")
    assert [one.subject for one in ws.events()] == ["run:a", "run:c"]
    assert ws.audit().intact


def test_a_database_lost_within_a_write_takes_it_back(tmp_path: Path, postgresql: Any) -> None:
    ws = Workspace.open(tmp_path, database_url=postgresql.new_database())
    with pytest.raises(Unavailable, match="E-STORE-002"):
        with ws.write() as tx:
            tx.emit("run.started", "run:a")
            postgresql.stop()
            tx.emit("run.finished", "run:a")
    postgresql.start()
    assert ws.events() == []
    with ws.write() as tx:
        tx.emit("run.started", "run:b")
    assert ws.audit().events == 1


def test_a_store_that_was_deleted_is_not_written_into_the_void(tmp_path: Path) -> None:
    ws = Workspace.open(tmp_path)
    with ws.write() as tx:
        tx.emit("run.started", "run:a")
    shutil.rmtree(ws.home)
    with pytest.raises(Unavailable, match="E-STORE-014"):
        with ws.write() as tx:
            tx.emit("run.started", "run:b")
    again = Workspace.open(tmp_path)
    with again.write() as tx:
        tx.emit("run.started", "run:c")
    assert [one.subject for one in again.events()] == ["run:c"]
    # The old object uses the new store, for it names the same place.
    assert ws.audit().events == 1


def test_a_store_that_was_restored_from_a_backup_is_read_anew(tmp_path: Path) -> None:
    ws = Workspace.open(tmp_path)
    with ws.write() as tx:
        tx.emit("run.started", "run:a")
    ws.store.dispose()
    backup = shutil.copy(ws.home / "mlops.db", tmp_path / "backup.db")
    with ws.write() as tx:
        tx.emit("run.started", "run:b")
    for path in ws.home.glob("mlops.db-*"):
        path.unlink()
    Path(backup).replace(ws.home / "mlops.db")
    assert [one.subject for one in ws.events()] == ["run:a"]
    assert ws.audit().intact


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"\0" * 4096])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".mlops").mkdir()
    (tmp_path / ".mlops" / "mlops.db").write_bytes(content)
    with pytest.raises(Unavailable, match=r"mlops\.db.*E-STORE-019"):
        Workspace.open(tmp_path)
    assert (tmp_path / ".mlops" / "mlops.db").read_bytes() == content


MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:40 / /home rw,relatime shared:5 - nfs4 server:/home rw,vers=4.2
31 30 0:41 / /home/ada/local rw - ext4 /dev/sdb1 rw
32 22 0:42 / /media/with\\040blank rw - fuse.sshfs host: rw
33 22 0:43 / /windows rw - fuseblk /dev/sdc1 rw
34 22 0:44 / /over rw - cifs //host/share rw
35 34 0:45 / /over rw - ext4 /dev/sdd1 rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/ada/project", "nfs4"),
        ("/home", "nfs4"),
        ("/homes/ada", ""),
        ("/home/ada/local/project", ""),
        ("/media/with blank/project", "fuse.sshfs"),
        ("/windows/project", ""),
        ("/over/project", ""),
        ("/opt", ""),
    ],
)
def test_a_network_disk_is_recognised(path: str, kind: str) -> None:
    assert network_file_system(Path(path), MOUNTS) == kind


def test_on_a_network_disk_the_journal_needs_no_shared_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WAL would let two hosts overwrite each other's pages."""
    local = Workspace.open(tmp_path / "project")
    with local.write() as tx:
        tx.emit("run.started", "run:a")
    local.store.dispose()
    assert (local.home / "mlops.db").read_bytes()[18] == 2  # the format's mark of WAL
    (tmp_path / "project").rename(tmp_path / "moved")
    monkeypatch.setattr(
        "jupyter_mlops.workspace.connections.network_file_system", lambda path: "nfs4"
    )
    ws = Workspace.open(tmp_path / "moved")
    with ws.write() as tx:
        tx.emit("run.started", "run:b")
    assert ws.audit().events == 2
    assert (ws.home / "mlops.db").read_bytes()[18] == 1
    assert Folder(str(ws.home)).list() == [".gitignore", "mlops.db"]
