"""What is high for a while: memory and work of GPUs, and processes that end again and again.

These are readings, not samples of chance: a limit that is exceeded for half a minute on end is
exceeded, and no false alarm of theirs counts against a budget.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jupyter_mlops.monitoring.alerts import Finding
from jupyter_mlops.monitoring.monitors import Terms

__all__ = ["RESTART_SECONDS", "Levels"]

#: A reading has to stay beyond its limit for so long, and within it as long to be good.
_HOLDS: Final = 30.0
#: What goes on being bad is said again so often.
_AGAIN: Final = 60.0
#: Restarts are counted over so long a time.
RESTART_SECONDS: Final = 900.0


@dataclass(frozen=True)
class _Level:
    """A reading with its limit."""

    kind: str
    subject: str
    value: float
    limit: float
    numbers: dict[str, Any]


@dataclass
class _Reading:
    """Since when a reading is on one side of its limit."""

    high: bool
    since: float
    said: float = -math.inf


@dataclass
class _Restarts:
    """What is known of an endpoint's processes: whose they are, how many began anew, and when."""

    process: Any
    counts: dict[str, int]
    at: deque[float] = field(default_factory=deque)
    said: float = -math.inf
    bad: bool = False


class Levels:
    """The readings of all endpoints, from look to look; kept in memory."""

    def __init__(self) -> None:
        self._readings: dict[tuple[str, str, str], _Reading] = {}
        self._restarts: dict[str, _Restarts] = {}

    def look(
        self, endpoint: str, state: Mapping[str, Any], terms: Terms, now: float
    ) -> list[Finding]:
        """Judge what an endpoint's process says of its resources.

        Parameters
        ----------
        endpoint : str
        state : mapping
            Its state file.
        terms : Terms
        now : float
            Seconds of a clock that never goes back.
        """
        readings = {(one.kind, one.subject): one for one in _read(state, terms)}
        if state.get("versions"):
            for other, kind, subject in self._readings:
                if other == endpoint and (kind, subject) not in readings:
                    # A GPU that nobody of the endpoint holds any more.
                    readings[kind, subject] = _Level(kind, subject, 0.0, 1.0, {})
        judged = [self._judge(endpoint, one, now) for one in readings.values()]
        found = [one for one in judged if one is not None]
        restarts = self._count(endpoint, state, terms, now)
        return found if restarts is None else [*found, restarts]

    def _judge(self, endpoint: str, level: _Level, now: float) -> Finding | None:
        high = level.value > level.limit
        key = (endpoint, level.kind, level.subject)
        one = self._readings.setdefault(key, _Reading(high, now))
        if one.high != high:
            one.high, one.since, one.said = high, now, -math.inf
        if now - one.since < _HOLDS or now - one.said < _AGAIN:
            return None
        one.said = now
        told = {**level.numbers, "share": round(level.value, 4), "limit": level.limit}
        what = "of the memory" if level.kind == "gpu memory" else "of the time"
        reason = (
            f"GPU {level.subject} is in use for {level.value:.0%} {what}, since "
            f"{now - one.since:.0f} s; {level.limit:.0%} is allowed."
        )
        return Finding(endpoint, level.kind, level.subject, high, reason, told)

    def _count(
        self, endpoint: str, state: Mapping[str, Any], terms: Terms, now: float
    ) -> Finding | None:
        versions = state.get("versions")
        if not versions:
            return None
        process = (state.get("pid"), state.get("created"))
        counts: dict[str, int] = {}
        for one in versions:
            counts[one["version"]] = counts.get(one["version"], 0) + one.get("restarts", 0)
        kept = self._restarts.get(endpoint)
        if kept is None:
            # What happened before anybody looked may be long over.
            self._restarts[endpoint] = _Restarts(process, counts, said=now)
            return None
        fresh = 0
        if kept.process != process:
            # The endpoint's own process began anew, and counts from nothing.
            fresh, kept.process, kept.counts = 1, process, {}
        fresh += sum(max(0, n - kept.counts.get(version, 0)) for version, n in counts.items())
        kept.counts = counts
        kept.at.extend([now] * fresh)
        while kept.at and now - kept.at[0] > RESTART_SECONDS:
            kept.at.popleft()
        bad = len(kept.at) >= terms.restarts
        if not bad and kept.at:
            return None
        if bad == kept.bad and now - kept.said < (_AGAIN if bad else RESTART_SECONDS):
            return None
        kept.bad, kept.said = bad, now
        reason = (
            f"Processes ended and began anew {len(kept.at):,} times within "
            f"{RESTART_SECONDS / 60:.0f} min; {terms.restarts - 1:,} are allowed."
        )
        numbers = {"restarts": len(kept.at), "limit": terms.restarts, "seconds": RESTART_SECONDS}
        return Finding(endpoint, "restarts", "processes", bad, reason, numbers)


def _read(state: Mapping[str, Any], terms: Terms) -> Iterator[_Level]:
    for one in state.get("gpus", ()):
        numbers = {"gpu": one["name"], "used": one["used"], "total": one["total"]}
        if one["total"]:
            share = one["used"] / one["total"]
            yield _Level("gpu memory", one["uuid"], share, terms.gpu_memory, numbers)
        if terms.gpu_busy is not None and one.get("utilisation") is not None:
            yield _Level("gpu busy", one["uuid"], one["utilisation"], terms.gpu_busy, numbers)
