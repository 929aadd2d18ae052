"""Contracts: what a table must be like, learnt from data, edited by people, enforced everywhere."""

from __future__ import annotations

from jupyter_mlops.profiling.contracts.checking import check
from jupyter_mlops.profiling.contracts.diffing import ContractDiff, diff
from jupyter_mlops.profiling.contracts.inferring import infer
from jupyter_mlops.profiling.contracts.keeping import (
    Contracts,
    edit,
    enforce,
    get,
    learn,
    list_contracts,
    patch,
    save,
)
from jupyter_mlops.profiling.contracts.model import Contract, Terms
from jupyter_mlops.profiling.contracts.violations import CheckResult, Violation

__all__ = [
    "CheckResult",
    "Contract",
    "ContractDiff",
    "Contracts",
    "Terms",
    "Violation",
    "check",
    "diff",
    "edit",
    "enforce",
    "get",
    "infer",
    "learn",
    "list_contracts",
    "patch",
    "save",
]
