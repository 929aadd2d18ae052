"""How endpoints look in text, HTML and the panels' JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyter_mlops.serving import Endpoint, Endpoints
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.views.registry import mimebundle

NOW = datetime(2026, 1, 31, tzinfo=UTC)
LIVE: dict[str, Any] = {
    "requests": 100,
    "rows": 5000,
    "errors": 2,
    "failures": {"400": 2},
    "p50_ms": 1.2,
    "p95_ms": 5.5,
    "p99_ms": 9.9,
    "cpu_percent": 12.0,
    "memory_bytes": 240_000_000,
    "version": "3",
    "at": 300,
    "traffic": [
        {"at": 5 * n, "requests": n, "rows": n, "errors": 0, "p50": 1.2, "p95": 5.5, "p99": 9.9}
        for n in range(60)
    ],
    "versions": [
        {
            "version": "3",
            "model": "delay",
            "role": "primary",
            "weight": 0.0,
            "processes": [2],
            "restarts": 1,
            "requests": 360,
            "errors": 0,
            "timed": 360,
            "p50_ms": 1.2,
            "p95_ms": 5.5,
            "p99_ms": 9.9,
        },
    ],
}
CANARY: dict[str, Any] = {
    **LIVE["versions"][0],
    "version": "4",
    "role": "canary",
    "weight": 0.1,
    "requests": 40,
    "timed": 40,
}
READY = Endpoint(
    name="delay",
    state="ready",
    model="delay",
    version="3",
    run_id="r",
    digest="d" * 64,
    serves="3",
    url="http://127.0.0.1:4321",
    token_path=Path("/w/.mlops/secrets/endpoint-delay"),
    key="flight_id",
    time="time_hour",
    reason="",
    pid=1,
    restarts=0,
    actor="ann",
    declared_at=NOW,
    ready_at=NOW,
    live=LIVE,
    inputs=(("hour", "long", True), ("<script>alert(1)</script>", "string", False)),
)
ENDPOINT = "application/vnd.jupyter-mlops.endpoint.v1+json"


def test_what_is_not_logged_is_shown_with_the_reason() -> None:
    full = "the traffic log cannot be written: No space left on device"
    counts = {"logged": 900, "sampled_out": 0, "unlogged": 100, "off": 0, "bytes": 5_300_000}
    log = {**counts, "trouble": full, "last_trouble": full}
    best = LogPolicy(mode="best-effort", dropped=("name",))
    shown = mimebundle(replace(READY, log=best, live={**LIVE, "log": log}))
    assert f"100 rows were answered and not logged: {full}." in shown["text/plain"]
    assert "what finds none is answered all the same; without name" in shown["text/plain"]
    assert "900 rows logged, 100 rows not logged for want of room, 5.3 MB" in str(shown[ENDPOINT])
    assert "Logged: 900 of 1,000 rows" in shown["text/plain"]
    over = mimebundle(replace(READY, log=best, live={**LIVE, "log": {**log, "trouble": ""}}))
    assert f"{full}, which is over." in str(over[ENDPOINT])
    refused = mimebundle(replace(READY, live={**LIVE, "log": {**log, "unlogged": 0}}))
    assert f"Requests are refused: {full}." in refused["text/plain"]
    plain = mimebundle(READY)["text/plain"]
    assert "Log: every row, each before it is answered" in plain
    assert "refused" not in plain


def test_an_endpoint_shows_its_figures_and_how_to_call_it() -> None:
    shown = mimebundle(READY)
    text = shown["text/plain"]
    assert len(text.splitlines()) <= 15
    assert "Rows: 5,000 · Errors: 2 · Latency: 1.2 / 5.5 / 9.9 ms" in text
    assert "Restarts: 1" in text
    assert "curl -H" in text
    assert "JavaScript" in shown["text/html"]
    assert "<script>" not in shown["text/html"]
    blocks = {block["type"]: block for block in shown[ENDPOINT]["blocks"]}
    stop = blocks["actions"]["items"][-1]
    assert (stop["verb"], stop["args"], stop["danger"]) == ("stop", {"endpoint": "delay"}, True)
    assert stop["confirm"]
    # Two pictures of charts are in it.
    assert len(json.dumps(shown)) < 60_000


def test_one_that_failed_says_why_and_offers_a_start() -> None:
    reason = "port 80 cannot be used: another program uses it"
    failed = replace(READY, state="failed", serves="", live={}, reason=reason)
    shown = mimebundle(failed)
    assert reason in shown["text/plain"]
    log, start = shown[ENDPOINT]["blocks"][-1]["items"]
    assert (log["verb"], log["args"]) == ("endpoint logs", {"endpoint": "delay"})
    assert (start["verb"], start["args"]) == ("serve", {"model": "delay@3", "name": "delay"})


def test_a_swap_that_failed_says_what_goes_on() -> None:
    swapped = replace(READY, version="4", reason="its digest has changed")
    text = mimebundle(swapped)["text/plain"]
    assert "delay@4 cannot be served: its digest has changed" in text
    assert "Model: delay@3" in text


def test_a_list_and_an_empty_one() -> None:
    shown = mimebundle(Endpoints((READY, replace(READY, name="other", state="stopped"))))
    table = shown["application/vnd.jupyter-mlops.endpoints.v1+json"]["blocks"][0]
    assert [row["state"]["text"] for row in table["rows"]] == ["ready", "stopped"]
    assert table["rows"][0]["traffic"] == list(range(60))
    assert "%mlops serve MODEL" in mimebundle(Endpoints(()))["text/plain"]


def test_a_port_for_grpc_is_shown_where_there_is_one() -> None:
    with_grpc = replace(READY, grpc_url="127.0.0.1:4322")
    assert "127.0.0.1:4322" in mimebundle(with_grpc)["text/plain"]
    assert "127.0.0.1:4322" in mimebundle(Endpoints((READY, with_grpc)))["text/html"]
    assert "gRPC" not in mimebundle(READY)["text/html"]
    assert "gRPC" not in mimebundle(Endpoints((READY,)))["text/html"]


def test_traffic_is_drawn_over_five_minutes_with_gaps_where_nobody_asked() -> None:
    quiet = {**LIVE, "traffic": LIVE["traffic"][:10] + LIVE["traffic"][-10:]}
    blocks = mimebundle(replace(READY, live=quiet))[ENDPOINT]["blocks"]
    requests, latency = (one for one in blocks if one["type"] == "chart")
    assert requests["title"] == "Requests a second"
    lines = [line.split(",") for line in latency["spec"]["data"]["values"].splitlines()[1:]]
    # From five minutes ago to the last bucket; where nobody asked, a new line begins.
    assert (len(lines), lines[0][0], lines[-1][0]) == (20 * 3, "-5", "-0.0833")
    assert len({run for _, _, kind, run in lines if kind == "p50"}) == 2


def test_nobody_asked_and_old_traffic_are_told_in_words() -> None:
    for live in ({**LIVE, "traffic": []}, {**LIVE, "at": 4000}):
        shown = mimebundle(replace(READY, live=live))
        assert "Nobody asked it anything in the last five minutes." in shown["text/plain"]
        assert not [one for one in shown[ENDPOINT]["blocks"] if one["type"] == "chart"]


def test_errors_are_counted_by_kind() -> None:
    blocks = mimebundle(READY)[ENDPOINT]["blocks"]
    (errors,) = (one for one in blocks if one.get("title") == "Errors")
    assert errors["rows"] == [
        {"kind": "The rows don't fit the signature or the contract", "status": "400",
         "requests": 2, "share": 0.02}
    ]  # fmt: skip


def test_a_canary_comes_with_its_share_and_what_is_known_of_it() -> None:
    live = {**LIVE, "versions": [*LIVE["versions"], CANARY]}
    blocks = mimebundle(replace(READY, live=live))[ENDPOINT]["blocks"]
    (mover,) = (one for one in blocks if one["type"] == "canary")
    assert (mover["version"], mover["share"], mover["primary"]) == ("4", 0.1, "3")
    (evidence,) = (one for one in blocks if one.get("title") == "Version 4 against version 3")
    failed = evidence["rows"][2]
    # Wilson's 99 % interval of 0 of 40 ends at z² / (n + z²) = 6.635 / 46.635.
    assert (failed["a"], failed["b"]) == ("0 % to 14.2 %", "0 % to 1.8 %")
    texts = [one["text"] for one in blocks if one["type"] == "notice"]
    assert "Nothing shows that version 4 fails more often." in " ".join(texts)
    few = {**CANARY, "requests": 10, "timed": 10}
    blocks = mimebundle(replace(READY, live={**live, "versions": [*LIVE["versions"], few]}))
    assert "20 more requests must come before the failures of version 4" in blocks["text/plain"]


def test_the_form_has_a_field_for_each_column_and_role() -> None:
    full = replace(
        READY,
        inputs=(("hour", "long", True), ("carrier", "string", True), ("wet", "boolean", False)),
        example={"hour": 17, "carrier": "AA", "wet": None},
        choices={"carrier": ("AA", "UA")},
    )
    (form,) = (one for one in mimebundle(full)[ENDPOINT]["blocks"] if one.get("into") == "row")
    fields = {one["name"]: one for one in form["fields"]}
    assert list(fields) == ["hour", "carrier", "wet", "flight_id", "time_hour"]
    assert (fields["hour"]["kind"], fields["hour"]["value"]) == ("number", "17")
    assert fields["carrier"]["choices"] == ["AA", "UA"]
    assert (fields["wet"]["choices"], fields["wet"]["value"]) == (["true", "false"], "")
    assert [name for name, one in fields.items() if not one["required"]] == ["wet"]
