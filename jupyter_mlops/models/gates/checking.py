"""Hold a version against its model's gates, and keep what came of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from jupyter_mlops.models.gates.evidence import Evidence
from jupyter_mlops.models.gates.grammar import Gate, parse
from jupyter_mlops.models.gates.judging import Trial
from jupyter_mlops.models.gates.keeping import FIGURES, gates_of
from jupyter_mlops.models.gates.verdicts import GateCheck, Line
from jupyter_mlops.models.versions import ModelVersion, get
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["check", "last_check", "last_verdicts"]


def check(ws: Workspace, model: str | ModelVersion, evidence: Evidence) -> GateCheck:
    """Hold a version against its model's gates, and keep what came of it as an event.

    Parameters
    ----------
    ws : Workspace
    model : str or ModelVersion
        A bare name means its newest version.
    evidence : Evidence
        What is known of the runs, such as `jupyter_mlops.experiments.evidence.RunEvidence`.

    Raises
    ------
    NotFound
        There is no such version.
    """
    version = get(ws, model)
    trial = Trial(ws, version, evidence)
    kept = gates_of(ws, version.name).items
    lines = []
    for one in kept:
        lines += [trial.judge(gate) for gate in _read(one.expression, version, one.name)]
    champion = trial.at("champion")
    label = champion.label if champion else ""
    made = GateCheck(version, tuple(lines), label, utcnow(), ws.user)
    if not kept:
        return made
    with ws.write() as tx:
        event = tx.emit(
            "gate.checked",
            version.ref,
            payload={
                "passed": made.passed,
                "champion": label,
                "digest": version.digest,
                "lines": [_plain(line) for line in lines],
            },
            inputs=[
                *([f"run:{version.run_id}"] if version.run_id else []),
                *([champion.ref] if champion else []),
            ],
        )
    return GateCheck(version, made.lines, label, event.at, ws.user, event.seq)


def last_check(ws: Workspace, version: ModelVersion) -> GateCheck | None:
    """The newest check of a version as it was kept; None when there is none."""
    found = ws.events(kind="gate.checked", subject=version.ref, newest=True, limit=1)
    if not found:
        return None
    event = found[0]
    lines = tuple(Line(**line) for line in event.payload["lines"])
    champion = event.payload["champion"]
    return GateCheck(version, lines, champion, event.at, event.actor, event.seq)


def last_verdicts(ws: Workspace) -> dict[str, bool]:
    """Whether versions passed their gates when these were asked last, by reference.

    Of the last thousand checks; what was never asked isn't there.
    """
    checks = ws.events(kind="gate.checked", newest=True, limit=1000)
    return {one.subject: bool(one.payload["passed"]) for one in reversed(checks)}


def _read(text: str, version: ModelVersion, name: str) -> list[Gate]:
    """A kept gate, whose names were known when it was set."""
    known = {*FIGURES.get(version.task, ()), *version.metrics, *_words(text)}
    return [Gate(name, one.text, one.means) for one in parse(text, known, _words(text))]


def _words(text: str) -> set[str]:
    plain = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in text)
    return set(plain.split()) - {"contract", "verified", "approved"}


def _plain(line: Line) -> dict[str, Any]:
    """A line as JSON has it: there is no infinity."""
    return {
        name: None if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
        for name, value in asdict(line).items()
    }
