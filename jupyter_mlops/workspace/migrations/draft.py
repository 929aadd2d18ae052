"""Draft a migration from the difference between the rooms' records and the last revision.

Usage: ``python -m jupyter_mlops.workspace.migrations.draft "what changes"``; with
``--initial`` the first revision is written anew, which is only right before a release.
Read what it wrote, then set `HEAD` in ``migrations/__init__.py``.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData

from jupyter_mlops.workspace.events import GENESIS
from jupyter_mlops.workspace.migrations import HEAD, ROOMS, bring_up_to_date, configuration
from jupyter_mlops.workspace.records import Base
from jupyter_mlops.workspace.store import Store

HERE = Path(__file__).parent
FIRST_HEAD = f"""
    op.bulk_insert(
        sa.table(
            "event_head",
            sa.column("id", sa.Integer),
            sa.column("seq", sa.BigInteger),
            sa.column("hash", sa.String),
        ),
        [{{"id": 1, "seq": 0, "hash": {GENESIS!r}}}],
    )
"""


def all_records() -> MetaData:
    """The tables of every room."""
    for room in ROOMS:
        if find_spec(f"jupyter_mlops.{room}") and find_spec(f"jupyter_mlops.{room}.records"):
            import_module(f"jupyter_mlops.{room}.records")
    return Base.metadata


def differences(store: Store) -> list[object]:
    """What a migrated store lacks, or has too much, compared with the records."""
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, all_records()))


def draft(message: str, revision: str, store: Store, initial: bool = False) -> Path:
    """Write the next revision's file and return its path."""
    with TemporaryDirectory() as folder:
        # Written elsewhere first: whoever opens a store meanwhile needs the one that is there.
        scripts = Path(folder) / "migrations"
        ignored = shutil.ignore_patterns("[0-9]*.py" if initial else "__pycache__")
        shutil.copytree(HERE, scripts, ignore=ignored)
        (scripts / "versions").mkdir(exist_ok=True)
        with store.engine.execution_options(mlops_write=True).begin() as connection:
            config = configuration()
            config.set_main_option("script_location", str(scripts).replace("%", "%%"))
            config.attributes["connection"] = connection
            config.attributes["metadata"] = all_records()
            command.revision(config, message, autogenerate=True, rev_id=revision)
        (written,) = (scripts / "versions").glob(f"{revision}_*.py")
        content = written.read_text("utf-8")
        if initial:
            marker = "    # ### end Alembic commands ###\n\n\ndef downgrade"
            content = content.replace(marker, FIRST_HEAD.lstrip("\n") + marker, 1)
            written.write_text(content, "utf-8")
        subprocess.run(
            [sys.executable, "-m", "ruff", "format", "-q", "--line-length=100", str(written)],
            check=True,
        )
        path = HERE / "versions" / written.name
        path.parent.mkdir(exist_ok=True)
        beside = path.with_suffix(".draft")
        shutil.copy(written, beside)
        beside.replace(path)
    return path


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("message", nargs="?", default="initial")
    parser.add_argument("--initial", action="store_true")
    given = parser.parse_args()
    store = Store("sqlite://")
    initial = given.initial or given.message == "initial"
    if not initial:
        bring_up_to_date(store)
    print(draft(given.message, "0001" if initial else f"{int(HEAD) + 1:04d}", store, initial))
    return 0


if __name__ == "__main__":
    sys.exit(main())
