"""Gates: what a version must show before it is promoted."""

from __future__ import annotations

from jupyter_mlops.models.gates.checking import check, last_check
from jupyter_mlops.models.gates.evidence import Evidence
from jupyter_mlops.models.gates.keeping import (
    Gates,
    KeptGate,
    clear_gates,
    gates_of,
    set_gates,
)
from jupyter_mlops.models.gates.verdicts import GateCheck, Line

__all__ = [
    "Evidence",
    "GateCheck",
    "Gates",
    "KeptGate",
    "Line",
    "check",
    "clear_gates",
    "gates_of",
    "last_check",
    "set_gates",
]
