"""Whether one version does worse than another: the rule by which canaries are withdrawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jupyter_mlops.serving.deployed import Tally
    from jupyter_mlops.serving.expectations import Expectations

__all__ = ["FEW", "SOME", "Evidence", "breach", "complaint", "evidence", "wilson"]

#: Requests before a version is judged by its failures, and by its latency.
FEW, SOME = 30, 200
#: A rule that no row may break still sends no version back for one row in a hundred.
_BROKEN: Final = 0.01
_CONFIDENCE: Final = NormalDist().inv_cdf(0.995)


def complaint(one: Tally, reference: Tally) -> str:
    """Why a version does worse than another; empty when nothing shows that it does.

    It fails more often when the 99 % intervals of both shares (Wilson 1927) don't overlap; it is
    slower when its median is 1.5 times, and its 99th percentile twice, the other's.

    Examples
    --------
    >>> from jupyter_mlops.serving.deployed import Tally
    >>> good, bad = Tally(), Tally()
    >>> good.requests, bad.requests, bad.errors = 200, 100, 30
    >>> complaint(bad, good)
    '30 of its 100 requests failed, against 0 of 200'
    """
    if one.requests >= FEW and one.errors:
        low = wilson(one.errors, one.requests)[0]
        # Without anything to compare it with, a tenth is too much.
        high = wilson(reference.errors, reference.requests)[1] if reference.requests else 0.1
        if low > high:
            return (
                f"{one.errors:,} of its {one.requests:,} requests failed, "
                f"against {reference.errors:,} of {reference.requests:,}"
            )
    if min(len(one.seconds), len(reference.seconds)) < SOME:
        return ""
    mine = [one.quantile(q) or 0.0 for q in (0.5, 0.99)]
    theirs = [reference.quantile(q) or 0.0 for q in (0.5, 0.99)]
    if mine[0] > 1.5 * theirs[0] + 0.001 and mine[1] > 2 * theirs[1] + 0.005:
        told = f"{1000 * mine[0]:.1f} ms, at most {1000 * mine[1]:.1f} for 99 %"
        other = f"{1000 * theirs[0]:.1f} and {1000 * theirs[1]:.1f} ms"
        return f"it takes {told}, against {other}"
    return ""


def breach(one: Expectations, reference: Expectations) -> str:
    """Why rows break one version's contract and not another's; empty when nothing shows that.

    A rule is broken when the 99 % interval of the share of rows that break it (Wilson 1927) lies
    above what it allows, and above one in a hundred. What both contracts say tells nothing of
    the versions: there the rows are wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from jupyter_mlops.serving.expectations import Expectations
    >>> from jupyter_mlops.serving.intake import Rows
    >>> terms = {"km": {"bounds": {"lo": 0, "max_outside": 0}}}
    >>> narrow, wide = Expectations({"columns": terms}), Expectations({})
    >>> _ = narrow.meet(Rows(50, {"km": np.repeat([-1.0, 1.0], 25)}))
    >>> breach(narrow, wide)
    "25 of 50 rows break its contract's bounds of column 'km', which the other hasn't"
    >>> breach(narrow, narrow)
    ''
    """
    shared = {rule.terms for rule in reference.rules}
    for rule in one.rules:
        broken = one.broken[rule.column, rule.name]
        if rule.terms in shared or one.rows < FEW or not broken:
            continue
        if wilson(broken, one.rows)[0] > max(rule.share, _BROKEN):
            return (
                f"{broken:,} of {one.rows:,} rows break its contract's {rule.name} of column "
                f"{rule.column!r}, which the other hasn't"
            )
    return ""


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 99 % interval of a share of which `hits` of `n` were seen (Wilson 1927).

    Examples
    --------
    >>> [round(one, 3) for one in wilson(3, 100)]
    [0.007, 0.116]
    """
    z = _CONFIDENCE
    share, square = hits / n, z * z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * (share * (1 - share) / n + square / (4 * n * n)) ** 0.5
    return middle - half, middle + half


@dataclass(frozen=True)
class Evidence:
    """What is known of a canary beside the version that it may replace.

    Attributes
    ----------
    shares : tuple of tuple of float
        99 % intervals of the share of failures, the canary's and the other's; None before
        there are requests.
    failures_known, latency_known : bool
        Whether there are requests enough to judge it by its failures, and by its latency.
    """

    requests: int
    timed: int
    shares: tuple[tuple[float, float] | None, tuple[float, float] | None]

    @property
    def failures_known(self) -> bool:
        return self.requests >= FEW

    @property
    def latency_known(self) -> bool:
        return self.timed >= SOME


def evidence(canary: Mapping[str, Any], primary: Mapping[str, Any]) -> Evidence:
    """The evidence in two versions' figures, as an endpoint's state file holds them.

    Examples
    --------
    >>> figures = {"requests": 40, "errors": 0, "timed": 40}
    >>> found = evidence(figures, figures)
    >>> found.failures_known, found.latency_known
    (True, False)
    """
    one, other = (
        wilson(it["errors"], it["requests"]) if it["requests"] else None for it in (canary, primary)
    )
    timed = min(canary.get("timed", 0), primary.get("timed", 0))
    return Evidence(canary["requests"], timed, (one, other))
