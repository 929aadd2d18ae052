"""How endpoints, their answers and the truth look."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from jupyter_mlops.serving.calling import Predictions
from jupyter_mlops.serving.endpoints import Endpoint, Endpoints
from jupyter_mlops.serving.feedback import Feedback
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Code,
    Column,
    Fact,
    Facts,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.data import rows_block, size_text
from jupyter_mlops.views.registry import look

__all__ = ["endpoint_view", "endpoints_view", "feedback_view", "predictions_view"]

ROWS = 200
_LEVELS = {"ready": "good", "failed": "bad", "stopped": "info"}


@look(Endpoint)
def endpoint_view(result: Endpoint) -> View:
    """One endpoint: what it serves, how it fares, how to call it."""
    blocks: list[Block] = []
    if result.reason:
        goes_on = result.state == "ready"
        withdrawn = "was withdrawn" in result.reason
        text = (
            result.reason
            if withdrawn
            else f"{result.model}@{result.version} cannot be served: {result.reason}"
        )
        blocks.append(Notice(level="warn" if goes_on else "bad", text=text))
    blocks += _log_notices(result)
    blocks.append(Facts(items=_facts(result)))
    versions = result.live.get("versions", [])
    if len(versions) > 1 and result.state == "ready":
        blocks.append(_versions(versions))
    if result.live.get("traffic"):
        blocks.append(_traffic(result.live["traffic"]))
    if result.state == "ready":
        blocks += [
            Code(title="Python", language="python", text=_python(result)),
            Code(title="curl", language="bash", text=_curl(result)),
        ]
    if result.inputs:
        blocks.append(_inputs(result))
    blocks.append(Actions(items=_actions(result)))
    subtitle = f"{result.state} · {result.model}@{result.serves or result.version}"
    if result.url:
        subtitle += f" · {result.url}"
    return View(
        kind="endpoint",
        title=result.name,
        subtitle=subtitle,
        ref=result.ref,
        line=f"%mlops endpoints --name {result.name}",
        blocks=blocks,
    )


@look(Endpoints)
def endpoints_view(result: Endpoints) -> View:
    """All endpoints of a workspace."""
    rows = [_row(one) for one in result.items[:ROWS]]
    elsewhere = any(one.environment for one in result.items)
    table = Table(
        columns=[
            Column(key="ref", label="Endpoint", kind="ref"),
            Column(key="state", label="State", kind="badge"),
            Column(key="model", label="Model", kind="ref"),
            *([Column(key="environment", label="Environment")] if elsewhere else []),
            Column(key="rows", label="Rows", kind="number"),
            Column(key="errors", label="Errors", kind="number"),
            Column(key="p99", label="p99 ms", kind="number"),
            Column(key="traffic", label="Rows over time", kind="spark"),
            Column(key="since", label="Ready since", kind="time"),
            Column(key="log", label="Log"),
            Column(key="url", label="URL"),
            *([Column(key="grpc", label="gRPC")] if any(row["grpc"] for row in rows) else []),
        ],
        rows=rows,
        total=len(result.items),
        empty="No endpoint yet. Serve a model: %mlops serve MODEL",
    )
    ready = sum(one.state == "ready" for one in result.items)
    return View(
        kind="endpoints",
        title="Endpoints",
        subtitle=f"{ready:,} of {len(result.items):,} ready",
        line="%mlops endpoints",
        blocks=[table],
    )


@look(Predictions)
def predictions_view(result: Predictions) -> View:
    """Answers to a table."""
    count = len(result)
    rate = count / result.seconds if result.seconds else 0.0
    facts = [
        Fact(label="Rows", value=f"{count:,}"),
        Fact(label="Seconds", value=f"{result.seconds:,.1f}", hint=f"{rate:,.0f} rows a second"),
        Fact(label="Answered by", value=", ".join(f"version {v}" for v in sorted(result.versions))),
    ]
    if result.classes is not None and len(result.classes) == 2:
        label = f"Mean probability of {result.classes[1]}"
        mean = result.rows.select(pl.col("probability").mean()).item()
        facts.append(Fact(label=label, value=f"{mean:.4f}"))
    blocks: list[Block] = [Facts(items=facts)]
    blocks += [Notice(level="warn", text=warning) for warning in result.warnings]
    blocks.append(rows_block(result.rows.head(10), count))
    return View(
        kind="predictions",
        title=f"{result.endpoint}: {count:,} answers",
        subtitle=f"{rate:,.0f} rows a second",
        ref=f"endpoint:{result.endpoint}",
        line=f"%mlops endpoints --name {result.endpoint}",
        blocks=blocks,
    )


@look(Feedback)
def feedback_view(result: Feedback) -> View:
    """What became of a batch of truth."""
    share = result.total / result.predictions if result.predictions else 0.0
    facts = [
        Fact(label="Rows with a truth", value=f"{result.rows:,}"),
        Fact(label="Joined by", value=result.by),
        Fact(label="Matched", value=f"{result.matched:,}", hint="belong to a prediction"),
        Fact(
            label="Logged predictions with a truth",
            value=f"{result.total:,} of {result.predictions:,}",
            hint=f"{share:.0%}",
        ),
    ]
    blocks: list[Block] = [Facts(items=facts)]
    waiting = result.rows - result.matched - result.unlogged
    if result.known:
        blocks.append(Notice(text="These very rows had come before; nothing was added."))
    if result.unlogged:
        text = (
            f"{result.unlogged:,} rows belong to predictions that were answered and not logged, "
            f"so they can't be joined. The log holds: {result.log}."
        )
        blocks.append(Notice(level="warn", text=text))
    if waiting:
        text = f"{waiting:,} rows belong to no prediction yet; they wait for theirs."
        blocks.append(Notice(level="warn" if waiting == result.rows else "info", text=text))
    if result.empty:
        blocks.append(Notice(text=f"{result.empty:,} rows hold no truth and were left out."))
    return View(
        kind="feedback",
        title=f"{result.endpoint}: {result.rows:,} truths",
        subtitle=f"{result.total:,} of {result.predictions:,} logged predictions have one",
        ref=f"endpoint:{result.endpoint}",
        line=f"%mlops endpoints --name {result.endpoint}",
        blocks=blocks,
    )


def _log_notices(one: Endpoint) -> list[Block]:
    """What is lost, where not everything is logged that is answered."""
    told: list[Block] = []
    if one.log.mode == "off":
        told.append(
            Notice(
                level="warn",
                text="Nothing is logged: feedback can't be joined, and no drift, skew or "
                "performance is known of what is asked. `--log required` logs again.",
            )
        )
    log = one.live.get("log", {})
    if log.get("trouble") and one.log.mode == "required":
        text = f"Requests are refused: {log['trouble']}."
        told.append(Notice(level="bad", text=text))
    if log.get("unlogged"):
        since = "" if log["trouble"] else ", which is over"
        text = (
            f"{log['unlogged']:,} rows were answered and not logged: {log['last_trouble']}{since}."
        )
        told.append(Notice(level="warn", text=text))
    return told


def _row(one: Endpoint) -> dict[str, Any]:
    return {
        "ref": one.ref,
        "state": _badge(one),
        "model": f"model:{one.model}@{one.serves or one.version}",
        "environment": _environment(one.environment),
        "rows": one.live.get("rows"),
        "errors": one.live.get("errors"),
        "p99": one.live.get("p99_ms"),
        "traffic": [bucket["rows"] for bucket in one.live.get("traffic", [])],
        "since": _time(one.ready_at) if one.state == "ready" else None,
        "log": one.log.words(),
        "url": one.url if one.state == "ready" else "",
        "grpc": one.grpc_url if one.state == "ready" else "",
    }


def _versions(versions: list[dict[str, Any]]) -> Table:
    """Who answers which share, and how each fares; the last may be one that was replaced."""
    canary = sum(one["weight"] for one in versions if one["role"] == "canary")
    primaries = [one for one in versions if one["role"] == "primary"]
    rows = []
    for one in versions:
        replaced = one["role"] == "primary" and one is not primaries[0]
        shares = {"canary": one["weight"], "primary": 0.0 if replaced else 1 - canary}
        shadow = one.get("shadow") or {}
        rows.append(
            {
                "version": f"model:{one['model']}@{one['version']}",
                "environment": _environment(one["environment"]),
                "role": "replaced, kept for a while" if replaced else one["role"],
                "share": shares.get(one["role"]),
                "requests": one["requests"],
                "errors": one["errors"],
                "p50": one["p50_ms"],
                "p99": one["p99_ms"],
                "same": shadow.get("same") if shadow.get("rows") else None,
            }
        )
    elsewhere = any(one["environment"] for one in versions)
    return Table(
        title="Versions",
        columns=[
            Column(key="version", label="Version", kind="ref"),
            Column(key="role", label="Role"),
            *([Column(key="environment", label="Environment")] if elsewhere else []),
            Column(key="share", label="Answers", kind="percent"),
            Column(key="requests", label="Requests", kind="number"),
            Column(key="errors", label="Errors", kind="number"),
            Column(key="p50", label="p50 ms", kind="number"),
            Column(key="p99", label="p99 ms", kind="number"),
            Column(key="same", label="Agrees", kind="percent"),
        ],
        rows=rows,
    )


def _environment(name: str) -> str:
    return name or "the agent's"


def _badge(one: Endpoint) -> dict[str, str]:
    return {"text": one.state, "level": _LEVELS.get(one.state, "warn")}


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _facts(one: Endpoint) -> list[Fact]:
    live = one.live
    facts = [
        Fact(label="State", value=one.state),
        Fact(label="Model", value=f"{one.model}@{one.serves or one.version}", hint=one.digest),
    ]
    if one.environment:
        facts.append(Fact(label="Environment", value=one.environment))
    if one.gpus or one.gpu_memory:
        held = f"{one.gpus:,} whole" if one.gpus else f"{size_text(one.gpu_memory)} of one"
        facts.append(Fact(label="GPUs", value=held))
    if one.state == "ready":
        facts.append(Fact(label="URL", value=one.url))
        if one.grpc_url:
            hint = "Open Inference Protocol, with the same token"
            facts.append(Fact(label="gRPC", value=one.grpc_url, hint=hint))
        facts.append(
            Fact(label="Token", value=str(one.token_path), hint="a file only you can read")
        )
    for label, column in (("Key", one.key), ("Time", one.time)):
        if column:
            facts.append(Fact(label=label, value=column))
    if live:
        facts += [
            Fact(label="Rows", value=f"{live['rows']:,}", hint=f"{live['requests']:,} requests"),
            Fact(label="Errors", value=f"{live['errors']:,}"),
            Fact(
                label="Latency",
                value=f"{_ms(live['p50_ms'])} / {_ms(live['p99_ms'])}",
                hint="half of the requests / 99 of 100 were quicker",
            ),
            Fact(label="CPU", value=f"{live['cpu_percent']:.0f}%", hint="of one core, just now"),
            Fact(label="Memory", value=size_text(live["memory_bytes"])),
        ]
    facts.append(Fact(label="Log", value=one.log.words(), hint=_logged(live)))
    log = live.get("log") or {}
    answered = sum(log.get(fate, 0) for fate in ("logged", "sampled_out", "unlogged", "off"))
    if answered > log.get("logged", 0):
        facts.append(Fact(label="Logged", value=f"{log['logged']:,} of {answered:,} rows"))
    if one.restarts:
        facts.append(Fact(label="Restarts", value=f"{one.restarts:,}"))
    return facts


def _logged(live: dict[str, Any]) -> str:
    """Of how many answered rows there is a line in the log, and why there is none of others."""
    log = live.get("log")
    if not log:
        return ""
    words = {
        "logged": "logged",
        "sampled_out": "left out by the sample",
        "unlogged": "not logged for want of room",
        "off": "answered while nothing is logged",
    }
    counts = [f"{log[key]:,} rows {said}" for key, said in words.items() if log[key]]
    return ", ".join([*counts, f"{size_text(log['bytes'])} written"])


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f} ms"


def _traffic(buckets: list[dict[str, int]]) -> Table:
    """The last five minutes, one number for every five seconds, gaps filled with zero."""
    first, last = buckets[0]["at"], buckets[-1]["at"]
    by_time = {bucket["at"]: bucket for bucket in buckets}
    times = range(max(first, last - 295), last + 1, 5)
    rows = []
    for key, label in (("rows", "Rows"), ("requests", "Requests"), ("errors", "Errors")):
        values = [by_time.get(at, {}).get(key, 0) for at in times]
        rows.append({"what": label, "total": sum(values), "over": values})
    return Table(
        title="Last minutes",
        columns=[
            Column(key="what", label=""),
            Column(key="total", label="Sum", kind="number"),
            Column(key="over", label="Each 5 seconds", kind="spark"),
        ],
        rows=rows,
    )


def _inputs(one: Endpoint) -> Table:
    return Table(
        title="Columns it takes",
        columns=[
            Column(key="name", label="Column"),
            Column(key="kind", label="Type", kind="badge"),
            Column(key="required", label="Required"),
        ],
        rows=[
            {
                "name": name,
                "kind": {"text": kind, "level": "info"},
                "required": "yes" if required else "no",
            }
            for name, kind, required in one.inputs[:ROWS]
        ],
        total=len(one.inputs),
    )


_EXAMPLES: dict[str, Any] = {
    "string": '"…"',
    "boolean": "true",
    "datetime": '"2026-01-31T12:00:00Z"',
}


def _record(one: Endpoint) -> str:
    extra = [(name, "string") for name in (one.key, one.time) if name]
    known = {name for name, _, _ in one.inputs}
    columns = [(name, kind) for name, kind, _ in one.inputs]
    columns += [pair for pair in extra if pair[0] not in known]
    shown = ", ".join(f'"{name}": {_EXAMPLES.get(kind, "0")}' for name, kind in columns[:6])
    return "{" + shown + (", …" if len(columns) > 6 else "") + "}"


def _curl(one: Endpoint) -> str:
    return (
        f'curl -H "Authorization: Bearer $(cat {one.token_path})" \\\n'
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d '{{\"dataframe_records\": [{_record(one)}]}}' \\\n"
        f"  {one.url}/invocations"
    )


def _python(one: Endpoint) -> str:
    return (
        "import pathlib, requests\n"
        f'token = pathlib.Path("{one.token_path}").read_text()\n'
        f'requests.post("{one.url}/invocations",\n'
        '    headers={"Authorization": f"Bearer {token}"},\n'
        '    json={"dataframe_split": frame.to_dict(orient="split")}).json()'
    )


def _actions(one: Endpoint) -> list[Action]:
    if one.state in ("stopped", "failed"):
        args = {"model": f"{one.model}@{one.version}", "name": one.name}
        return [Action(label="Start", verb="serve", args=args)]
    question = f"Stop the endpoint {one.name}? Callers get no answers until it is served again."
    return [
        Action(label="Check drift", verb="drift", args={"endpoint": one.name}),
        Action(label="Past checks", verb="checks", args={"name": one.name}),
        Action(
            label="Stop", verb="stop", args={"endpoint": one.name}, confirm=question, danger=True
        ),
    ]
