"""What an endpoint counts while it serves: failed and slow requests, strange rows, broken rules.

A share above its limit is told from bad luck by Hoeffding's bound for the tail of a binomial
(Journal of the American Statistical Association 58, 1963, theorem 1):
``P(X >= k) <= exp(-n KL(k/n || p))``. It holds for any `n` and needs no library. Requests and
rows are taken as independent of each other; rows of one request may not be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jupyter_mlops.monitoring.alerts import Finding
from jupyter_mlops.monitoring.monitors import Terms, latency_of

__all__ = ["Counts", "Live", "Series", "counted", "evidence"]

#: A block shorter or smaller than that says nothing good.
_GOOD_SECONDS: Final = 30.0
_FEWEST: Final = 30
#: A block this old ends, whatever it says.
_LONGEST: Final = 1800.0
#: What goes on being bad is counted once a minute.
_AGAIN: Final = 60.0
_SLOW_SHARE: Final = 0.01
#: A rule that no row may break is still no alert for one row in a hundred.
_BROKEN_SHARE: Final = 0.01


@dataclass(frozen=True)
class Counts:
    """Requests or rows since an endpoint's process began, and how many of them were bad."""

    total: int
    bad: int
    limit: float


def evidence(total: int, bad: int, limit: float) -> float:
    """How much speaks against a true share within the limit: minus the log of the bound.

    Examples
    --------
    >>> round(evidence(4, 4, 0.01), 1), evidence(100, 1, 0.01)
    (18.4, 0.0)
    """
    if total == 0 or bad / total <= limit:
        return 0.0
    if limit == 0:
        return math.inf
    share = bad / total
    inside = share * math.log(share / limit)
    outside = (1 - share) * math.log((1 - share) / (1 - limit)) if share < 1 else 0.0
    return total * (inside + outside)


class Series:
    """One share over time, judged in blocks that end when they say something.

    Each look at a block is one test, so the budget is that of all looks; see `Budget.live`.
    """

    def __init__(self, now: float) -> None:
        self.before: Counts | None = None
        self.total = self.bad = 0
        self.began = now
        self.alarmed = -math.inf

    def add(self, counts: Counts, alpha: float, now: float) -> bool | None:
        """Add what came since the last look; say whether the block is bad (True) or good."""
        before = self.before
        self.before = counts
        if before is None:
            return None  # what came before we looked may be long over
        if counts.total < before.total or counts.bad < before.bad:
            before = Counts(0, 0, counts.limit)  # its process or its version began anew
        self.total += counts.total - before.total
        self.bad += counts.bad - before.bad
        if evidence(self.total, self.bad, counts.limit) >= -math.log(alpha):
            return True if now - self.alarmed >= _AGAIN else None
        age = now - self.began
        fine = self.total > 0 and self.bad / self.total <= counts.limit
        if fine and (age >= _LONGEST or (age >= _GOOD_SECONDS and self.total >= _FEWEST)):
            return False
        if age >= _LONGEST:
            self.begin(now)
        return None

    def begin(self, now: float, *, alarm: bool = False) -> None:
        """Begin a block."""
        self.total = self.bad = 0
        self.began = now
        if alarm:
            self.alarmed = now


class Live:
    """What all endpoints count, from look to look.

    It is kept in memory: an agent that begins anew counts from then on.
    """

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, str], Series] = {}
        self._before: dict[str, tuple[int, float]] = {}

    def look(
        self, endpoint: str, state: Mapping[str, Any], terms: Terms, now: float
    ) -> list[Finding]:
        """Judge what an endpoint's process says of itself.

        Parameters
        ----------
        endpoint : str
        state : mapping
            Its state file.
        terms : Terms
        now : float
            Seconds of a clock that never goes back.
        """
        found = []
        every = counted(state, terms)
        alpha = terms.budget.live(len(every))
        for (kind, subject), counts in every.items():
            series = self._series.setdefault((endpoint, kind, subject), Series(now))
            if series.before is None and kind == "contract" and endpoint in self._before:
                # A rule is told of once it was broken: until the last look it never was.
                rows, series.began = self._before[endpoint]
                series.before = Counts(rows, 0, counts.limit)
            verdict = series.add(counts, alpha, now)
            if verdict is None:
                continue
            numbers = {
                "total": series.total,
                "bad": series.bad,
                "share": round(series.bad / series.total, 6),
                "limit": counts.limit,
                "seconds": round(now - series.began, 1),
                "alpha": alpha,
            }
            reason = _sentence(kind, subject, numbers)
            found.append(Finding(endpoint, kind, subject, verdict, reason, numbers))
            series.begin(now, alarm=verdict)
        if every:
            self._before[endpoint] = _rows(_answering(state)), now
        return found


def counted(state: Mapping[str, Any], terms: Terms) -> dict[tuple[str, str], Counts]:
    """What is judged, by kind and subject; shadows answer nobody and don't count."""
    versions = _answering(state)
    if not versions:
        return {}
    requests = sum(one["requests"] for one in versions)
    errors = sum(one["errors"] for one in versions)
    found = {("errors", "requests"): Counts(requests, errors, terms.errors)}
    if terms.latency is not None:
        limit = f"{1000 * latency_of(terms.latency):g}"
        slow = sum(one.get("slower", {}).get(limit, 0) for one in versions)
        found["latency", f"{limit} ms"] = Counts(requests - errors, slow, _SLOW_SHARE)
    scored = sum(one.get("scored", 0) for one in versions)
    if scored:
        strange = sum(one.get("outliers", 0) for one in versions)
        found["outliers", "rows"] = Counts(scored, strange, terms.outliers)
    found |= dict(_broken(versions))
    return found


def _answering(state: Mapping[str, Any]) -> list[Any]:
    return [one for one in state.get("versions", ()) if one.get("role") != "shadow"]


def _broken(versions: list[Any]) -> Iterator[tuple[tuple[str, str], Counts]]:
    rows = _rows(versions)
    broken: dict[str, tuple[int, float]] = {}
    for version in versions:
        for one in version.get("contract", {}).get("broken", ()):
            subject = f"{one['column']}: {one['rule']}"
            before, share = broken.get(subject, (0, 0.0))
            broken[subject] = before + one["rows"], max(share, one["share"], _BROKEN_SHARE)
    for subject, (bad, share) in broken.items():
        yield ("contract", subject), Counts(rows, bad, share)


def _rows(versions: list[Any]) -> int:
    """Rows that were held against the contract."""
    return sum(one.get("contract", {}).get("rows", 0) for one in versions)


def _sentence(kind: str, subject: str, numbers: Mapping[str, Any]) -> str:
    what = {
        "errors": "requests failed",
        "latency": f"requests took longer than {subject}",
        "outliers": "rows are outliers",
        "contract": f"rows break the contract's rule for {subject}",
    }[kind]
    return (
        f"{numbers['bad']:,} of {numbers['total']:,} {what} within {numbers['seconds']:.0f} s "
        f"({numbers['share']:.1%}; {numbers['limit']:.2%} is allowed)."
    )
