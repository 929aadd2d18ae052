"""How endpoints look: all of them, and one with its figures, its versions and ways to ask it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from jupyter_mlops.serving.endpoints import Endpoint, Endpoints
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Canary,
    Column,
    Fact,
    Facts,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.canaries import evidence_blocks
from jupyter_mlops.views.cells import percent_text
from jupyter_mlops.views.data import size_text
from jupyter_mlops.views.logged import log_facts, log_notices
from jupyter_mlops.views.registry import look
from jupyter_mlops.views.resources import gpus, taken
from jupyter_mlops.views.snippets import snippets
from jupyter_mlops.views.trafficcharts import latency_chart, requests_chart
from jupyter_mlops.views.trying import try_form
from jupyter_mlops.views.watch import watch_blocks

__all__ = ["endpoint_view", "endpoints_view"]

ROWS: Final = 200
_LEVELS = {"ready": "good", "failed": "bad", "stopped": "info"}
_AGENTS = "the agent's"
_FAILURES = {
    "400": "The rows don't fit the signature or the contract",
    "404": "Another model or version was asked for",
    "408": "The request came too slowly",
    "413": "The request was too large",
    "415": "The body was in no format that is known here",
    "422": "The model failed on the rows",
    "429": "Too many rows were waiting",
    "500": "The endpoint failed",
    "503": "No process of the model, or no room for the log",
    "504": "The model took too long",
}


@look(Endpoint)
def endpoint_view(result: Endpoint) -> View:
    """One endpoint: how it fares, what it serves, how to ask it."""
    live, ready = result.live, result.state == "ready"
    blocks: list[Block] = [*_reason(result), *log_notices(result), Facts(items=_facts(result))]
    if ready and live:
        blocks += _traffic(live)
        blocks.append(_versions(live.get("versions", [])))
        blocks += [taken(live), *gpus(live)]
    if result.breaches:
        blocks.append(_breaches(result))
    if result.watch is not None:
        blocks += watch_blocks(result.watch)
    if ready and live:
        blocks += _canary(result)
    if ready:
        blocks += [*try_form(result), snippets(result)]
    blocks.append(_reach(result))
    if result.inputs:
        blocks.append(_inputs(result))
    blocks.append(Actions(items=_actions(result)))
    return View(
        kind="endpoint",
        title=result.name,
        subtitle=f"{result.state} · {result.model}@{result.serves or result.version}",
        ref=result.ref,
        line=f"%mlops endpoints --name {result.name}",
        blocks=blocks,
    )


@look(Endpoints)
def endpoints_view(result: Endpoints) -> View:
    """All endpoints of a workspace."""
    rows = [_row(one) for one in result.items[:ROWS]]
    elsewhere = any(one.environment for one in result.items)
    logs = {row["log"] for row in rows}
    table = Table(
        columns=[
            Column(key="ref", label="Endpoint", kind="ref"),
            Column(key="state", label="State", kind="badge"),
            Column(key="model", label="Model", kind="ref"),
            *([Column(key="environment", label="Environment")] if elsewhere else []),
            *(
                [Column(key="beside", label="Beside it")]
                if any(row["beside"] for row in rows)
                else []
            ),
            Column(key="rows", label="Rows", kind="number"),
            Column(key="errors", label="Errors", kind="number"),
            Column(key="p99", label="p99 ms", kind="number", digits=1),
            Column(key="traffic", label="Last minutes", kind="spark"),
            Column(key="since", label="Ready since", kind="time"),
            # What says the same in each row takes room from what doesn't.
            # Of all alike nobody needs to be told, unless they keep less than they could.
            *([Column(key="log", label="Log")] if logs - {LogPolicy().words()} else []),
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


def _row(one: Endpoint) -> dict[str, Any]:
    beside = [
        f"canary {it.version}, {it.weight:.0%}" if it.role == "canary" else f"shadow {it.version}"
        for it in one.beside
    ]
    return {
        "ref": one.ref,
        "state": {"text": one.state, "level": _LEVELS.get(one.state, "warn")},
        "model": f"model:{one.model}@{one.serves or one.version}",
        "environment": one.environment or _AGENTS,
        "beside": ", ".join(beside),
        "rows": one.live.get("rows"),
        "errors": one.live.get("errors"),
        "p99": _tenths(one.live.get("p99_ms")),
        "traffic": [bucket["rows"] for bucket in one.live.get("traffic", [])],
        "since": _time(one.ready_at) if one.state == "ready" else None,
        "log": one.log.words(),
        "grpc": one.grpc_url if one.state == "ready" else "",
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _reason(one: Endpoint) -> list[Block]:
    if not one.reason:
        return []
    withdrawn = "was withdrawn" in one.reason
    said = f"{one.model}@{one.version} cannot be served: {one.reason}"
    text = one.reason if withdrawn else said
    return [Notice(level="warn" if one.state == "ready" else "bad", text=text)]


def _facts(one: Endpoint) -> list[Fact]:
    live = one.live
    serves = f"{one.model}@{one.serves or one.version}"
    facts = [Fact(label="Model", value=serves, hint=one.digest, ref=f"model:{serves}")]
    if live:
        share = live["errors"] / live["requests"] if live["requests"] else 0.0
        facts += [
            Fact(label="Rows", value=f"{live['rows']:,}", hint=_requests(live["requests"])),
            Fact(
                label="Errors",
                value=f"{live['errors']:,}",
                hint=f"{percent_text(share)} of requests" if live["errors"] else "",
            ),
            _latency(live),
            Fact(label="CPU", value=f"{live['cpu_percent']:.0f} %", hint="of one core, just now"),
            Fact(label="Memory", value=size_text(live["memory_bytes"])),
        ]
    if one.environment:
        facts.append(Fact(label="Environment", value=one.environment))
    if one.gpus or one.gpu_memory:
        held = f"{one.gpus:,} whole" if one.gpus else f"{size_text(one.gpu_memory)} of one"
        facts.append(Fact(label="GPUs", value=held))
    if one.gpu_bytes is not None:
        facts.append(Fact(label="GPU memory", value=size_text(one.gpu_bytes)))
    restarts = one.restarts + sum(it.get("restarts", 0) for it in live.get("versions", []))
    if live or restarts:
        facts.append(Fact(label="Restarts", value=f"{restarts:,}"))
    if one.state == "ready" and one.ready_at is not None:
        facts.append(Fact(label="Ready since", value=f"{one.ready_at:%Y-%m-%d %H:%M} UTC"))
    return facts


def _requests(many: int) -> str:
    return f"{many:,} request{'' if many == 1 else 's'}"


def _latency(live: dict[str, Any]) -> Fact:
    told = [live.get(f"{name}_ms") for name in ("p50", "p95", "p99")]
    if told[0] is None:
        return Fact(label="Latency", value="–")
    value = " / ".join("–" if one is None else f"{one:,.1f}" for one in told) + " ms"
    return Fact(label="Latency", value=value, hint="p50 / p95 / p99 of the last requests")


def _reach(one: Endpoint) -> Facts:
    """Where it is, who may come in, and what it writes down of a row beside its columns."""
    facts = []
    if one.state == "ready":
        facts.append(Fact(label="URL", value=one.url))
        if one.grpc_url:
            hint = "Open Inference Protocol, with the same token"
            facts.append(Fact(label="gRPC", value=one.grpc_url, hint=hint))
    facts.append(Fact(label="Token", value=str(one.token_path), hint="a file only you can read"))
    if one.key:
        facts.append(Fact(label="Key", value=one.key, hint="joins predictions with the truth"))
    if one.time:
        facts.append(Fact(label="Time", value=one.time, hint="when the thing predicted happens"))
    facts += log_facts(one)
    return Facts(title="Where it is", items=facts)


def _tenths(value: float | None) -> float | None:
    """Milliseconds, no finer than a network tells them."""
    return None if value is None else round(value, 1)


def _traffic(live: dict[str, Any]) -> list[Block]:
    traffic = live.get("traffic", [])
    now = live.get("at") or (traffic[-1]["at"] if traffic else 0)
    seen = [bucket for bucket in traffic if bucket["at"] > now - 305]
    if not seen:
        return [Notice(text="Nobody asked it anything in the last five minutes.")]
    charts = [requests_chart(seen, now), latency_chart(seen, now)]
    blocks: list[Block] = [chart for chart in charts if chart is not None]
    failures = live.get("failures") or {}
    if failures:
        blocks.append(_failures(failures, live["requests"]))
    return blocks


def _failures(failures: dict[str, int], requests: int) -> Table:
    rows = [
        {
            "kind": _FAILURES.get(status, f"HTTP status {status}"),
            "status": status,
            "requests": count,
            "share": count / requests if requests else None,
        }
        for status, count in sorted(failures.items(), key=lambda pair: -pair[1])
    ]
    return Table(
        title="Errors",
        columns=[
            Column(key="kind", label="What went wrong"),
            Column(key="status", label="HTTP status"),
            Column(key="requests", label="Requests", kind="number"),
            Column(key="share", label="Of all requests", kind="percent"),
        ],
        rows=rows,
    )


def _versions(versions: list[dict[str, Any]]) -> Table:
    """Who answers which share, and how each fares; the last may be one that was replaced."""
    canary = sum(one["weight"] for one in versions if one["role"] == "canary")
    primaries = [one for one in versions if one["role"] == "primary"]
    names = {"primary": "live", "canary": "canary", "shadow": "shadow, unheard"}
    rows = []
    for one in versions:
        replaced = one["role"] == "primary" and one is not primaries[0]
        shares = {"canary": one["weight"], "primary": 0.0 if replaced else 1 - canary}
        shadow = one.get("shadow") or {}
        rows.append(
            {
                "version": f"model:{one['model']}@{one['version']}",
                "environment": one.get("environment") or _AGENTS,
                "role": "replaced, kept for a while" if replaced else names[one["role"]],
                "share": shares.get(one["role"]),
                "requests": one["requests"],
                "errors": one["errors"],
                **{name: _tenths(one.get(f"{name}_ms")) for name in ("p50", "p95", "p99")},
                "processes": len(one["processes"]),
                "same": shadow.get("same") if shadow.get("rows") else None,
            }
        )
    elsewhere = any(one.get("environment") for one in versions)
    columns = [
        Column(key="version", label="Version", kind="ref"),
        Column(key="role", label="Role"),
        *([Column(key="environment", label="Environment")] if elsewhere else []),
        Column(key="share", label="Answers", kind="bar"),
        Column(key="requests", label="Requests", kind="number"),
        Column(key="errors", label="Failed", kind="number"),
        Column(key="p50", label="p50 ms", kind="number", digits=1),
        Column(key="p95", label="p95 ms", kind="number", digits=1),
        Column(key="p99", label="p99 ms", kind="number", digits=1),
    ]
    if any(len(one["processes"]) > 1 for one in versions):
        columns.append(Column(key="processes", label="Processes", kind="number"))
    if any(one["role"] == "shadow" for one in versions):
        columns.append(Column(key="same", label="Same answer", kind="percent"))
    return Table(title="Versions", columns=columns, rows=rows)


def _canary(one: Endpoint) -> list[Block]:
    running = next((it for it in one.live.get("versions", []) if it["role"] == "canary"), None)
    primary = one.serves or one.version
    mover = Canary(
        title="Canary",
        endpoint=one.name,
        model=one.model,
        primary=primary,
        version=str(running["version"]) if running else "",
        share=running["weight"] if running else 0.0,
    )
    return [mover, *(evidence_blocks(one.live["versions"]) if running else [])]


def _inputs(one: Endpoint) -> Table:
    return Table(
        title="Columns it takes",
        columns=[
            Column(key="name", label="Column"),
            Column(key="kind", label="Type"),
            Column(key="required", label="Required"),
        ],
        rows=[
            {"name": name, "kind": kind, "required": "yes" if required else "no"}
            for name, kind, required in one.inputs[:ROWS]
        ],
        total=len(one.inputs),
    )


def _breaches(one: Endpoint) -> Table:
    return Table(
        title="Rows that broke the contract",
        columns=[
            Column(key="column", label="Column"),
            Column(key="rule", label="Rule"),
            Column(key="version", label="Of", kind="ref"),
            Column(key="rows", label="Rows", kind="number"),
            Column(key="first", label="First", kind="time"),
            Column(key="last", label="Last", kind="time"),
        ],
        rows=[
            {
                "column": it.column,
                "rule": it.rule,
                "version": f"model:{one.model}@{it.version}",
                "rows": it.rows,
                "first": _time(datetime.fromtimestamp(it.first, UTC)),
                "last": _time(datetime.fromtimestamp(it.last, UTC)),
            }
            for it in one.breaches[:ROWS]
        ],
        total=len(one.breaches),
    )


def _outliers(one: Endpoint) -> list[Action]:
    if not any(it.get("scored") for it in one.live.get("versions", [])):
        return []
    return [Action(label="Outliers", verb="outliers", args={"endpoint": one.name})]


def _actions(one: Endpoint) -> list[Action]:
    log = Action(label="Log", verb="endpoint logs", args={"endpoint": one.name})
    if one.state in ("stopped", "failed"):
        args = {"model": f"{one.model}@{one.version}", "name": one.name}
        line = f"%mlops serve {args['model']} --name {one.name}"
        return [log, Action(label="Start", verb="serve", args=args, line=line)]
    question = f"Stop the endpoint {one.name}? Callers get no answers until it is served again."
    stop = {"endpoint": one.name}
    named = {"endpoint": one.name}
    unwatched = one.watch is not None and one.watch.monitor is None
    return [
        Action(label="Check drift", verb="drift", args=named),
        Action(label="Drift map", verb="drift map", args=named),
        Action(label="Performance", verb="performance", args=named),
        Action(label="Health", verb="endpoint health", args=named),
        *([Action(label="Monitor", verb="monitor", args=named)] if unwatched else []),
        Action(label="Check skew", verb="skew", args={"endpoint": one.name}),
        *_outliers(one),
        log,
        Action(label="Stop", verb="stop", args=stop, confirm=question, danger=True),
    ]
