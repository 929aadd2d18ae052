"""A model card: what a version is for, what it learnt from, how good it is and who says so.

The sections follow Mitchell et al. (2019), "Model Cards for Model Reporting", FAT* '19.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jupyter_mlops.models.approvals import Approval, approvals_of
from jupyter_mlops.models.gates.checking import last_check
from jupyter_mlops.models.gates.evidence import Estimate, Evidence
from jupyter_mlops.models.gates.verdicts import GateCheck
from jupyter_mlops.models.records import CardRecord
from jupyter_mlops.models.versions import ModelVersion, get
from jupyter_mlops.workspace import Invalid, MLOpsError, Result, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Figure", "Labels", "ModelCard", "Use", "card", "say", "use_of"]

LONGEST = 20_000
#: Slices shown, the worst first.
SLICES = 10
#: Events of labelling that are looked through for those of the training data.
LOOKED_AT = 2_000
#: Of these metrics more is worse.
_LOSSES = {"log_loss", "brier", "rmse", "mae"}


@dataclass(frozen=True)
class Use:
    """What a version is for, in a person's words."""

    text: str
    actor: str
    written_at: datetime


@dataclass(frozen=True)
class Figure:
    """A metric with its interval; of a slice of the rows where `slice` names it.

    Where the rows weren't kept, only the value is known.
    """

    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    rows: int | None = None
    slice: str = ""


@dataclass(frozen=True)
class Labels:
    """Labels given in the workspace to the training data, and their last commit's digest."""

    task: str
    digest: str
    labeled: int
    actor: str


@dataclass(frozen=True)
class ModelCard(Result):
    """All that is recorded of a version, for whoever has to trust it.

    Attributes
    ----------
    use : Use or None
        None when nobody has said it yet.
    data : dict of str to str
        Reference, digest, rows and origin of the training data; empty when it was no dataset.
    origin : dict of str to str
        What the run was made of: digests of cell, variables, validation rows.
    figures : tuple of Figure
        Metrics with 95% intervals, then the worst slices.
    check : GateCheck or None
        What became of its gates last.
    requirements : tuple of str
        The packages it needs.
    notes : tuple of str
        What couldn't be found out, and why.
    """

    version: ModelVersion
    use: Use | None
    data: dict[str, str]
    labels: tuple[Labels, ...]
    origin: dict[str, str]
    figures: tuple[Figure, ...]
    check: GateCheck | None
    approvals: tuple[Approval, ...]
    requirements: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def loading(self) -> str:
        """The lines of Python that load it."""
        return (
            "from jupyter_mlops import models\n"
            "from jupyter_mlops.workspace import Workspace\n\n"
            f'model = models.load(Workspace.open(), "{self.version.label}")'
        )


def say(ws: Workspace, model: str, text: str) -> Use:
    """Write down what a version is for; it takes the place of what was said before.

    Raises
    ------
    Invalid
        There is no text, or more than 20,000 characters.
    """
    version = get(ws, model)
    if not text.strip() or len(text) > LONGEST:
        raise Invalid(
            f"{len(text.strip()):,} characters can't say what a model is for",
            fix=f"write between 1 and {LONGEST:,}",
            code="E-MODEL-050",
        )
    made = Use(text.strip(), ws.user, utcnow())
    with ws.write() as tx:
        row = tx.session.get(CardRecord, (version.name, version.version))
        if row is None:
            row = CardRecord(model=version.name, version=version.version)
            tx.session.add(row)
        row.text, row.actor, row.written_at = made.text, made.actor, made.written_at
        tx.emit("model.card_written", version.ref, payload={"text": made.text})
    return made


def use_of(ws: Workspace, version: ModelVersion) -> Use | None:
    """What a version is for; None when nobody has said it."""
    with ws.read() as session:
        row = session.get(CardRecord, (version.name, version.version))
        return Use(row.text, row.actor, row.written_at) if row is not None else None


def card(ws: Workspace, model: str, evidence: Evidence) -> ModelCard:
    """Put together what is recorded of a version.

    Raises
    ------
    NotFound
        There is no such version.
    Denied
        Its files aren't the ones that were registered.
    """
    version = get(ws, model)
    folder = version.path(ws)
    needed = (folder / "requirements.txt").read_text("utf-8").split()
    figures, notes = _figures(version, evidence)
    return ModelCard(
        version,
        use_of(ws, version),
        _data(ws, version, notes),
        tuple(_labels(ws, version)),
        evidence.origin(version.run_id),
        tuple(figures),
        last_check(ws, version),
        tuple(approvals_of(ws, version)),
        tuple(needed),
        tuple(notes),
    )


def _figures(version: ModelVersion, evidence: Evidence) -> tuple[list[Figure], list[str]]:
    """Metrics with intervals where rows were kept, and the worst slices of the first."""
    known = evidence.metrics(version.run_id)
    figures, notes, first = [], [], ""
    for name, value in version.metrics.items():
        if name not in known:
            figures.append(Figure(name, value))
            continue
        try:
            figures.append(_figure(name, evidence.metric(version.run_id, name)))
            first = first or name
        except MLOpsError as error:
            figures.append(Figure(name, value))
            notes.append(f"{name} has no interval: {error.what}.")
    if not first:
        return figures, notes
    try:
        slices = evidence.slices(version.run_id, first)
    except MLOpsError as error:
        return figures, [*notes, f"There are no slices: {error.what}."]
    worst = sorted(slices, key=lambda one: one.estimate.value, reverse=first in _LOSSES)
    figures += [
        _figure(first, one.estimate, f"{one.column} = {one.label}") for one in worst[:SLICES]
    ]
    return figures, notes


def _figure(name: str, found: Estimate, slice: str = "") -> Figure:
    return Figure(name, found.value, found.low, found.high, found.rows, slice)


def _data(ws: Workspace, version: ModelVersion, notes: list[str]) -> dict[str, str]:
    if version.data_ref is None:
        notes.append("It was trained on variables of the notebook, not on a dataset.")
        return {}
    from jupyter_mlops.data import get as get_dataset

    try:
        found = get_dataset(ws, version.data_ref)
    except MLOpsError as error:
        notes.append(f"The training data can't be told of: {error.what}.")
        return {"ref": version.data_ref}
    return {
        "ref": found.ref,
        "digest": found.digest,
        "rows": f"{found.rows:,}",
        "origin": found.origin,
    }


def _labels(ws: Workspace, version: ModelVersion) -> list[Labels]:
    """The last commit of each task that labelled the training data before it was used."""
    if version.data_ref is None:
        return []
    made_of: set[Any] = {version.data_ref}
    for event in ws.events(kind="dataset.added", subject=version.data_ref):
        made_of.update(event.inputs)
    found: dict[str, Labels] = {}
    for event in ws.events(kind="label.committed", newest=True, limit=LOOKED_AT):
        about = {event.subject, *event.inputs}
        if event.at > version.created_at or not about & made_of or event.subject in found:
            continue
        told = event.payload
        found[event.subject] = Labels(
            event.subject, str(told["digest"]), int(told["labeled"]), event.actor
        )
    return list(found.values())
