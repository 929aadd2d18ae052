"""Does a condition hold? Each part is answered with its numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import polars as pl

from jupyter_mlops.monitoring.checks import Drift
from jupyter_mlops.monitoring.estimates import Estimate, Task, blocks_of, estimates, quantile_of
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.performance import LABELS
from jupyter_mlops.monitoring.truth import Answers, as_label, in_order, read_answers
from jupyter_mlops.retraining.conditions import Both, Comparison, Condition, Drifted, Either
from jupyter_mlops.workspace import MLOpsError

__all__ = ["Answer", "Facts", "Part", "answer"]

Verdict = Literal["yes", "no", "unknown"]
_HOLDS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Part:
    """What became of one comparison: how it was written, whether it holds, and why."""

    text: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Answer:
    """What became of a condition; `parts` in the order in which they stand."""

    verdict: Verdict
    parts: tuple[Part, ...]

    @property
    def sentence(self) -> str:
        """Why, in a sentence: the parts that decided."""
        telling = [one for one in self.parts if one.verdict == self.verdict] or list(self.parts)
        return "; ".join(one.reason for one in telling)


@dataclass
class Facts:
    """What is known when a condition is answered.

    Attributes
    ----------
    now : polars.DataFrame
        Rows that the champion answered and whose truth has come: ``truth``, ``prediction``,
        ``probability``, ``day``.
    references : mapping of str to (polars.DataFrame or None, str)
        The same of ``champion_at_promotion`` and ``validation``, and what they are, in words.
    new_rows : int
        Rows with truth that came after the last decision that trained.
    promoted_at : datetime or None
    at : datetime
    check : callable
        Makes a drift check of the window; called once, when the condition asks.
    """

    now: pl.DataFrame
    references: Mapping[str, tuple[pl.DataFrame | None, str]]
    task: Task
    classes: list[Any] | None
    new_rows: int
    promoted_at: datetime | None
    at: datetime
    check: Callable[[], Drift]
    limits: Limits = field(default_factory=Limits)

    @cached_property
    def drift(self) -> Drift | MLOpsError:
        try:
            return self.check()
        except MLOpsError as error:
            return error


def answer(condition: Condition, facts: Facts) -> Answer:
    """Answer a condition.

    ``unknown`` means that there isn't enough to say; nobody trains on it.
    """
    if isinstance(condition, Both | Either):
        found = [answer(one, facts) for one in condition.parts]
        # As in logic of three values: one `no` settles `and`, one `yes` settles `or`.
        settles, other = ("no", "yes") if isinstance(condition, Both) else ("yes", "no")
        verdicts = {one.verdict for one in found}
        verdict: Any = settles if settles in verdicts else other
        if settles not in verdicts and "unknown" in verdicts:
            verdict = "unknown"
        return Answer(verdict, tuple(part for one in found for part in one.parts))
    made = _drifted(condition, facts) if isinstance(condition, Drifted) else _one(condition, facts)
    return Answer(made.verdict, (made,))


def _drifted(condition: Drifted, facts: Facts) -> Part:
    found = facts.drift
    if isinstance(found, MLOpsError):
        return Part(condition.text, "unknown", _told(found))
    if found.verdict == "not enough data":
        return Part(condition.text, "unknown", found.sentence)
    verdict: Verdict = "yes" if "inputs moved" in found.verdict else "no"
    return Part(condition.text, verdict, found.sentence)


def _one(means: Comparison, facts: Facts) -> Part:
    if means.quantity == "rows":
        return _plain(means, float(facts.new_rows), f"{facts.new_rows:,} new rows have a truth")
    if means.quantity == "age":
        return _age(means, facts)
    if means.quantity == "drifted":
        found = facts.drift
        if isinstance(found, MLOpsError):
            return Part(means.text, "unknown", _told(found))
        count = len(found.drifted)
        names = f" ({', '.join(found.drifted[:4])})" if count else ""
        return _plain(means, float(count), f"{count} features drifted{names}")
    return _metric(means, facts)


def _plain(means: Comparison, value: float, what: str) -> Part:
    if _HOLDS[means.operator](value, means.side.offset):
        return Part(means.text, "yes", what)
    return Part(means.text, "no", f"{what}; it takes {means.operator} {means.side.offset:,.6g}")


def _age(means: Comparison, facts: Facts) -> Part:
    if facts.promoted_at is None:
        return Part(means.text, "unknown", "it isn't recorded when the champion was promoted")
    age = (facts.at - facts.promoted_at).total_seconds()
    days, needed = age / 86_400, means.side.offset / 86_400
    what = f"the champion was promoted {days:,.3g} days ago"
    if _HOLDS[means.operator](age, means.side.offset):
        return Part(means.text, "yes", what)
    return Part(means.text, "no", f"{what}; it takes {means.operator} {needed:,.3g} days")


def _metric(means: Comparison, facts: Facts) -> Part:
    now = read_answers(facts.now, facts.task)
    needed = facts.limits.fewest_truths
    if now is None or now.rows < needed:
        count = 0 if now is None else now.rows
        return Part(
            means.text, "unknown", f"not enough data: {count:,} of {needed:,} rows with truth"
        )
    side = means.side
    there, what = facts.references[side.of] if side.of else (None, "")
    then = read_answers(there, facts.task) if there is not None else None
    if side.of and (then is None or then.rows < 2):
        return Part(means.text, "unknown", f"there are no rows of {what}")
    seen = now.labels | (then.labels if then is not None else set())
    labels = [as_label(one) for one in facts.classes] if facts.classes else in_order(seen)
    mine = _estimate(now, means.quantity, facts.task, labels)
    theirs = _estimate(then, means.quantity, facts.task, labels) if then is not None else None
    if mine is None or (then is not None and theirs is None):
        return Part(means.text, "unknown", f"these rows have no {means.quantity}")
    level = means.level or facts.limits.confidence
    value, reach = mine.value, _reach(mine, now, level)
    label = LABELS.get(mine.name, mine.name)
    said = f"{label} is {value:.4g}"
    if theirs is not None and then is not None:
        reach = math.hypot(reach, side.factor * _reach(theirs, then, level))
        value -= side.factor * theirs.value
        scaled = "" if side.factor == 1 else f" · {side.factor:.4g}"
        said += f" against {theirs.value:.4g}{scaled} {what}: {value:+.4g}"
    low, high = value - reach, value + reach
    said += f" ({100 * level:.4g}%: {low:.4g} to {high:.4g}, {now.rows:,} rows)"
    # The end of the interval that is nearest to the wrong side.
    end = value if means.level is None else low if means.operator.startswith(">") else high
    if _HOLDS[means.operator](end, side.offset):
        return Part(means.text, "yes", said)
    whole = "the whole interval" if means.level else "it"
    return Part(means.text, "no", f"{said}; {whole} must be {means.operator} {side.offset:.4g}")


def _estimate(answers: Answers, name: str, task: Task, labels: list[str]) -> Estimate | None:
    found = estimates(answers, task, labels)
    if name == "loss":
        return found[0]
    return next((one for one in found if one.name == name), None)


def _reach(estimate: Estimate, answers: Answers, level: float) -> float:
    blocks = blocks_of(answers)
    return quantile_of(blocks, level) * estimate.error(blocks)


def _told(error: MLOpsError) -> str:
    return f"{error.what}: {error.why}" if error.why else error.what
