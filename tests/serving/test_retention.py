"""Old traffic is removed and told of; compaction that is killed half way loses nothing."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
import recorded
from batching import Version
from recorded import record, truth

from jupyter_mlops import serving
from jupyter_mlops.agent.loop import _keep_house
from jupyter_mlops.serving import compaction, retention, traffic
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.places import traffic_folder
from jupyter_mlops.serving.trafficlog import STAMP
from jupyter_mlops.workspace import Workspace

DAY = timedelta(days=1)


@pytest.fixture
def ws(tmp_path: Path, model: Path) -> Workspace:
    """A workspace with an endpoint declared, and nobody to run it."""
    ws = Workspace.open(tmp_path, agent_start=False)
    serving.declare(ws, Version.of(model), key="flight")
    return ws


def aged(ws: Workspace, model: Path, days: int, keys: list[str], *, shadow: bool = False) -> set:
    """Log rows in a segment that was opened some days ago; return their ids."""
    folder = traffic_folder(ws, "delay/shadow" if shadow else "delay") / "hot"
    before = set(folder.glob("*")) if folder.exists() else set()
    ids = record(ws, model, keys, shadow=shadow)
    (fresh,) = set(folder.glob("*")) - before
    opened = datetime.now(UTC) - days * DAY
    fresh.rename(folder / f"{opened.strftime(STAMP)}-{days}.frames")
    return set(ids)


def logged(ws: Workspace) -> set[str]:
    return set(traffic.read(ws, "delay").collect()["prediction_id"])


def known(ws: Workspace) -> set[str]:
    return set(serving.feedback.read(ws, "delay").collect()["prediction_id"])


def test_a_shadows_traffic_is_compacted_beside_the_endpoints(ws: Workspace, model: Path) -> None:
    mine = record(ws, model, ["a", "b"])
    record(ws, model, ["a", "b", "c"], shadow=True)
    assert compaction.compact_all(ws) == 2
    assert not list(ws.home.glob("traffic/**/*.frames"))
    (cold,) = ws.traffic.list("delay/shadow/log")
    with ws.traffic.open(cold) as stream:
        assert pl.read_parquet(stream)["key"].to_list() == ["a", "b", "c"]
    # What a shadow said was never answered.
    assert logged(ws) == set(mine)


def test_what_is_too_old_goes_with_its_truth_and_it_is_told(ws: Workspace, model: Path) -> None:
    old = aged(ws, model, 100, ["a", "b"]) | aged(ws, model, 95, ["c"])
    compaction.compact_all(ws)
    hot = aged(ws, model, 91, ["d"])
    kept = aged(ws, model, 89, ["e"]) | set(record(ws, model, ["f"]))
    aged(ws, model, 99, ["a"], shadow=True)
    by_key = pd.DataFrame({"flight": ["a", "e", "soon"], "late": [True, False, True]})
    truth(ws, by_key)
    ids = [*sorted(old), *sorted(hot), *sorted(kept)]
    truth(ws, pd.DataFrame({"prediction_id": ids, "late": True}))
    gone = pd.DataFrame({"prediction_id": sorted(old), "late": False})
    truth(ws, gone)
    assert known(ws) == set(ids)

    # Nothing is removed until somebody says so.
    assert _keep_house(ws, prune=True) == 4
    assert logged(ws) == old | hot | kept
    serving.declare(ws, Version.of(model), keep="90d")
    assert _keep_house(ws, prune=True) == 4
    assert logged(ws) == kept
    assert known(ws) == kept
    assert ws.traffic.list("delay/shadow/log") == []
    events = {e.kind: e for e in ws.events() if e.kind.endswith("pruned")}
    told = events["traffic.pruned"]
    assert told.subject == "endpoint:delay"
    assert (told.payload["files"], told.payload["rows"]) == (4, 5)
    assert told.payload["bytes"] > 1000
    assert told.payload["policy"].endswith("kept for 90 days")
    # Truth of keys that may still be asked about stays; of three batches one is gone.
    assert events["feedback.pruned"].payload == {"batches": 2, "rows": 7}
    assert len(ws.traffic.list("delay/feedback")) == 2
    waiting = record(ws, model, ["soon"])
    assert known(ws) == kept | set(waiting)
    assert truth(ws, gone).known
    assert _keep_house(ws, prune=True) == 1
    assert ws.audit().intact


def test_what_is_too_much_goes_the_oldest_first(ws: Workspace, model: Path) -> None:
    batches = [aged(ws, model, days, [f"{days}-{n}" for n in range(50)]) for days in (4, 3, 2, 1)]
    compaction.compact_all(ws)
    (size,) = {ws.traffic.sizes("delay/log")[key] // 1000 for key in ws.traffic.list("delay/log")}
    policy = LogPolicy(keep_bytes=int(2.6 * (size + 0.5) * 1000))
    pruned = retention.prune(ws, "delay", policy)
    assert pruned is not None
    assert (pruned.files, pruned.rows) == (2, 100)
    assert logged(ws) == batches[2] | batches[3]
    assert retention.prune(ws, "delay", policy) is None
    # A segment that somebody writes stays, however small the limit is.
    now = set(record(ws, model, ["now"], close=False))
    pruned = retention.prune(ws, "delay", LogPolicy(keep_bytes=1))
    assert pruned is not None
    assert pruned.files == 2
    assert logged(ws) == now
    recorded._open.pop().close()


def test_a_segment_compacted_half_way_is_removed_as_a_whole(ws: Workspace, model: Path) -> None:
    aged(ws, model, 100, ["a"])
    (hot,) = (traffic_folder(ws, "delay") / "hot").iterdir()
    content = hot.read_bytes()
    compaction.compact_all(ws)
    hot.write_bytes(content)
    pruned = retention.prune(ws, "delay", LogPolicy(keep_seconds=86_400))
    assert pruned is not None
    assert (pruned.files, pruned.rows) == (1, 1)
    assert logged(ws) == set()
    compaction.compact_all(ws)
    assert logged(ws) == set()


KILLED = """
import os, signal, sys
from pathlib import Path
from jupyter_mlops.serving import compaction
from jupyter_mlops.workspace import Workspace

where, turn = sys.argv[2], int(sys.argv[3])
real, seen = getattr(Path, where), 0

def fatal(self, *arguments, **more):
    global seen
    if "traffic" in str(self) and not self.name.startswith(".") or where == "replace":
        seen += 1
        if seen == turn:
            os.kill(os.getpid(), signal.SIGKILL)
    return real(self, *arguments, **more)

ws = Workspace.open(sys.argv[1], agent_start=False)
setattr(Path, where, fatal)
compaction.compact_all(ws)
"""


@pytest.mark.parametrize(
    ("where", "turn", "cold"),
    # Before a file has its name, and between its name and the segment's end.
    [("replace", 2, 1), ("unlink", 1, 1), ("unlink", 3, 3)],
)
def test_a_compaction_killed_half_way_loses_and_doubles_nothing(
    ws: Workspace, model: Path, where: str, turn: int, cold: int
) -> None:
    ids = [id_ for n in range(4) for id_ in record(ws, model, [f"{n}-{row}" for row in range(5)])]
    whole = traffic.read(ws, "delay").sort("prediction_id").collect()
    command = [sys.executable, "-c", KILLED, str(ws.root), where, str(turn)]
    assert subprocess.run(command).returncode == -9
    found = [key for key in ws.traffic.list("delay/log") if key.endswith(".parquet")]
    assert len(found) == cold
    assert traffic.read(ws, "delay").sort("prediction_id").collect().equals(whole)
    assert compaction.compact_all(ws) == 4 - turn + 1
    assert traffic.read(ws, "delay").sort("prediction_id").collect().equals(whole)
    assert whole["prediction_id"].to_list() == sorted(ids)
    assert len(ws.traffic.list("delay/log")) == 4
