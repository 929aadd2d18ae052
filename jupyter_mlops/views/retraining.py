"""How policies and decisions look."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.models.gates.verdicts import Line
from jupyter_mlops.retraining.decisions import Decision, Decisions
from jupyter_mlops.retraining.policies import Policies, Policy
from jupyter_mlops.retraining.terms import EXPANDING
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Column,
    Fact,
    Facts,
    Level,
    Notice,
    Progress,
    Table,
    View,
)
from jupyter_mlops.views.gates import table_of
from jupyter_mlops.views.policyform import backtest_form, policy_form
from jupyter_mlops.views.registry import look

__all__ = ["decision_view", "decisions_view", "policies_view", "policy_view"]

ROWS = 200
_LEVELS: dict[str, Level] = {
    "promoted": "good",
    "waiting": "warn",
    "held": "info",
    "unneeded": "info",
    "would train": "info",
    "failed": "bad",
    "stopped": "warn",
    "rolled back": "bad",
}
_VERDICTS: dict[str, Level] = {"yes": "good", "no": "info", "unknown": "warn"}


@look(Policies)
def policies_view(result: Policies) -> View:
    """All policies, and when each looks next."""
    table = Table(
        columns=[
            Column(key="ref", label="Policy", kind="ref"),
            Column(key="model", label="Model", kind="ref"),
            Column(key="state", label="State", kind="badge"),
            Column(key="when", label="Trains when"),
            Column(key="every", label="Looks every"),
            Column(key="due", label="Next look", kind="time"),
            Column(key="approve", label="Approved by"),
        ],
        rows=[_policy_row(one) for one in result.items[:ROWS]],
        total=len(result),
        empty="No policies yet: %mlops retrain MODEL --notebook train.ipynb sets one.",
    )
    return View(
        kind="policies",
        title="Re-training policies",
        subtitle=f"{len(result)} {'policy' if len(result) == 1 else 'policies'}",
        line="%mlops policies",
        blocks=[table],
    )


@look(Policy)
def policy_view(result: Policy) -> View:
    """The terms of a policy as a person reads them."""
    terms = result.terms
    rows = "the first training data and all rows with truth"
    if terms.window != EXPANDING:
        rows = f"rows with truth of the newest {terms.window}"
    gate = terms.gate or "a loss below the champion's, the whole 95 % interval, days as blocks"
    blocks: list[Block] = []
    if result.paused:
        fix = f"%mlops retrain resume {result.name}"
        blocks.append(Notice(level="warn", text="It is stopped: nothing is trained.", fix=fix))
    facts = [
        Fact(label="Model", value=result.model, ref=f"model:{result.model}"),
        Fact(label="Endpoint", value=terms.endpoint, ref=f"endpoint:{terms.endpoint}"),
        Fact(label="Notebook", value=terms.notebook),
        Fact(label="Trains when", value=terms.when or "each time it looks"),
        Fact(label="Looks every", value=terms.every),
        Fact(label="Next look", value=f"{result.due_at:%Y-%m-%d %H:%M} UTC"),
        Fact(label="Trains on", value=rows),
        Fact(label="Judges on", value=f"the newest {terms.hold} of the rows with truth"),
        Fact(label="Must show", value=gate),
        Fact(label="Approved by", value=_approved(terms.approve)),
        Fact(label="At most", value=_budget(result)),
        Fact(label="Set by", value=f"{result.actor}, {result.set_at:%Y-%m-%d %H:%M} UTC"),
    ]
    if terms.parameters:
        told = ", ".join(f"{key}={value}" for key, value in terms.parameters.items())
        facts.insert(3, Fact(label="Parameters", value=told))
    if terms.env:
        facts.insert(3, Fact(label="Environment", value=terms.env))
    blocks.append(Facts(items=facts))
    blocks += [policy_form(result), backtest_form(result)]
    blocks.append(Actions(items=_policy_actions(result)))
    return View(
        kind="policy",
        title=f"Policy {result.name}",
        subtitle=f"{'stopped' if result.paused else 'on'} · set {result.generation} "
        f"{'time' if result.generation == 1 else 'times'}",
        ref=result.ref,
        line=f"%mlops policies {result.name}",
        blocks=blocks,
    )


@look(Decisions)
def decisions_view(result: Decisions) -> View:
    """What was decided, the newest first."""
    table = Table(
        columns=[
            Column(key="ref", label="Decision", kind="ref"),
            Column(key="at", label="When", kind="time"),
            Column(key="policy", label="Policy", kind="ref"),
            Column(key="state", label="Became", kind="badge"),
            Column(key="challenger", label="Challenger"),
            Column(key="reason", label="Because"),
        ],
        rows=[_decision_row(one) for one in result.items],
        total=result.total,
        empty="No decisions yet: a policy makes one each time it looks.",
    )
    of = f" of {result.policy}" if result.policy else ""
    return View(
        kind="decisions",
        title=f"Decisions{of}",
        subtitle=f"{result.total:,} {'decision' if result.total == 1 else 'decisions'}",
        line=f"%mlops decisions{f' {result.policy}' if result.policy else ''}",
        blocks=[table],
    )


@look(Decision)
def decision_view(result: Decision) -> View:
    """What became of it, why, and on what it rests."""
    found = result.found
    level = _LEVELS.get(result.state, "info")
    blocks: list[Block] = []
    if result.reason:
        blocks.append(Notice(level=level, text=result.reason))
    progress = found.get("progress")
    if result.active and progress and progress["cells"]:
        seconds = progress["cpu_seconds"]
        cells = progress["cells"]
        blocks.append(Progress(done=progress["done"], total=cells, unit="cells", seconds=seconds))
        if progress["running"]:
            blocks.append(Facts(items=[Fact(label="Runs", value=progress["running"])]))
    if found.get("condition"):
        blocks.append(_condition(found["condition"]))
    if found.get("gates"):
        blocks.append(table_of([Line(**one) for one in found["gates"]]))
    blocks.append(Facts(items=_facts(result)))
    blocks += [Notice(level="info", text=one) for one in found.get("notes", ())]
    actions = _decision_actions(result)
    if actions:
        blocks.append(Actions(items=actions))
    return View(
        kind="decision",
        title=f"{result.policy}: {'dry run' if result.dry else result.state}",
        subtitle=f"{result.at:%Y-%m-%d %H:%M} UTC{_by(result)}",
        ref=result.ref,
        line=f"%mlops decisions decision:{result.id[:8]}",
        blocks=blocks,
    )


def _policy_row(one: Policy) -> dict[str, Any]:
    state = {"text": "stopped", "level": "warn"} if one.paused else {"text": "on", "level": "good"}
    return {
        "ref": one.ref,
        "model": f"model:{one.model}",
        "state": state,
        "when": one.terms.when or "each time",
        "every": one.terms.every,
        "due": one.due_at.isoformat(),
        "approve": _approved(one.terms.approve),
    }


def _decision_row(one: Decision) -> dict[str, Any]:
    reason = one.reason.replace("`", "")
    reason = reason if len(reason) <= 160 else reason[:159] + "…"
    return {
        "ref": one.ref,
        "at": one.at.isoformat(),
        "policy": f"policy:{one.policy}",
        "state": {"text": one.state, "level": _LEVELS.get(one.state, "info")},
        "challenger": one.challenger or "none",
        "reason": reason,
    }


def _condition(parts: list[dict[str, Any]]) -> Table:
    return Table(
        title="The condition",
        columns=[
            Column(key="verdict", label="Holds", kind="badge"),
            Column(key="text", label="Condition"),
            Column(key="reason", label="Found"),
        ],
        rows=[
            {
                "verdict": {"text": one["verdict"], "level": _VERDICTS[one["verdict"]]},
                "text": one["text"],
                "reason": one["reason"],
            }
            for one in parts
        ],
        total=len(parts),
    )


def _facts(result: Decision) -> list[Fact]:
    found, window = result.found, result.found.get("window", {})
    facts = [
        Fact(label="Policy", value=result.policy, ref=f"policy:{result.policy}"),
        _version("Champion", result.champion),
    ]
    if result.challenger:
        facts.append(_version("Challenger", result.challenger))
    if window:
        facts.append(Fact(label="Trained on", value=f"{window['rows']:,} rows"))
        span = f"{window['held_since'][:10]} to {window['held_until'][:10]}"
        facts.append(Fact(label="Judged on", value=f"{window['held_rows']:,} rows, {span}"))
    if found.get("data"):
        facts.append(Fact(label="Data", value=found["data"], ref=found["data"]))
    if result.cpu_seconds:
        facts.append(Fact(label="Processor time", value=f"{result.cpu_seconds:,.1f} s"))
    if result.attempts > 1:
        facts.append(Fact(label="Begun", value=f"{result.attempts} times"))
    if found.get("notebook"):
        facts.append(Fact(label="Notebook as it ran", value=found["notebook"]))
    watch = found.get("watch", {})
    if watch.get("said") or watch.get("error"):
        said = watch.get("error") or watch["said"]
        facts.append(Fact(label="Since it serves", value=said))
    return facts


def _by(result: Decision) -> str:
    """Who let it decide, where that wasn't the policy's own clock."""
    return "" if result.actor == f"policy:{result.policy}" else f" · asked by {result.actor}"


def _version(label: str, version: str | None) -> Fact:
    return Fact(label=label, value=version or "none", ref=f"model:{version}" if version else "")


def _approved(approve: str) -> str:
    return "the gates alone" if approve == "auto" else "a person"


def _budget(result: Policy) -> str:
    terms = result.terms
    parts = [f"{terms.timeout} a notebook"]
    if terms.runs_a_week is not None:
        parts.append(f"{terms.runs_a_week} notebooks a week")
    if terms.cpu_a_week:
        parts.append(f"{terms.cpu_a_week} of processor time a week")
    return ", ".join(parts)


def _policy_actions(result: Policy) -> list[Action]:
    args = {"policy": result.name}
    past = Action(label="Decisions", verb="decisions", args={"name": result.name})
    if result.paused:
        return [past, Action(label="Go on", verb="retrain resume", args=args)]
    return [
        past,
        Action(label="Dry run", verb="retrain run", args={**args, "dry_run": True},
               line=f"%mlops retrain run {result.name} --dry-run"),
        Action(label="Decide now", verb="retrain run", args={**args, "detach": True},
               line=f"%mlops retrain run {result.name}",
               confirm=f"Let {result.name} look now, and train if its condition holds?"),
        Action(label="Stop", verb="retrain stop", args=args, danger=True,
               confirm=f"Stop {result.name}, and the notebook that it may be running?"),
    ]  # fmt: skip


def _decision_actions(result: Decision) -> list[Action]:
    if result.active and not result.dry:
        text = f"Stop the policy {result.policy} and its notebook?"
        args = {"policy": result.policy}
        return [Action(label="Stop", verb="retrain stop", args=args, danger=True, confirm=text)]
    if result.state == "waiting" and result.challenger:
        text = f"Approve {result.challenger}? It then becomes champion and is served."
        args = {"model": result.challenger}
        return [Action(label="Approve", verb="approve", args=args, confirm=text)]
    if result.state == "promoted":
        text = f"Let {result.model}@champion point to the version before again?"
        args = {"model": result.model}
        return [Action(label="Roll back", verb="rollback", args=args, danger=True, confirm=text)]
    return []
