"""How streams look: one, many, and one that runs in the cell that began it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jupyter_mlops.serving.streaming.pump import Tally
from jupyter_mlops.serving.streaming.streams import Stream, Streams
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Column,
    Fact,
    Facts,
    Notice,
    Progress,
    Table,
    View,
)
from jupyter_mlops.views.registry import look
from jupyter_mlops.workspace import Result

__all__ = ["Flowing", "flowing_view", "stream_view", "streams_view"]

ROWS = 200
_LEVELS = {"running": "good", "finished": "good", "failed": "bad", "interrupted": "warn"}
_ENDS = {
    "ended": "The source has ended.",
    "idle": "No record came for as long as was asked for.",
    "stopped": "It was told to end, and finished what was in flight.",
}


@dataclass(frozen=True)
class Flowing(Result):
    """A stream while it runs, as the cell that began it shows it.

    Attributes
    ----------
    stream : Stream
        Its rate and trouble as of now.
    tally : Tally
        What this run did.
    """

    stream: Stream
    tally: Tally

    @property
    def done(self) -> int:
        return self.tally.answered + self.tally.refused

    @property
    def total(self) -> int | None:
        lag = self.tally.lag
        return None if lag is None else self.done + lag

    @property
    def seconds(self) -> float:
        return self.tally.seconds

    @property
    def line(self) -> str:
        """How far it is, in one line."""
        words = [f"{self.stream.name}: {self.tally.answered:,} answered"]
        if self.tally.refused:
            words.append(f"{self.tally.refused:,} dead letters")
        words.append(f"{self.stream.rate or 0.0:,.0f} a second")
        if self.tally.lag is not None:
            words.append(f"{self.tally.lag:,} waiting")
        if self.tally.trouble:
            words.append(self.tally.trouble)
        return " · ".join(words)


@look(Flowing)
def flowing_view(result: Flowing) -> View:
    """A bar, what waits, and which part is away."""
    stream, tally = result.stream, result.tally
    blocks: list[Block] = []
    if tally.trouble:
        blocks.append(Notice(level="warn", text=f"Trying again: {tally.trouble}"))
    seconds = round(tally.seconds, 2)
    blocks.append(Progress(done=result.done, total=result.total, unit="records", seconds=seconds))
    blocks.append(
        Facts(
            items=[
                Fact(label="Answered", value=f"{tally.answered:,}"),
                Fact(label="Dead letters", value=f"{tally.refused:,}"),
                Fact(label="A second", value=f"{stream.rate or 0.0:,.0f}"),
                Fact(label="Waiting", value=_many(tally.lag)),
            ]
        )
    )
    return View(
        kind="stream",
        title=stream.name,
        subtitle=f"running · {stream.endpoint}",
        ref=stream.ref,
        line=f"%mlops streams --name {stream.name}",
        blocks=blocks,
    )


@look(Stream)
def stream_view(result: Stream) -> View:
    """One stream: where from and to, how far, and what went wrong."""
    blocks: list[Block] = []
    if result.why:
        blocks.append(Notice(level="good", text=_ENDS[result.why]))
    if result.error:
        level = "bad" if result.state == "failed" else "warn"
        blocks.append(Notice(level=level, text=result.error))
    if result.refused:
        text = f"{result.refused:,} records were refused; {result.dead} says why."
        blocks.append(Notice(level="warn", text=text))
    blocks.append(Facts(items=_facts(result)))
    if result.positions:
        blocks.append(_positions(result))
    blocks.append(Actions(items=_actions(result)))
    return View(
        kind="stream",
        title=result.name,
        subtitle=f"{result.state} · {result.answered:,} answered",
        ref=result.ref,
        line=f"%mlops streams --name {result.name}",
        blocks=blocks,
    )


@look(Streams)
def streams_view(result: Streams) -> View:
    """All streams of a workspace."""
    rows = [_row(one) for one in result.items[:ROWS]]
    table = Table(
        columns=[
            Column(key="ref", label="Stream", kind="ref"),
            Column(key="state", label="State", kind="badge"),
            Column(key="endpoint", label="Endpoint", kind="ref"),
            Column(key="answered", label="Answered", kind="number"),
            Column(key="refused", label="Dead letters", kind="number"),
            Column(key="lag", label="Waiting", kind="number"),
            Column(key="rate", label="A second", kind="number", digits=1),
            *([Column(key="error", label="Trouble")] if any(row["error"] for row in rows) else []),
            Column(key="source", label="From"),
            Column(key="sink", label="To"),
        ],
        rows=rows,
        total=len(result.items),
        empty="No stream yet. Begin one: %mlops stream ENDPOINT --from URI --to URI",
    )
    running = sum(one.state == "running" for one in result.items)
    return View(
        kind="streams",
        title="Streams",
        subtitle=f"{running:,} of {len(result.items):,} running",
        line="%mlops streams",
        blocks=[table],
    )


def _row(one: Stream) -> dict[str, Any]:
    return {
        "ref": one.ref,
        "state": {"text": one.state, "level": _LEVELS.get(one.state, "info")},
        "endpoint": f"endpoint:{one.endpoint}",
        "source": one.source,
        "sink": one.sink,
        "rate": None if one.rate is None else round(one.rate, 1),
        "lag": one.lag,
        "answered": one.answered,
        "refused": one.refused,
        "error": one.error,
    }


def _facts(one: Stream) -> list[Fact]:
    facts = [
        Fact(label="State", value=one.state, hint="under the agent" if one.detached else ""),
        Fact(label="Endpoint", value=one.endpoint, ref=f"endpoint:{one.endpoint}"),
        Fact(label="Answered", value=f"{one.answered:,}"),
        Fact(label="Dead letters", value=f"{one.refused:,}"),
    ]
    if one.rate is not None:
        facts.append(Fact(label="A second", value=f"{one.rate:,.0f}"))
    if one.lag is not None or one.state == "running":
        facts.append(Fact(label="Waiting", value=_many(one.lag)))
    if one.started_at is not None:
        facts.append(Fact(label="Begun", value=_time(one.started_at)))
    if one.ended_at is not None:
        facts.append(Fact(label="Ended", value=_time(one.ended_at)))
    if one.restarts:
        facts.append(Fact(label="Restarts", value=f"{one.restarts:,}"))
    facts += [
        Fact(label="From", value=one.source),
        Fact(label="To", value=one.sink, hint=one.guarantee),
        Fact(label="Dead letters go to", value=one.dead),
    ]
    return facts


def _positions(one: Stream) -> Table:
    found = sorted(one.positions.items())
    return Table(
        title="Done up to",
        columns=[
            Column(key="partition", label="Partition"),
            Column(key="position", label="Position"),
        ],
        rows=[{"partition": p, "position": mark.partition("@")[0]} for p, mark in found[:ROWS]],
        total=len(found),
    )


def _actions(one: Stream) -> list[Action]:
    if one.state in ("running", "waiting", "stopping"):
        question = f"End the stream {one.name}? It finishes what is in flight."
        return [Action(label="Stop", verb="stream stop", args={"name": one.name}, confirm=question)]
    args = {"name": one.name, "detach": True}
    return [Action(label="Go on", verb="stream resume", args=args)]


def _many(count: int | None) -> str:
    return "not known" if count is None else f"{count:,}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
