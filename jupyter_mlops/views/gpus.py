"""How GPUs and the claims on them look."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.experiments.gpus.holders import Claim, Excess, Gpus
from jupyter_mlops.views.blocks import Block, Column, Fact, Facts, Notice, Table, View
from jupyter_mlops.views.registry import look

__all__ = ["gpus_view"]


@look(Gpus)
def gpus_view(result: Gpus) -> View:
    """Each GPU with its holder, then who waits."""
    names = {one.uuid: f"GPU {one.index}" for one in result.devices}
    blocks: list[Block] = []
    if not result.devices:
        blocks.append(
            Notice(text="This machine has no NVIDIA GPU, or no driver that tells of one.")
        )
    else:
        blocks.append(_devices(result))
    if result.claims:
        blocks += [_excess(one, one.excess, names) for one in result.claims if one.excess]
        blocks.append(_claims(result, names))
    if result.quotas:
        shares = sorted(result.quotas.items())
        items = [Fact(label=team, value=f"{share:.0%}") for team, share in shares]
        blocks.append(Facts(title="Shares", items=items))
    waiting = sum(one.status == "waiting" for one in result.claims)
    return View(
        kind="gpus",
        title="GPUs",
        subtitle=f"{len(result.devices)} here, {waiting} waiting" if result.devices else "",
        line="%mlops gpu",
        blocks=blocks,
    )


def _excess(one: Claim, told: Excess, names: dict[str, str]) -> Notice:
    return Notice(
        level="bad",
        text=f"{one.holder}'s {one.purpose} holds {told.used / 1e9:.1f} GB of "
        f"{names.get(told.device, told.device)}, and {told.allowed / 1e9:.1f} GB are its own: "
        f"process {told.process} is ended at {told.until.astimezone():%H:%M:%S}.",
        fix="give memory back before that, or ask for more",
    )


def _devices(result: Gpus) -> Table:
    held: dict[str, list[str]] = {}
    for one in result.claims:
        for uuid in one.devices:
            held.setdefault(uuid, []).append(one.holder)
    return Table(
        columns=[
            Column(key="gpu", label="GPU"),
            Column(key="name", label="Name"),
            Column(key="holder", label="Held by"),
            Column(key="memory", label="Memory in use", kind="bar"),
            Column(key="busy", label="Busy", kind="percent"),
        ],
        rows=[
            {
                "gpu": f"GPU {one.index}",
                "name": one.name,
                "holder": ", ".join(held.get(one.uuid, ["nobody"])),
                "memory": {
                    "share": one.used / one.total if one.total else 0.0,
                    "text": f"{one.used / 1e9:.1f} of {one.total / 1e9:.0f} GB",
                },
                "busy": one.utilisation,
            }
            for one in result.devices
        ],
    )


def _claims(result: Gpus, names: dict[str, str]) -> Table:
    return Table(
        title="Leases",
        columns=[
            Column(key="status", label="State", kind="badge"),
            Column(key="holder", label="Who"),
            Column(key="team", label="Team"),
            Column(key="purpose", label="For"),
            Column(key="what", label="What"),
            Column(key="since", label="Since", kind="time"),
            Column(key="lease", label="Lease"),
        ],
        rows=[_row(one, names) for one in result.claims],
    )


def _row(one: Claim, names: dict[str, str]) -> dict[str, Any]:
    asked = f"{one.memory / 1e9:.1f} GB" if one.memory else f"{one.gpus} whole"
    where = ", ".join(names.get(uuid, uuid) for uuid in one.devices)
    return {
        "status": {"text": one.status, "level": "good" if one.status == "held" else "info"},
        "holder": one.holder,
        "team": one.team,
        "purpose": one.purpose,
        "what": f"{asked} of {where}" if one.memory and where else where or asked,
        "since": one.since.isoformat(),
        "lease": one.short,
    }
