"""A contract's own tolerance decides what counts as drift of a feature."""

from __future__ import annotations

import json

import numpy as np
import polars as pl

from jupyter_mlops.monitoring import Limits, compare_features
from jupyter_mlops.profiling import profile
from jupyter_mlops.profiling.contracts import infer


def rows(shift: float) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    return pl.DataFrame(
        {"patient": rng.normal(shift, 1, 4000), "strict": rng.normal(shift / 4, 1, 4000)}
    )


def verdicts(limits: Limits | None) -> dict[str, str]:
    found = compare_features(rows(0.0), rows(0.8), ["patient", "strict"], limits)
    return {one.name: one.verdict for one in found}


def test_features_with_their_own_limits_are_judged_by_them() -> None:
    contract = infer(profile(rows(0.0).lazy()))
    assert Limits.of_contract(contract) == Limits.of_contract(None) == Limits()
    assert verdicts(Limits.of_contract(contract)) == {"patient": "drifted", "strict": "watch"}
    edited = contract.column("patient", watch=1.0, act=2.0).column("strict", watch=0.01, act=0.02)
    limits = Limits.of_contract(edited)
    assert verdicts(limits) == {"patient": "stable", "strict": "drifted"}
    # As they are kept with a check, and as checks of before were.
    assert Limits.from_dict(json.loads(json.dumps(limits.to_dict()))) == limits
    before = {key: one for key, one in Limits().to_dict().items() if key != "columns"}
    assert Limits.from_dict(before) == Limits()
