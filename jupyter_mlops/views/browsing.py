"""How an experiment is looked through: its summary, a page of trials, one trial."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from jupyter_mlops.experiments.browsing import TrialDetail, TrialPage
from jupyter_mlops.experiments.studies import Experiment, Trial
from jupyter_mlops.experiments.winner import cell_of
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Chart,
    Code,
    Fact,
    Facts,
    Field,
    Form,
    Level,
    Notice,
    Progress,
    View,
)
from jupyter_mlops.views.cells import number_text
from jupyter_mlops.views.clusters import dashboard_fact
from jupyter_mlops.views.curves import (
    front_chart,
    history_chart,
    importance_chart,
    learning_chart,
    slices_chart,
)
from jupyter_mlops.views.experiments import duration
from jupyter_mlops.views.parallel import parallel_chart
from jupyter_mlops.views.params import bytes_text, occupancy_table, param_text, params_facts
from jupyter_mlops.views.registry import look
from jupyter_mlops.views.trialtable import LEVELS, trials_table

__all__ = ["page_view", "trial_view"]

#: Samplers whose parameters don't depend on what earlier trials found.
_BLIND = {"random", "grid", "qmc"}
#: Kinds of failure that are told apart.
REASONS = 3
#: What differs between two failures for the same reason: addresses and numbers.
_PARTICULAR = re.compile(r"0x[0-9a-f]+|\d+")


@look(TrialPage)
def page_view(result: TrialPage) -> View:
    """What was found, how it went, and a page of the trials; or that page alone."""
    one = result.experiment
    blocks: list[Block] = [trials_table(result)]
    if result.whole:
        before, after = _charts(result)
        asked = Facts(title="What was asked for", items=_asked(one))
        ways = _ways(one, _best(result))
        blocks = [*_summary(one), *before, *blocks, *after, asked, *ways]
    many = f"{len(one.trials):,} {'trial' if len(one.trials) == 1 else 'trials'}"
    return View(
        kind="experiment",
        title=f"{one.name} · {one.short}",
        subtitle=f"{one.status} · {many}",
        ref=one.ref,
        line=f"%mlops experiment show {one.short}",
        blocks=blocks,
    )


@look(TrialDetail)
def trial_view(result: TrialDetail) -> View:
    """One trial: what it was given, what came of it, where it ran, what to do with it."""
    one, trial = result.experiment, result.trial
    blocks: list[Block] = []
    if trial.error:
        level = LEVELS.get(trial.status, "info")
        blocks.append(Notice(level="warn" if level == "info" else level, text=trial.error[:2000]))
    if trial.status == "running" and trial.number in one.stops:
        blocks.append(Notice(text="It is being stopped."))
    blocks.append(Facts(items=_values(result)))
    if trial.params:
        blocks.append(Facts(title="Parameters", items=params_facts(trial.params, limit=40)))
    blocks.append(Facts(items=_whereabouts(trial)))
    chart = learning_chart([trial], one.goal.metric)
    if chart is not None:
        blocks.append(chart)
    if trial.status != "running":
        blocks.append(Code(title="As a cell", text=cell_of(one, trial), insert=True))
    blocks.append(Actions(items=_trial_actions(one, trial)))
    return View(
        kind="trial",
        title=f"Trial {trial.number} of {one.name}",
        subtitle=trial.status,
        ref=trial.ref,
        line=f"%mlops experiment show {one.short} --trial {trial.number}",
        blocks=blocks,
    )


def _best(result: TrialPage) -> Trial | None:
    """The best trial, whole where it is at hand: whether its model was kept is known then."""
    best = result.experiment.best
    if best is None:
        return None
    return next((one for one in result.curves if one.id == best.id), best)


def _summary(one: Experiment) -> list[Block]:
    blocks: list[Block] = []
    if one.error:
        level: Level = "warn" if one.status in {"interrupted", "stopped"} else "bad"
        blocks.append(Notice(level=level, text=_sentence(one.error)))
    blocks += [Notice(level="warn", text=_sentence(note)) for note in one.notes]
    failed = _failures(one.trials)
    if failed:
        blocks.append(Notice(level="warn", text=failed))
    if one.status in {"running", "waiting"}:
        blocks.append(_progress(one))
    blocks.append(Facts(items=_findings(one)))
    if one.best is not None and one.best.params:
        blocks.append(Facts(title="Best parameters", items=params_facts(one.best.params)))
    if one.status == "running":
        busy = occupancy_table(one)
        blocks += [busy] if busy else []
    return blocks


def _progress(one: Experiment) -> Progress:
    done = sum(trial.status != "running" for trial in one.trials)
    total, seconds = one.plan.get("trials"), one.seconds or 0.0
    remaining = None
    timeout = one.plan.get("timeout")
    if timeout:
        remaining = max(0.0, timeout - seconds)
        if done and total:
            remaining = min(remaining, (total - done) * seconds / done)
    return Progress(
        done=done,
        total=total,
        unit="trials",
        seconds=round(seconds, 1),
        remaining=None if remaining is None else round(remaining, 1),
    )


def _findings(one: Experiment) -> list[Fact]:
    goal, best, found = one.goal, one.best, one.outcome
    facts = []
    if best is None:
        facts.append(Fact(label=f"Best {goal.metric}", value="none yet"))
    else:
        text = f"{number_text(best.metrics[goal.metric])} in trial {best.number}"
        facts.append(Fact(label=f"Best {goal.metric}", value=text))
    if "corrected" in found:
        value = number_text(found["corrected"])
        if "low" in found and "high" in found:
            value += f" ({number_text(found['low'])} – {number_text(found['high'])})"
        hint = "with its 95 % interval: the best of many is partly luck"
        facts.append(Fact(label="Expected on new rows", value=value, hint=hint))
    elif best is not None and found.get("why") and len(one.finished) > 1:
        hint = "the best of many is partly luck; --valid, evaluate(…) or a metric by row tells how"
        facts.append(Fact(label="Expected on new rows", value="not known", hint=hint))
    if "nested" in found:
        facts.append(_nested(one, found["nested"]))
    if len(one.goals) > 1 and len(found.get("best", ())) > 1:
        others = " and ".join(other.metric for other in one.goals[1:])
        numbers = _listed(found["best"])
        facts.append(Fact(label=f"Best against {others}", value=f"trials {numbers}"))
    facts += _fates(one)
    if one.queue:
        value = _tried(one.queue[0])
        more = f"and {len(one.queue) - 1:,} more after that" if len(one.queue) > 1 else ""
        facts.append(Fact(label="To be tried next", value=value, hint=more))
    running = one.status in {"running", "waiting"}
    facts.append(Fact(label="Running for" if running else "Took", value=duration(one.seconds)))
    if one.cluster.get("dashboard"):
        facts.append(dashboard_fact(one.cluster["kind"], one.cluster["dashboard"]))
    if found.get("why"):
        facts.append(Fact(label="Why it ended", value=str(found["why"])))
    return facts


def _nested(one: Experiment, found: dict[str, Any]) -> Fact:
    """What the search as a whole is worth, beside how good its winner looks."""
    value = f"{number_text(found['value'])} ({number_text(found['low'])} – "
    value += f"{number_text(found['high'])})"
    hint = f"{len(found['winners'])} outer folds chose trials {_listed(found['winners'])}"
    if one.best is not None:
        looks = one.best.metrics[one.goal.metric]
        flatters = (looks - found["value"]) * (1 if one.goal.maximize else -1)
        if flatters > 0:
            hint += f"; the winner looks {number_text(flatters)} better"
    if one.plan.get("sampler") not in _BLIND:
        hint += "; the sampler learnt from values that all rows are in"
    return Fact(label="Nested validation", value=value, hint=hint)


def _fates(one: Experiment) -> list[Fact]:
    """How many trials there are, and what became of them."""
    total = one.plan.get("trials")
    counts = Counter(trial.status for trial in one.trials)
    done = counts.total() - counts["running"]
    facts = [Fact(label="Trials", value=f"{done:,}" + (f" of {total:,}" if total else ""))]
    order = ("finished", "pruned", "failed", "stopped", "interrupted", "running")
    facts += [
        Fact(label=status.capitalize(), value=f"{counts[status]:,}")
        for status in order
        if counts[status]
    ]
    return facts


def _asked(one: Experiment) -> list[Fact]:
    names = {"sampler": "Sampler", "pruner": "Pruner", "workers": "Workers"}
    facts = [
        Fact(label=label, value=str(one.plan[name]))
        for name, label in names.items()
        if one.plan.get(name) not in {None, "", "none"}
    ]
    if one.plan.get("timeout"):
        facts.append(Fact(label="Time limit", value=duration(one.plan["timeout"])))
    if one.plan.get("trial_timeout"):
        limit = duration(one.plan["trial_timeout"])
        facts.append(Fact(label="Time limit of a trial", value=limit))
    if one.data_ref:
        facts.append(Fact(label="Data", value=one.data_ref))
    facts.append(Fact(label="Seed", value=str(one.plan.get("seed", one.seed))))
    facts.append(Fact(label="Started", value=f"{one.started_at:%Y-%m-%d %H:%M} by {one.actor}"))
    return facts


def _failures(trials: Iterable[Trial]) -> str:
    """How many failed, and of what, the most frequent reasons first."""
    reasons: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for one in trials:
        if one.status == "failed":
            reason = one.error.strip().partition("\n")[0] or "no reason given"
            key = _PARTICULAR.sub("#", reason)
            reasons[key] += 1
            shown.setdefault(key, reason if len(reason) <= 90 else reason[:89] + "…")
    if not reasons:
        return ""
    count = reasons.total()
    told = [f"{many:,} × {shown[key]}" for key, many in reasons.most_common(REASONS)]
    if len(reasons) == 1:
        told = [*shown.values()]
    more = len(reasons) - len(told)
    if more:
        told.append(f"{more} other {'reason' if more == 1 else 'reasons'}")
    return _sentence(f"{count:,} {'trial' if count == 1 else 'trials'} failed: {'; '.join(told)}")


def _charts(result: TrialPage) -> tuple[list[Chart], list[Chart]]:
    """What goes before the table of trials, and what comes after it."""
    one = result.experiment
    importance = one.outcome.get("importance") or {}
    before = [history_chart(one), front_chart(one), importance_chart(importance)]
    asked = {name: one for trial in result.curves for name, one in trial.distributions.items()}
    after = [
        parallel_chart(one, importance, asked),
        slices_chart(one, importance),
        learning_chart(result.curves, one.goal.metric),
    ]
    return [one for one in before if one], [one for one in after if one]


def _ways(one: Experiment, best: Trial | None) -> list[Block]:
    """What can be done with it."""
    blocks: list[Block] = []
    items: list[Action] = []
    name = {"name": one.id}
    if one.status in {"running", "waiting"}:
        fields = [Field(name="params", label="Parameters", hint="such as lr=0.1, depth=4")]
        blocks.append(
            Form(title="Try next", submit="Enqueue", verb="experiment enqueue", args=name,
                 fields=fields)
        )  # fmt: skip
        confirm = f"Stop {one.name}? Trials that run are lost; those that ended are kept."
        line = f"%mlops experiment stop {one.short}"
        items.append(Action(label="Stop", verb="experiment stop", args=name, danger=True,
                            confirm=confirm, line=line))  # fmt: skip
    elif one.status in {"interrupted", "stopped", "failed"}:
        line = f"%mlops experiment resume {one.short}"
        items.append(Action(label="Resume", verb="experiment resume",
                            args={**name, "detach": True}, line=line))  # fmt: skip
    if best is not None:
        cell = cell_of(one, best)
        word = "best so far" if one.status in {"running", "waiting"} else "winner"
        items.append(Action(label=f"Insert {word}", verb="experiment winner", args=name,
                            insert=cell, line=f"%mlops experiment winner {one.short}"))  # fmt: skip
        if best.has_model:
            args = {"run": f"run:{best.id[:12]}", "name": one.name}
            items.append(Action(label=f"Register {word}", verb="register", args=args))
        fields = [Field(name="b", label="Compare with", hint="NAME, NAME/TRIAL or run:1f3c")]
        blocks.append(Form(submit="Compare", verb="experiment compare", args={"a": one.id},
                           fields=fields))  # fmt: skip
        blocks.insert(0, Code(title=f"{word.capitalize()} as a cell", text=cell, insert=True))
    return [*blocks, Actions(items=items)] if items else blocks


def _values(result: TrialDetail) -> list[Fact]:
    one, trial = result.experiment, result.trial
    facts = [Fact(label=name, value=number_text(value)) for name, value in trial.metrics.items()]
    if result.place is not None:
        facts.append(Fact(label="Place", value=f"{result.place:,} of {result.of:,}"))
    if not facts and trial.curve:
        step, value = trial.curve[-1]
        last = f"{number_text(value)} at step {number_text(step)}"
        facts.append(Fact(label=f"Last {one.goal.metric}", value=last))
    facts.append(Fact(label="Took", value=duration(trial.seconds)))
    return facts


def _whereabouts(trial: Trial) -> list[Fact]:
    facts = []
    if trial.worker:
        facts.append(Fact(label="Worker", value=trial.worker))
    if trial.attempts > 1:
        hint = "begun again after its worker was lost"
        facts.append(Fact(label="Attempts", value=str(trial.attempts), hint=hint))
    usage = trial.usage
    if "cpu_seconds" in usage:
        facts.append(Fact(label="CPU", value=duration(usage["cpu_seconds"])))
    for key, label in (("peak_bytes", "Memory at most"), ("gpu_bytes", "GPU memory at most")):
        if key in usage:
            facts.append(Fact(label=label, value=str(bytes_text(usage[key]))))
    if "gpu_share" in usage:
        facts.append(Fact(label="GPU", value=f"{100 * usage['gpu_share']:.0f} %"))
    if trial.seed is not None:
        facts.append(Fact(label="Seed", value=str(trial.seed)))
    facts.append(Fact(label="Run", value=f"run:{trial.id[:8]}"))
    return facts


def _trial_actions(one: Experiment, trial: Trial) -> list[Action]:
    run = {"name": trial.ref}
    items = [
        Action(label="Open its run", verb="runs", args=run, line=f"%mlops runs run:{trial.id[:12]}")
    ]
    if trial.status == "running":
        line = f"%mlops experiment stop {one.short} --trial {trial.number}"
        args = {"name": one.id, "trial": trial.number}
        confirm = f"Stop trial {trial.number}? Its worker goes on with the next."
        items.append(Action(label="Stop this trial", verb="experiment stop", args=args,
                            danger=True, confirm=confirm, line=line))  # fmt: skip
    elif trial.has_model and trial.status == "finished":
        args = {"run": f"run:{trial.id[:12]}", "name": one.name}
        items.append(Action(label="Register", verb="register", args=args))
    return items


def _tried(params: dict[str, Any]) -> str:
    return ", ".join(f"{name} {param_text(value)}" for name, value in params.items())


def _listed(numbers: list[int], shown: int = 8) -> str:
    more = f" and {len(numbers) - shown} more" if len(numbers) > shown else ""
    return ", ".join(str(one) for one in numbers[:shown]) + more


def _sentence(text: str) -> str:
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
