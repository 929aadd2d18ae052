"""GPUs that are full or always busy, and processes that end again and again."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_mlops.monitoring.levels import RESTART_SECONDS, Levels
from jupyter_mlops.monitoring.live import counted
from jupyter_mlops.monitoring.monitors import Terms


def gpu(used: float, busy: float | None = 0.1) -> dict[str, Any]:
    total = 80_000
    told = {"uuid": "GPU-1", "name": "H100", "total": total, "used": used * total}
    return told | {"utilisation": busy, "versions": {"1": 1}}


def state(restarts: int = 0, pid: int = 7, gpus: Any = (), **more: Any) -> dict[str, Any]:
    version = {"version": "1", "role": "primary", "requests": 0, "errors": 0}
    version |= {"restarts": restarts, **more}
    return {"pid": pid, "created": pid, "versions": [version], "gpus": list(gpus)}


def verdicts(levels: Levels, terms: Terms, looks: Any) -> list[tuple[float, str, bool | None]]:
    return [
        (now, one.kind, one.bad)
        for now, told in looks
        for one in levels.look("delay", told, terms, now)
    ]


def test_a_gpu_that_stays_full_is_an_alert_and_one_that_is_full_for_a_moment_is_none():
    terms = Terms()
    moment = [(10.0 * n, state(gpus=[gpu(0.99 if n == 3 else 0.5)])) for n in range(3, 6)]
    assert verdicts(Levels(), terms, moment) == []
    full = [(10.0 * n, state(gpus=[gpu(0.97)])) for n in range(8)]
    levels = Levels()
    assert verdicts(levels, terms, full) == [(30.0, "gpu memory", True)]
    found = levels.look("delay", state(gpus=[gpu(0.97)]), terms, 120.0)[0]
    assert found.subject == "GPU-1"
    assert "97% of the memory" in found.reason
    assert (found.numbers["share"], found.numbers["limit"]) == (0.97, 0.95)
    # Let go of: nobody of the endpoint holds it any more.
    free = [(130.0 + 10 * n, state()) for n in range(8)]
    assert verdicts(levels, terms, free) == [(160.0, "gpu memory", False)]


def test_work_of_a_gpu_is_looked_at_when_that_is_asked_for():
    looks = [(30.0 * n, state(gpus=[gpu(0.1, 0.99)])) for n in range(4)]
    assert {kind for _, kind, _ in verdicts(Levels(), Terms(), looks)} == {"gpu memory"}
    found = verdicts(Levels(), Terms(gpu_busy=0.9), looks)
    assert (30.0, "gpu busy", True) in found
    assert (30.0, "gpu memory", False) in found
    unknown = [(30.0 * n, state(gpus=[gpu(0.1, None)])) for n in range(4)]
    kinds = {kind for _, kind, _ in verdicts(Levels(), Terms(gpu_busy=0.9), unknown)}
    assert kinds == {"gpu memory"}


def test_processes_that_end_again_and_again_are_an_alert_until_a_quarter_of_an_hour_is_quiet():
    levels, terms = Levels(), Terms(restarts=3)
    # What had happened before the first look is nobody's alert.
    looks = [(0.0, state(9)), (10.0, state(10)), (20.0, state(11)), (30.0, state(12))]
    assert verdicts(levels, terms, looks) == [(30.0, "restarts", True)]
    (found,) = levels.look("delay", state(12), terms, 100.0)
    assert "began anew 3 times within 15 min; 2 are allowed" in found.reason
    quiet = 40.0 + RESTART_SECONDS
    assert verdicts(levels, terms, [(quiet, state(12))]) == [(quiet, "restarts", False)]


def test_the_endpoints_own_process_counts_and_begins_from_nothing():
    levels, terms = Levels(), Terms(restarts=2)
    looks = [(0.0, state(5, pid=7)), (10.0, state(0, pid=8)), (20.0, state(1, pid=8))]
    assert verdicts(levels, terms, looks) == [(20.0, "restarts", True)]


@pytest.mark.parametrize(("outliers", "scored"), [(0, 0), (3, 1000)])
def test_strange_rows_are_counted_where_they_are_known(outliers, scored):
    found = counted(state(scored=scored, outliers=outliers), Terms())
    if scored:
        counts = found["outliers", "rows"]
        assert (counts.total, counts.bad, counts.limit) == (1000, 3, 0.01)
    else:
        assert ("outliers", "rows") not in found
