"""Acknowledged labels through kills of the server, by the labeler's own code: see `labeling.py`."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grounds import tell

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

__all__ = ["databases", "kills"]


def kills(given: argparse.Namespace) -> bool:
    """Kill the server at random while six people label; everything decided is stored once."""
    from faults.labelstorm import storm

    held = True
    for name, _ in databases(given.databases):
        times = given.kills if name == "SQLite" else given.kills // 10
        folder = Path(tempfile.mkdtemp(prefix="label-kills-"))
        began = time.monotonic()
        try:
            found = storm(
                folder,
                kills=times,
                items=max(1000, 30 * times),
                seed=given.seed,
                after=lambda count, heard: (
                    print(
                        f"    {count} kills, {len(heard.acknowledged):,} acknowledged", flush=True
                    )
                    if count % 50 == 0
                    else None
                ),
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        minutes = (time.monotonic() - began) / 60
        figure = (
            f"{found.kills} kills of the server and {found.crashes} of pages in {minutes:.0f} "
            f"minutes; {found.decided:,} decided ({_kinds(found.kinds)}), "
            f"{found.acknowledged:,} acknowledged; {found.sent_again:,} sent again, "
            f"{found.known_already:,} of them stored already"
        )
        held &= tell(f"people label on {name}", figure, found.acknowledged >= found.decided)
        wrong = {
            "acknowledged and lost": found.lost,
            "decided and lost": found.missing,
            "stored twice": found.twice,
            "altered": found.altered,
            "out of order": found.out_of_order,
            "refused": found.refused,
            "items beyond their overlap": found.beyond_overlap,
            "faults of counts and of the chain": len(found.faults),
        }
        said = ", ".join(f"{what} {count}" for what, count in wrong.items())
        held &= tell("nothing is lost", said, found.holds)
        for fault in found.faults:
            print(f"        {fault}")
    return held


@contextlib.contextmanager
def _postgresql() -> Iterator[Any]:
    """A server of our own that keeps its promises to the disk; None where it isn't installed."""
    from servers.postgresql import PostgreSQL

    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        print("  PostgreSQL isn't installed here (Debian: apt install postgresql)")
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = PostgreSQL(folder, programs[-1], fsync="on", full_page_writes="on")
    server.create()
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def databases(names: list[str]) -> Iterator[tuple[str, str]]:
    """Each database by its name; what is opened meanwhile is a fresh one in it."""
    variable = "JUPYTER_MLOPS_DATABASE_URL"
    if "sqlite" in names:
        os.environ.pop(variable, None)
        yield "SQLite", ""
    if "postgresql" in names:
        with _postgresql() as server:
            if server is not None:
                os.environ[variable] = server.new_database()
                try:
                    yield "PostgreSQL", os.environ[variable]
                finally:
                    os.environ.pop(variable, None)


def _kinds(found: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}s" for kind, count in sorted(found.items()))
