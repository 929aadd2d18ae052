"""The contract at training: rows are checked before a cell sees them, and the run keeps by what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from jupyter_mlops.workspace import Invalid, Workspace

if TYPE_CHECKING:
    import pandas as pd

    from jupyter_mlops.data import Table
    from jupyter_mlops.profiling.contracts import CheckResult, Contract, Terms

__all__ = ["Guard", "Mode", "agree", "guard"]

Mode = Literal["fail", "observe", "quarantine"]
# The types of MLflow's columns that hold what a contract's type says; pandas stores whole numbers
# with gaps as floats.
_TYPES = {
    "integer": {"integer", "long", "float", "double"},
    "float": {"integer", "long", "float", "double"},
    "decimal": {"float", "double"},
    "text": {"string"},
    "boolean": {"boolean"},
    "date": {"datetime", "string"},
    "datetime": {"datetime"},
    "datetime UTC": {"datetime"},
}


@dataclass
class Guard:
    """A contract that training data was checked against, and what came of it."""

    contract: Contract
    mode: Mode
    result: CheckResult
    removed: int = 0
    notes: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """What is kept with the run."""
        return {
            "ref": self.contract.ref,
            "digest": self.contract.digest,
            "mode": self.mode,
            "kept": self.result.ok,
            "removed": self.removed,
            "violations": [
                {
                    "column": one.column,
                    "rule": one.rule,
                    "rows": one.rows,
                    "share": one.share,
                    "allowed": one.allowed,
                }
                for one in self.result.violations[:100]
            ],
        }

    def seal(self) -> dict[str, dict[str, str]]:
        """What the outcome depends on: the contract, where it took rows away."""
        if self.mode != "quarantine":
            return {}
        mark = {"kind": "contract", "digest": self.contract.digest, "method": self.mode}
        return {"--contract": mark}


def guard(
    ws: Workspace, name: str, table: Table | None, mode: Mode
) -> tuple[Guard, pd.DataFrame | None]:
    """Check training data against a contract.

    Parameters
    ----------
    ws : Workspace
    name : str
        The contract.
    table : Table or None
        What ``--data`` means.
    mode : {"fail", "observe", "quarantine"}
        Raise; go on and say so; or go on without the rows that break it.

    Returns
    -------
    Guard
    pandas.DataFrame or None
        The rows that are left in quarantine mode; None where all are.

    Raises
    ------
    Invalid
        There is no table, or it breaks the contract; rows can't mend a missing column.
    """
    from jupyter_mlops.data import numpy_pandas
    from jupyter_mlops.profiling import contracts

    __tracebackhide__ = True
    found = contracts.get(ws, name)
    if table is None:
        raise Invalid(
            "--contract needs the training data",
            "what the body reads by itself can't be checked before it runs",
            "name the data with --data",
            code="E-TRAIN-020",
        )
    result = contracts.check(found, table.scan(), label=table.label)
    made = Guard(found, mode, result)
    if result.ok:
        return made, None
    if mode == "fail":
        result.raise_for_violations()
    if mode == "observe":
        made.notes.append(f"The data breaks {found.label}: {result.sentence()}.")
        return made, None
    rows = table.scan().collect()
    kept = rows.filter(~result.bad(rows))
    made.removed = rows.height - kept.height
    rest = contracts.check(found, kept, label=f"what quarantine leaves of {table.label}")
    rest.raise_for_violations()
    share = 100 * made.removed / max(1, rows.height)
    made.notes.append(
        f"{made.removed:,} of {rows.height:,} rows ({share:.3g} %) break {found.label} "
        f"and were left out: {result.sentence()}."
    )
    return made, numpy_pandas(kept)


def agree(contract: Contract, model: dict[str, Any]) -> list[str]:
    """Let a model's signature say what its contract does; return where the two disagree.

    A column that the contract lets be missing is optional in the signature.

    Parameters
    ----------
    contract : Contract
    model : dict
        As `portray` describes it; its signature is changed in place.
    """
    notes = []
    absent = contract.absent("serving")
    for one in (model.get("signature") or {}).get("inputs", []):
        name = one.get("name")
        terms = contract.columns.get(name)
        if terms is None:
            notes.append(f"The model uses {name!r}, of which {contract.label} says nothing.")
            continue
        if name in absent:
            notes.append(
                f"The model uses {name!r}, which {contract.label} says is absent at serving "
                f"({absent[name]})."
            )
        known = _TYPES.get(terms.type)
        if known is not None and one.get("type") not in known:
            notes.append(
                f"Column {name!r} is {terms.type} in {contract.label} "
                f"and {one.get('type')} in the model's signature."
            )
        if one.get("required") and _may_lack(terms):
            one["required"] = False
    return notes


def _may_lack(terms: Terms) -> bool:
    null = terms.null
    if not terms.required:
        return True
    if null is None or null.max_fraction == 0:
        return False
    # What was never missing has a limit above zero too, but nobody counts on it.
    return bool(null.observed) or null.source.startswith("edited")
