"""The forms of a policy: its terms to change, and other terms to try on the past."""

from __future__ import annotations

import json
from typing import Any, Final

from jupyter_mlops.retraining.policies import Policy
from jupyter_mlops.views.blocks import Field, Form

__all__ = ["backtest_form", "policy_form"]

_WHEN: Final = "such as drift or age > 30d; empty: each time it looks"
_GATE: Final = "such as auc > 0.8; empty: a loss below the champion's"
_WINDOW: Final = "expanding, or the newest such as 90d"
_HOLD: Final = "of the newest rows with truth: 20%, or 14d"


def policy_form(policy: Policy) -> Form:
    """All terms, filled in as they are; what is changed alone is set."""
    terms = policy.terms
    told = ",".join(f"{key}={_written(value)}" for key, value in terms.parameters.items())
    runs = "" if terms.runs_a_week is None else str(terms.runs_a_week)
    fields = [
        _needed("notebook", "Notebook", terms.notebook, "from the workspace's folder"),
        Field(name="set", label="Parameters", value=told, hint="NAME=VALUE, with commas",
              emptied=""),
        Field(name="env", label="Environment", value=terms.env,
              hint="empty: the kernel that the notebook names", emptied=""),
        _needed("endpoint", "Endpoint", terms.endpoint, "whose traffic and truth"),
        Field(name="when", label="Trains when", value=terms.when, hint=_WHEN, emptied=""),
        _needed("every", "Looks every", terms.every, "such as 7d"),
        _needed("over", "Looks at the newest", terms.over, "traffic, such as 30d"),
        _needed("window", "Trains on", terms.window, _WINDOW),
        _needed("hold", "Judges on", terms.hold, _HOLD),
        Field(name="gate", label="Must show", value=terms.gate, hint=_GATE, emptied=""),
        Field(name="approve", label="Approved by", kind="choice", value=terms.approve,
              choices=["person", "auto"], hint="auto: the gates alone", emptied="", required=True),
        _needed("timeout", "A notebook may take", terms.timeout, "such as 2h"),
        Field(name="retries", label="Runs again after a failure", kind="number",
              value=str(terms.retries), hint="times", emptied="0"),
        Field(name="runs_a_week", label="Notebooks a week", kind="number", value=runs,
              hint="at most; empty: any number", emptied="0"),
        Field(name="cpu_a_week", label="Processor time a week", value=terms.cpu_a_week,
              hint="at most, such as 2h; empty: any", emptied=""),
    ]  # fmt: skip
    return Form(
        title="Change its terms",
        submit="Set the policy",
        verb="retrain",
        args={"model": policy.model, "name": policy.name},
        fields=fields,
        changes=True,
        confirm="Set these terms? The policy looks again at once, and a decision under way ends.",
    )


def backtest_form(policy: Policy) -> Form:
    """Terms to try on the past; those of the policy stay as they are."""
    terms = policy.terms
    fields = [
        Field(name="when", label="Trains when", value=terms.when, hint=_WHEN, emptied=""),
        _needed("every", "Looks every", terms.every, "such as 7d"),
        _needed("window", "Trains on", terms.window, _WINDOW),
        _needed("hold", "Judges on", terms.hold, _HOLD),
        Field(name="gate", label="Must show", value=terms.gate, hint=_GATE, emptied=""),
        Field(name="over", label="Of the newest", hint="traffic, such as 365d; empty: all of it"),
        Field(name="seeds", label="Played", kind="number", value="1",
              hint="times, with other random numbers"),
        Field(name="share", label="Rows each time", kind="number", value="1",
              hint="share of them, above 0 and up to 1"),
    ]  # fmt: skip
    return Form(
        title="Try terms on the past",
        submit="Back-test",
        verb="backtest",
        args={"policy": policy.name},
        fields=fields,
        changes=True,
        inline=True,
    )


def _needed(name: str, label: str, value: str, hint: str) -> Field:
    """A term that is always there: where it is taken away the verb says so."""
    return Field(name=name, label=label, value=value, hint=hint, required=True, emptied="")


def _written(value: Any) -> str:
    """As a person writes it: a word that JSON would take for something else has quotes."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        json.loads(value)
    except ValueError:
        return value
    return json.dumps(value)
