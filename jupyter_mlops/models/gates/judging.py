"""One gate after another: what is measured, and whether it holds."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jupyter_mlops.models.approvals import approvals_of
from jupyter_mlops.models.gates.evidence import Estimate, Evidence, Slice
from jupyter_mlops.models.gates.grammar import Comparison, Flag, Gate
from jupyter_mlops.models.gates.verdicts import Line, Verdict
from jupyter_mlops.models.latency import HOW, Latency, measure
from jupyter_mlops.models.versions import ModelVersion, get
from jupyter_mlops.workspace import MLOpsError, NotFound, Workspace

__all__ = ["Trial"]

#: The confidence of intervals that are shown where a gate asks for none.
SHOWN = 0.95
_HOLDS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass
class Trial:
    """One version being judged."""

    ws: Workspace
    version: ModelVersion
    evidence: Evidence
    others: dict[str, ModelVersion | None] = field(default_factory=dict)

    def judge(self, gate: Gate) -> Line:
        made = Line(gate.name, gate.text, "unknown", "")
        try:
            means = gate.means
            if isinstance(means, Flag):
                verdict, reason = getattr(self, means.kind)(means)
                return _with(made, verdict, reason)
            if means.quantity.kind == "latency":
                return self._latency(made, means)
            if means.quantity.kind == "slices":
                return self._slices(made, means)
            if means.bound.alias:
                return self._against(made, means)
            return self._alone(made, means)
        except MLOpsError as error:
            why = "; ".join(part for part in (error.why, error.fix) if part)
            return _with(made, "unknown", f"{error.what}{': ' if why else ''}{why}.")

    def at(self, alias: str) -> ModelVersion | None:
        """The version at an alias."""
        if alias not in self.others:
            try:
                self.others[alias] = get(self.ws, f"{self.version.name}@{alias}")
            except NotFound:
                self.others[alias] = None
        return self.others[alias]

    def _alone(self, made: Line, means: Comparison) -> Line:
        metric, bound = means.quantity.name, means.bound.offset
        if metric not in self.evidence.metrics(self.version.run_id):
            return self._recorded(made, means)
        level = means.level or SHOWN
        found = self.evidence.metric(self.version.run_id, metric, means.by, level)
        verdict = _verdict(means, found, bound)
        reason = (
            f"{metric} is {_n(found.value)}, {100 * level:.4g}% interval "
            f"{_n(found.low)} to {_n(found.high)} over {_over(found)}"
        )
        if verdict == "fail" and means.level and _holds(means, found.value, bound):
            reason += f"; the whole interval must be {means.operator} {_n(bound)}"
        elif verdict == "fail":
            reason += f"; it must be {means.operator} {_n(bound)}"
        return _with(made, verdict, f"{reason}.", found, value=found.value, bound=bound)

    def _recorded(self, made: Line, means: Comparison) -> Line:
        """A number that the cell set itself: no rows, no interval."""
        name, bound = means.quantity.name, means.bound.offset
        value = self.version.metrics.get(name)
        if value is None:
            return _with(made, "unknown", f"{self.version.label} has no {name}.")
        if means.level or means.by:
            text = f"{name} is a number the cell set: it has no rows, and so no interval."
            return _with(made, "unknown", text, value=value, bound=bound)
        verdict: Verdict = "pass" if _holds(means, value, bound) else "fail"
        must = "" if verdict == "pass" else f"; it must be {means.operator} {_n(bound)}"
        text = f"{name} is {_n(value)}, as the cell set it{must}."
        return _with(made, verdict, text, value=value, bound=bound)

    def _against(self, made: Line, means: Comparison) -> Line:
        bound, metric = means.bound, means.quantity.name
        other = self.at(bound.alias or "")
        if other is None:
            text = f"{self.version.name} has no {bound.alias} yet: there is nothing to beat."
            return _with(made, "pass", text)
        if other.version == self.version.version:
            text = f"{self.version.label} is the {bound.alias} itself: there is nothing to beat."
            return _with(made, "pass", text, against=other.label)
        if metric not in self.evidence.metrics(self.version.run_id):
            return self._recorded_against(made, means, other)
        level = means.level or SHOWN
        found = self.evidence.difference(
            self.version.run_id, other.run_id, metric, bound.factor, means.by, level
        )
        verdict = _verdict(means, found.estimate, bound.offset)
        limit = bound.factor * found.other + bound.offset
        scaled = "" if bound.factor == 1 else f" · {_n(bound.factor)}"
        reason = (
            f"{metric} is {_n(found.value)} against {_n(found.other)} of {other.label}; "
            f"the difference{scaled} is {_n(found.estimate.value)}, {100 * level:.4g}% interval "
            f"{_n(found.estimate.low)} to {_n(found.estimate.high)}, "
            f"paired over {_over(found.estimate)}"
        )
        if verdict == "fail":
            what = "the whole interval" if means.level else "the difference"
            reason += f"; {what} must be {means.operator} {_n(bound.offset)}"
        return _with(
            made,
            verdict,
            f"{reason}.",
            found.estimate,
            value=found.value,
            bound=limit,
            of="difference",
            against=other.label,
        )

    def _recorded_against(self, made: Line, means: Comparison, other: ModelVersion) -> Line:
        name = means.quantity.name
        mine, theirs = self.version.metrics.get(name), other.metrics.get(name)
        if mine is None or theirs is None:
            whose = self.version.label if mine is None else other.label
            return _with(made, "unknown", f"{whose} has no {name}.", against=other.label)
        limit = means.bound.factor * theirs + means.bound.offset
        if means.level or means.by:
            text = f"{name} is a number the cell set: it has no rows, and so no interval."
            return _with(made, "unknown", text, value=mine, bound=limit, against=other.label)
        verdict: Verdict = "pass" if _holds(means, mine, limit) else "fail"
        must = "" if verdict == "pass" else f"; it must be {means.operator} {_n(limit)}"
        text = f"{name} is {_n(mine)} against {_n(theirs)} of {other.label}, as the cells set{must}"
        return _with(made, verdict, f"{text}.", value=mine, bound=limit, against=other.label)

    def _slices(self, made: Line, means: Comparison) -> Line:
        quantity, bound = means.quantity, means.bound.offset
        level = means.level or SHOWN
        found = self.evidence.slices(
            self.version.run_id, quantity.name, quantity.by, means.by, level
        )
        choose = min if quantity.pick == "min" else max
        extreme = choose(found, key=lambda one: one.estimate.value)
        verdicts = {id(one): _verdict(means, one.estimate, bound) for one in found}
        bad = [one for one in found if verdicts[id(one)] != "pass"]
        # Of the extreme slice alone, but with a confidence each slice must be as sure.
        judged = bad if means.level else [one for one in bad if one is extreme]
        shown: Slice = choose(judged, key=lambda one: one.estimate.value) if judged else extreme
        reason = (
            f"the {quantity.pick} of {len(found):,} slices is {_n(extreme.estimate.value)} "
            f"in {extreme.column} = {extreme.label}"
        )
        if judged and shown is not extreme:
            reason += f"; {shown.column} = {shown.label} has {_n(shown.estimate.value)}"
        one = shown.estimate
        reason += f", {100 * level:.4g}% interval {_n(one.low)} to {_n(one.high)} over {_over(one)}"
        if judged:
            what = "the whole interval of each" if means.level else "it"
            reason += f"; {what} must be {means.operator} {_n(bound)}"
        verdict: Verdict = "fail" if judged else "pass"
        value = extreme.estimate.value
        return _with(made, verdict, f"{_first_up(reason)}.", one, value=value, bound=bound)

    @cached_property
    def _measured(self) -> Latency:
        return measure(self.version.path(self.ws))

    def _latency(self, made: Line, means: Comparison) -> Line:
        share = int(means.quantity.name[1:]) / 100
        value, bound = self._measured.percentile(share), means.bound.offset
        low, high = self._measured.interval(share, means.level or SHOWN)
        inside = _holds(means, value, bound)
        if means.level:
            inside = _holds(means, low, bound) and _holds(means, high, bound)
        highest = f"{1e3 * high:.3g} ms" if high < float("inf") else "unknown"
        reason = (
            f"{means.quantity.name} is {1e3 * value:.3g} ms, interval {1e3 * low:.3g} ms to "
            f"{highest}, of {HOW}"
        )
        if not inside:
            what = "the whole interval" if means.level else "it"
            reason += f"; {what} must be {means.operator} {1e3 * bound:.4g} ms"
        count = len(self._measured.seconds)
        verdict: Verdict = "pass" if inside else "fail"
        return Line(
            made.name,
            made.expression,
            verdict,
            f"{reason}.",
            value,
            bound,
            low,
            None if high == float("inf") else high,
            "value",
            count,
            count,
        )

    def contract(self, means: Flag) -> tuple[Verdict, str]:
        contract = self.version.contract(self.ws)
        if contract is None or self.version.contract_ref is None:
            text = f"no contract was recorded for {self.version.label}"
            return "fail", f"{_first_up(text)}: train it with --contract."
        notes = self.evidence.disagreements(contract, self.version.signature)
        if notes:
            return "fail", notes[0]
        count = len(self.version.signature["inputs"])
        return "pass", f"All {count} inputs agree with {self.version.contract_ref}."

    def verified(self, means: Flag) -> tuple[Verdict, str]:
        if not self.version.run_id:
            return (
                "unknown",
                f"{self.version.label} was trained elsewhere: nobody can run it again.",
            )
        run = f"run:{self.version.run_id}"
        found = self.ws.events(kind="run.verified", subject=run, newest=True, limit=1)
        if not found:
            short = run[: len("run:") + 8]
            return "unknown", f"Nobody ran {short} again: `%mlops verify {short}` does."
        event = found[0]
        when = f"{event.at:%Y-%m-%d} by {event.actor}"
        if event.payload["same"]:
            return "pass", f"The run gave the same numbers again, {when}."
        changed = ", ".join(event.payload["changed"][:5])
        return "fail", f"The run gave other numbers again, {when}: {changed}."

    def approved(self, means: Flag) -> tuple[Verdict, str]:
        found = approvals_of(self.ws, self.version)
        label = self.version.label
        if means.by_other:
            trainer = self.evidence.trainer(self.version.run_id)
            others = [one for one in found if one.actor != trainer]
            if found and not others:
                return "fail", f"Only {trainer} approved {label}, who trained it."
            found = others
        if not found:
            return "fail", f"Nobody approved {label}: `%mlops approve {label}` does."
        one = found[0]
        note = f": {one.note}" if one.note else ""
        return "pass", f"{one.actor} approved it, {one.approved_at:%Y-%m-%d}{note}."


def _holds(means: Comparison, value: float, bound: float) -> bool:
    return _HOLDS[means.operator](value, bound)


def _verdict(means: Comparison, found: Estimate, bound: float) -> Verdict:
    if means.level is None:
        return "pass" if _holds(means, found.value, bound) else "fail"
    # The end of the interval that is nearest to the wrong side.
    end = found.high if means.operator.startswith("<") else found.low
    return "pass" if _holds(means, end, bound) else "fail"


def _with(
    made: Line, verdict: Verdict, reason: str, found: Estimate | None = None, **more: Any
) -> Line:
    numbers: dict[str, Any] = {}
    if found is not None:
        numbers = {
            "low": found.low,
            "high": found.high,
            "rows": found.rows,
            "groups": found.groups,
        }
    return Line(made.name, made.expression, verdict, reason, **{**numbers, **more})


def _over(found: Estimate) -> str:
    rows = f"{found.rows:,} rows"
    return f"{found.groups:,} groups by {' and '.join(found.by)} of {rows}" if found.by else rows


def _n(value: float) -> str:
    return f"{value:.4g}"


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]
