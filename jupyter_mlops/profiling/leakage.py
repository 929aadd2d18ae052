"""Which columns know the answer: evidence that a value came into being after the target did.

No name is looked at.  Three kinds of evidence count, and none of them is proof:

* **missing with the label.**  A column that is absent (almost) only where the label is absent
  too, and in most of those rows, is filled in by the event that decides the label.
* **too good alone.**  One column that ranks the target (almost) perfectly, or far better than
  every other, is either the one thing that matters or the answer in disguise.
* **a telling difference.**  Two columns, neither remarkable, whose difference ranks the target:
  a planned and an actual time, an amount before and after.

``likely`` needs the first kind, a nearly perfect column, or two kinds together; everything else
is ``check``: a person has to say whether the value is known when the prediction is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.target import TargetAnalysis

__all__ = ["MIN_SAMPLE", "Leak", "find_leaks"]

#: Of the rows that lack the column, the share that lack the label.
ONLY_THERE: Final = 0.98
#: Of the rows that lack the label, the share that lack the column.
MOSTLY_THERE: Final = 0.5
SURELY_THERE: Final = 0.8
#: AUC and R² of one column alone that hardly any honest column reaches.
PERFECT: Final = {"AUC": 0.995, "R²": 0.999}
STRONG: Final = {"AUC": 0.85, "R²": 0.8}
#: How far a suspicious column must stand above the next one.
LEAD: Final = {"AUC": 0.12, "R²": 0.3}
_PAIR: Final = 0.85
_MIN_GAPS: Final = 10
#: Labelled rows below which a strong column may be luck.
MIN_SAMPLE: Final = 200


@dataclass(frozen=True)
class Leak:
    """A suspected column with its evidence, as clauses."""

    column: str
    likely: bool
    evidence: list[str]


def find_leaks(columns: dict[str, ColumnProfile], target: TargetAnalysis) -> list[Leak]:
    """Gather the evidence against each column, the most suspicious first."""
    absent = _missing_with_label(columns, target)
    features = max(1, len(columns) - 1)
    if len(absent) > max(4, features // 2):
        # Rows without any content lack the label as they lack everything else.
        absent = {}
    strong, perfect = _too_good(target)
    pairs: dict[str, str] = {}
    for pair in target.pairs:
        if pair.score < _PAIR or target.sampled < MIN_SAMPLE:
            continue
        # Of the two, the one that tells more by itself is the one that knows the outcome.
        ours, other = sorted(
            (pair.first, pair.second),
            key=lambda name: (name in absent, target.strength.get(name, 0)),
            reverse=True,
        )
        if {ours, other} & set(perfect) or ours in pairs:
            continue
        pairs[ours] = (
            f"its difference to {other!r} ranks {target.column!r} with AUC {pair.score:.2f}"
        )
    leaks = []
    for name in columns:
        evidence = [kind[name] for kind in (absent, perfect, strong, pairs) if name in kind]
        if not evidence:
            continue
        sure = absent.get(name, "").startswith("sure:")
        likely = sure or name in perfect or len(evidence) > 1
        leaks.append(Leak(name, likely, [clause.removeprefix("sure:") for clause in evidence]))
    return sorted(leaks, key=lambda leak: (not leak.likely, -target.strength.get(leak.column, 0)))


def _missing_with_label(
    columns: dict[str, ColumnProfile], target: TargetAnalysis
) -> dict[str, str]:
    if target.missing < _MIN_GAPS or target.missing > 0.5 * target.rows:
        return {}
    found = {}
    for name, column in columns.items():
        if name == target.column or column.missing < _MIN_GAPS:
            continue
        only = column.unlabelled / column.missing
        mostly = column.unlabelled / target.missing
        if only >= ONLY_THERE and mostly >= MOSTLY_THERE:
            clause = (
                f"missing in {_share(mostly)} of the {target.missing:,} rows without "
                f"{target.column!r} and {'never' if only == 1 else 'hardly ever'} elsewhere"
            )
            found[name] = f"{'sure:' if mostly >= SURELY_THERE else ''}{clause}"
    return found


def _too_good(target: TargetAnalysis) -> tuple[dict[str, str], dict[str, str]]:
    metric = target.metric
    if target.sampled < MIN_SAMPLE or not target.strength:
        return {}, {}
    verb = "ranks" if metric == "AUC" else "explains"
    perfect = {
        name: f"alone it {verb} {target.column!r} with {metric} {score:.3f}"
        for name, score in target.strength.items()
        if score >= PERFECT[metric]
    }
    rest = sorted(
        ((s, name) for name, s in target.strength.items() if name not in perfect), reverse=True
    )
    strong: dict[str, str] = {}
    most = max(1, len(target.strength) // 4)
    for place, (score, _) in enumerate(rest[:most]):
        following = rest[place + 1][0] if place + 1 < len(rest) else 0.0
        if place + 1 < len(rest) and score >= STRONG[metric] and score - following >= LEAD[metric]:
            strong = {
                name: (
                    f"alone it {verb} {target.column!r} with {metric} {s:.2f}, "
                    f"the next column with {following:.2f}"
                )
                for s, name in rest[: place + 1]
            }
    return strong, perfect


def _share(fraction: float) -> str:
    return "all" if fraction == 1 else f"{100 * fraction:.0f} %"
