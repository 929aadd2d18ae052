"""What endpoints count becomes an alert when it can't be bad luck, and only then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from jupyter_mlops.monitoring.budget import QUARTER, Budget
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.live import Counts, Live, Series, evidence
from jupyter_mlops.monitoring.monitors import Terms

RULE = {"column": "km", "rule": "bounds", "share": 0.001}


def state(requests: int, errors: int = 0, slow: int = 0, broken: int = 0) -> dict[str, Any]:
    """An endpoint's state file, as far as it is read."""
    rules = [RULE | {"rows": broken}] if broken else []
    version = {
        "role": "primary",
        "requests": requests,
        "errors": errors,
        "slower": {"100": slow, "250": slow},
        "contract": {"rows": requests, "broken": rules},
    }
    shadow = {**version, "role": "shadow", "errors": requests}
    return {"versions": [version, shadow]}


def test_requests_that_fail_open_an_alert_within_one_look():
    live, terms = Live(), Terms()
    assert live.look("delay", state(1000, 5), terms, 0.0) == []  # from before we looked
    assert live.look("delay", state(1010, 5), terms, 5.0) == []
    (found,) = live.look("delay", state(1020, 13), terms, 10.0)
    assert (found.kind, found.bad, found.numbers["bad"], found.numbers["total"]) == (
        "errors", True, 8, 20
    )  # fmt: skip
    assert "8 of 20 requests failed within 10 s" in found.reason
    # What goes on is counted once a minute, and what is over needs enough requests to say so.
    assert live.look("delay", state(1030, 23), terms, 15.0) == []
    assert live.look("delay", state(1060, 53), terms, 70.0)[0].bad is True
    assert live.look("delay", state(1080, 53), terms, 110.0) == []
    assert live.look("delay", state(1095, 53), terms, 115.0)[0].bad is False


def test_a_process_that_began_anew_counts_from_nothing():
    live, terms = Live(), Terms()
    live.look("delay", state(5000, 40), terms, 0.0)
    (found,) = live.look("delay", state(6, 6), terms, 5.0)
    assert (found.numbers["total"], found.numbers["bad"]) == (6, 6)


def test_slow_requests_and_broken_contracts_are_seen():
    live, terms = Live(), Terms(latency="250ms")
    live.look("delay", state(1000), terms, 0.0)
    found = live.look("delay", state(1100, slow=20, broken=30), terms, 5.0)
    assert {(one.kind, one.subject, one.bad) for one in found} == {
        ("latency", "250 ms", True), ("contract", "km: bounds", True)
    }  # fmt: skip
    assert "took longer than 250 ms" in found[0].reason


def test_the_bound_holds_for_the_binomial_tail():
    from scipy.stats import binom

    for total in (1, 5, 30, 400, 20_000):
        for limit in (0.001, 0.01, 0.2):
            bad = np.arange(total + 1)[:: max(1, total // 50)]
            bound = [np.exp(-evidence(total, int(k), limit)) for k in bad]
            assert np.all(binom.sf(bad - 1, total, limit) <= np.array(bound) + 1e-12)
    assert evidence(0, 0, 0.01) == 0.0
    assert evidence(10, 1, 0.0) == np.inf


@pytest.mark.parametrize("rate", [1, 40, 3000])
def test_an_endpoint_at_its_limit_raises_no_alarm_over_months(rate):
    """Exactly one request in a hundred fails: sixty quarters' budget, and none is used up."""
    rng = np.random.default_rng(rate)
    alpha = Budget(1.0, timedelta(days=1)).live(1)
    looks = 300_000
    totals = np.cumsum(rng.poisson(rate, looks))
    bads = np.cumsum(rng.binomial(np.diff(totals, prepend=0), 0.01))
    series, alarms = Series(0.0), 0
    for at, (total, bad) in enumerate(zip(totals.tolist(), bads.tolist(), strict=True)):
        verdict = series.add(Counts(total, bad, 0.01), alpha, 5.0 * at)
        if verdict is not None:
            series.begin(5.0 * at, alarm=verdict)
            alarms += verdict
    assert alarms == 0


@pytest.mark.parametrize("every", ["1h", "6h", "1d", "7d", "30d"])
def test_the_budget_is_that_of_the_quarter(every):
    budget = Terms(every=every, alarms_a_quarter=1.0).budget
    limits = budget.limits(Limits())
    # The interval of the loss has two tails, and one of them raises alarms.
    checks = budget.checks * (limits.alpha + (1 - limits.confidence) / 2)
    live = 3 * budget.live(3) * (QUARTER / timedelta(seconds=5))
    assert checks + live <= 1.0 + 1e-9
    assert limits.alpha <= Limits().alpha
    assert "1 false alarm a quarter at the most" in str(budget)
