"""Which version answers: the primary, a canary for a share of requests, a shadow beside them.

A new version takes over when its model has loaded and answered its input example; the one before
finishes what it has begun. A canary, and for a while a new primary, is withdrawn by itself when
it fails more often, or is slower, than the version it is compared with, or when rows break a rule
of its contract that the other's hasn't.
"""

from __future__ import annotations

import asyncio
import sys
import time
import zlib
from dataclasses import dataclass
from typing import Any, Final

from jupyter_mlops.serving.batching import Outcome
from jupyter_mlops.serving.config import Deployment, EndpointConfig
from jupyter_mlops.serving.deployed import (
    Deployed,
    Tally,
    check_answers,
    deploy,
    pseudonyms_of,
    sticky,
)
from jupyter_mlops.serving.intake import Rows
from jupyter_mlops.serving.judging import breach, complaint
from jupyter_mlops.serving.metrics import Metrics

__all__ = ["Switchboard"]

#: Seconds that a version has to finish what it has begun.
_DRAIN: Final = 30.0
#: Seconds for which the version before a new primary stays warm.
_PROBATION: Final = 120.0
#: What the agent records of the version that an endpoint went back to.
_PLACE: Final = ("model", "version", "digest", "path", "environment", "interpreter")


@dataclass(frozen=True)
class _Before:
    """The version that a new primary replaced."""

    version: Deployed
    tally: Tally
    until: float


class Switchboard:
    """The versions of one endpoint.

    Parameters
    ----------
    config : EndpointConfig
    metrics : Metrics

    Raises
    ------
    MLOpsError
        A version cannot be served; the sentence says why.
    """

    def __init__(self, config: EndpointConfig, metrics: Metrics) -> None:
        self.config = config
        self.metrics = metrics
        self.withdrawn: dict[str, Any] | None = None
        self.primary = deploy(config, config.primary, metrics)
        self.canary: Deployed | None = None
        self.shadow: Deployed | None = None
        self._before: _Before | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._retiring: set[Deployed] = set()
        try:
            for one in config.beside:
                self._put(deploy(config, one, metrics, like=self.primary))
        except BaseException:
            self.close()
            raise

    @property
    def running(self) -> list[Deployed]:
        """All versions that have processes."""
        before = self._before.version if self._before else None
        return [one for one in (self.primary, self.canary, self.shadow, before) if one]

    def begin(self) -> None:
        """Take up work, in the event loop."""
        for one in self.running:
            one.batcher.begin()

    def choose(self, rows: Rows, request_id: str) -> Deployed:
        """Return the version that answers a request; the same for the same key."""
        canary = self.canary
        if canary is None or not canary.batcher.ready:
            return self.primary
        place = zlib.crc32(sticky(rows, request_id).encode()) / 2**32
        return canary if place < canary.config.weight else self.primary

    def shade(self, request_id: str, rows: Rows, outcome: Outcome) -> None:
        """Have the shadow predict what was answered, after it was answered."""
        if self.shadow is not None:
            self._beside(self.shadow.compare(request_id, rows, outcome.answer))

    async def apply(self, config: EndpointConfig) -> None:
        """Serve what is declared anew; what fails changes nothing.

        Raises
        ------
        MLOpsError
            A version cannot be served; the sentence says why.
        """
        pseudonyms = pseudonyms_of(config)
        settled = _settings(config) == _settings(self.config)
        known = {one.config.same: one for one in self.running} if settled else {}
        started: list[Deployed] = []

        async def get(wanted: Deployment, like: Deployed | None) -> Deployed:
            if wanted.same in known:
                return known[wanted.same]
            fresh = await asyncio.to_thread(deploy, config, wanted, self.metrics, like)
            started.append(fresh)
            if wanted.digest != self.primary.config.digest:
                check_answers(fresh)
            return fresh

        try:
            primary = await get(config.primary, None)
            beside = [(one, await get(one, primary)) for one in config.beside]
        except BaseException:
            for one in started:
                one.batcher.close()
            raise
        # Those that are on their way out finish what they were asked before.
        for one in (*self.running, *self._retiring):
            await one.batcher.follow(config.log, pseudonyms)
        old, last = self.running, self.primary
        self.config, self.withdrawn = config, None
        primary.config = config.primary
        self.primary, self.canary, self.shadow = primary, None, None
        for wanted, one in beside:
            one.config = wanted
            self._put(one)
        if primary is not last:
            primary.tally = Tally()
            # Two versions don't share for long a part of a GPU that is meant for one.
            seconds = 0.0 if config.gpus and config.gpus.memory else _PROBATION
            self._before = _Before(last, last.tally, time.monotonic() + seconds)
        self.metrics.name(config.about)
        self.begin()
        for one in old:
            if one not in self.running:
                self._retire(one)

    def watch(self) -> None:
        """Withdraw a version that does worse; called about once a second."""
        for one in self.running:
            one.log.rest()
        if self.canary is not None:
            reason = _worse(self.canary, self.primary, self.primary.tally)
            if reason:
                canary, self.canary = self.canary, None
                self._withdraw(canary, self.primary, reason)
        if self._before is None:
            return
        before, kept = self._before, self._before.version
        reason = _worse(self.primary, kept, before.tally)
        if reason and kept.ready:
            failed, self.primary, self._before = self.primary, kept, None
            self.metrics.name(kept.about)
            self._withdraw(failed, kept, reason)
        elif time.monotonic() > before.until:
            self._before = None
            self._retire(kept)

    def _withdraw(self, one: Deployed, kept: Deployed, reason: str) -> None:
        told = f"version {one.config.version} is withdrawn: {reason}"
        print(told, file=sys.stderr, flush=True)
        self.withdrawn = {
            "generation": self.config.generation,
            "role": one.config.role,
            "version": one.config.version,
            "reason": reason,
            "primary": {name: getattr(kept.config, name) for name in _PLACE},
        }
        self._retire(one)

    def _put(self, one: Deployed) -> None:
        if one.config.role == "canary":
            self.canary = one
            # They are compared from now on.
            one.tally, self.primary.tally = Tally(), Tally()
        else:
            self.shadow = one

    def _retire(self, one: Deployed) -> None:
        async def finish() -> None:
            # One batch may take longer than that, and is answered all the same.
            await one.retire(_DRAIN + one.batcher.seconds)
            self._retiring.discard(one)

        self._retiring.add(one)
        self._beside(finish())

    def _beside(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, seconds: float) -> None:
        """Finish what is under way in all versions."""
        await asyncio.gather(*(one.batcher.drain(seconds) for one in self.running))

    def close(self) -> None:
        """End all processes."""
        for one in self.running:
            one.batcher.close()

    def told(self) -> dict[str, Any]:
        """As the state file holds it."""
        return {
            "generation": self.config.generation,
            "versions": [one.told() for one in self.running],
            "withdrawn": self.withdrawn,
        }


def _worse(one: Deployed, other: Deployed, tally: Tally) -> str:
    """Why a version does worse than another, whose requests `tally` counts; empty when not."""
    if one.batcher.failed:
        return "its process ends again and again"
    found = complaint(one.tally, tally)
    # Another mode or another setting of the same model is what somebody wanted.
    if not found and one.config.digest != other.config.digest:
        found = breach(one.expectations, other.expectations)
    return found


def _settings(config: EndpointConfig) -> tuple[object, ...]:
    """What all versions have of the endpoint; another one needs other processes."""
    return (config.key, config.time, config.max_rows, config.replicas, config.max_memory,
            config.predict_seconds, config.max_waiting, config.gpus)  # fmt: skip
