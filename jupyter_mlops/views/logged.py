"""How it is told what an endpoint writes down, and what it doesn't."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.serving.endpoints import Endpoint
from jupyter_mlops.views.blocks import Block, Fact, Notice
from jupyter_mlops.views.data import size_text

__all__ = ["log_facts", "log_notices"]


def log_notices(one: Endpoint) -> list[Block]:
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


def log_facts(one: Endpoint) -> list[Fact]:
    """The log's policy in words, and how much of what was answered is in it."""
    facts = [Fact(label="Log", value=one.log.words(), hint=_logged(one.live))]
    log = one.live.get("log") or {}
    answered = sum(log.get(fate, 0) for fate in ("logged", "sampled_out", "unlogged", "off"))
    if answered > log.get("logged", 0):
        facts.append(Fact(label="Logged", value=f"{log['logged']:,} of {answered:,} rows"))
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
