"""What is known of a canary beside the version it may replace, and by which rule it goes."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.serving.judging import FEW, SOME, Evidence, evidence
from jupyter_mlops.views.blocks import Block, Column, Notice, Table
from jupyter_mlops.views.cells import percent_text

__all__ = ["evidence_blocks"]


def evidence_blocks(versions: list[dict[str, Any]]) -> list[Block]:
    """A sentence that says how far it can be judged, and the figures it is judged by.

    Parameters
    ----------
    versions : list of dict
        As an endpoint's state file holds them; one of them is the canary.
    """
    canary = next(one for one in versions if one["role"] == "canary")
    primary = next(one for one in versions if one["role"] == "primary")
    found = evidence(canary, primary)
    a, b = str(canary["version"]), str(primary["version"])
    names = (f"Version {a}, canary", f"Version {b}, live")
    both = (canary, primary)
    figures = [
        ("Requests", [f"{one['requests']:,}" for one in both], ""),
        ("Failed", [f"{one['errors']:,}" for one in both], ""),
        (
            "Share that failed, 99 % interval",
            [_interval(one) for one in found.shares],
            "its interval lies above the other one",
        ),
        (
            "Half are answered within",
            [_ms(one["p50_ms"]) for one in both],
            "it is 1.5 times the other and 1 ms more,",
        ),
        (
            "99 of 100 are answered within",
            [_ms(one["p99_ms"]) for one in both],
            "and this is twice the other and 5 ms more",
        ),
    ]
    rows = [
        {"what": what, "a": one, "b": other, "rule": rule} for what, (one, other), rule in figures
    ]
    columns = [
        Column(key="what", label="Since the canary began"),
        Column(key="a", label=names[0]),
        Column(key="b", label=names[1]),
        Column(key="rule", label="It is withdrawn when"),
    ]
    return [
        Notice(text=_sentence(a, found)),
        Table(title=f"Version {a} against version {b}", columns=columns, rows=rows),
    ]


def _sentence(version: str, found: Evidence) -> str:
    if found.latency_known:
        return f"Nothing shows that version {version} fails more often or is slower."
    latency = f"{SOME} requests of each version must be answered before their speed is compared"
    if found.failures_known:
        return f"Nothing shows that version {version} fails more often. {latency}."
    more = FEW - found.requests
    return (
        f"{more} more {'request' if more == 1 else 'requests'} must come before the failures of "
        f"version {version} are judged. {latency}."
    )


def _interval(ends: tuple[float, float] | None) -> str:
    if ends is None:
        return "–"
    low, high = (percent_text(max(0.0, round(end, 6))) for end in ends)
    return f"{low} to {high}"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f} ms"
