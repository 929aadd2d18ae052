"""The store's schema: as the records say, brought up to date, never taken back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from jupyter_mlops.workspace import Conflict, Workspace, migrations
from jupyter_mlops.workspace.migrations import draft

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    with op.batch_alter_table("event_head") as batch:
        batch.add_column(sa.Column("note", sa.String(20), server_default="new"))
    {more}
"""


@pytest.fixture
def older(ws: Workspace) -> Workspace:
    """A store of revision 0001 with events in it."""
    with ws.write() as tx:
        for number in range(3):
            tx.emit("dataset.added", f"data:flights@{number + 1}")
    return ws


def _release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str = "") -> None:
    """Pretend a version of the package whose schema is one revision on."""
    scripts = tmp_path / "migrations"
    shutil.copytree(Path(migrations.__file__).parent, scripts)
    (scripts / "versions" / "0002_next.py").write_text(NEXT.format(more=more or "pass"))
    now = migrations.configuration

    def configuration() -> object:
        config = now()
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        return config

    monkeypatch.setattr(migrations, "configuration", configuration)
    monkeypatch.setattr(migrations, "HEAD", "0002")


def _columns(ws: Workspace) -> set[str]:
    with ws.read() as session:
        found = inspect(session.connection()).get_columns("event_head")
    return {one["name"] for one in found}


def test_a_migrated_store_is_what_the_records_say(ws: Workspace) -> None:
    """After changing records: python -m jupyter_mlops.workspace.migrations.draft."""
    assert draft.differences(ws.store) == []


def test_every_room_with_tables_is_looked_at() -> None:
    package = Path(migrations.__file__).parents[2]
    rooms = {path.parent.name for path in package.glob("*/records.py")}
    assert rooms <= set(migrations.ROOMS)


def test_the_newest_revision_is_the_one_the_package_asks_for() -> None:
    folder = Path(migrations.__file__).parent / "versions"
    newest = max(path.name[:4] for path in folder.glob("[0-9]*.py"))
    assert newest == migrations.HEAD


def test_an_older_store_is_brought_up_to_date(
    older: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _release(tmp_path, monkeypatch)
    ws = Workspace.open(older.root)
    assert "note" in _columns(ws)
    assert [one.subject for one in ws.events()] == [f"data:flights@{n}" for n in (1, 2, 3)]
    with ws.write() as tx:
        tx.emit("run.started", "run:a")
    assert ws.audit().intact
    # A second opening has nothing to do.
    Workspace.open(older.root)


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    older: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _release(tmp_path, monkeypatch, more="raise ZeroDivisionError")
    with pytest.raises(ZeroDivisionError):
        Workspace.open(older.root)
    monkeypatch.undo()
    if not older.store.sqlite:
        monkeypatch.setenv("JUPYTER_MLOPS_DATABASE_URL", older.settings.database_url)
    ws = Workspace.open(older.root)
    assert "note" not in _columns(ws)
    assert ws.audit().events == 3


def test_a_newer_store_is_refused_with_one_sentence(older: Workspace) -> None:
    with older.store.engine.execution_options(mlops_write=True).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match=r"newer than this jupyter-mlops.*upgrade.*E-STORE-003"):
        Workspace.open(older.root)
    with older.read() as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
