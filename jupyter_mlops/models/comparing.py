"""Two versions side by side: their metrics on the same rows, their inputs, their origins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyter_mlops.models.gates.evidence import Evidence
from jupyter_mlops.models.versions import ModelVersion, get
from jupyter_mlops.workspace import Invalid, MLOpsError, Result, Workspace

__all__ = ["Change", "MetricPair", "VersionComparison", "compare_versions"]


@dataclass(frozen=True)
class MetricPair:
    """A metric of both; with the interval of ``a - b`` where it is paired over the same rows."""

    metric: str
    a: float | None
    b: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int | None = None

    @property
    def differs(self) -> bool | None:
        """Whether the interval leaves zero out; None where there is none."""
        if self.low is None or self.high is None:
            return None
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Change:
    """Something that isn't the same in both."""

    what: str
    a: str
    b: str


@dataclass(frozen=True)
class VersionComparison(Result):
    """Two versions.

    Attributes
    ----------
    metrics : tuple of MetricPair
    inputs : tuple of Change
        Inputs that one has and the other hasn't, or that have other types.
    changes : tuple of Change
        Data, contract, class and environment that differ.
    notes : tuple of str
        Why metrics aren't paired.
    """

    a: ModelVersion
    b: ModelVersion
    metrics: tuple[MetricPair, ...]
    inputs: tuple[Change, ...]
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def compare_versions(ws: Workspace, a: str, b: str, evidence: Evidence) -> VersionComparison:
    """Put two versions side by side, of one model or of two.

    Raises
    ------
    NotFound
        One of them isn't there.
    Invalid
        They are the same version.
    """
    first, second = get(ws, a), get(ws, b)
    if first.ref == second.ref:
        raise Invalid(
            f"{a} and {b} are both {first.label}", fix="name two versions", code="E-MODEL-065"
        )
    pairs, notes = _metrics(first, second, evidence)
    return VersionComparison(
        first,
        second,
        tuple(pairs),
        tuple(_inputs(first, second)),
        tuple(_origins(first, second, evidence)),
        tuple(dict.fromkeys(notes)),
    )


def _metrics(
    a: ModelVersion, b: ModelVersion, evidence: Evidence
) -> tuple[list[MetricPair], list[str]]:
    known = set(evidence.metrics(a.run_id)) & set(evidence.metrics(b.run_id))
    pairs, notes = [], []
    for name in dict.fromkeys((*a.metrics, *b.metrics)):
        pair = MetricPair(name, a.metrics.get(name), b.metrics.get(name))
        if name in known:
            try:
                found = evidence.difference(a.run_id, b.run_id, name)
                one = found.estimate
                pair = MetricPair(
                    name, found.value, found.other, one.value, one.low, one.high, one.rows
                )
            except MLOpsError as error:
                why = f": {error.why}" if error.why else ""
                notes.append(f"They aren't paired row by row: {error.what}{why}.")
        pairs.append(pair)
    return pairs, notes


def _inputs(a: ModelVersion, b: ModelVersion) -> list[Change]:
    left, right = _types(a), _types(b)
    return [
        Change(name, left.get(name, "–"), right.get(name, "–"))
        for name in dict.fromkeys((*left, *right))
        if left.get(name) != right.get(name)
    ]


def _types(version: ModelVersion) -> dict[str, str]:
    def told(one: dict[str, Any]) -> str:
        return str(one["type"]) + ("" if one["required"] else ", may be missing")

    return {str(one["name"]): told(one) for one in version.signature["inputs"]}


def _origins(a: ModelVersion, b: ModelVersion, evidence: Evidence) -> list[Change]:
    left, right = evidence.origin(a.run_id), evidence.origin(b.run_id)
    left["contract"], right["contract"] = a.contract_ref or "", b.contract_ref or ""
    return [
        Change(name, left.get(name) or "–", right.get(name) or "–")
        for name in dict.fromkeys((*left, *right))
        if left.get(name) != right.get(name)
    ]
