"""A drift check: what it found, and how it is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from jupyter_mlops.monitoring.attribution import LossChange
from jupyter_mlops.monitoring.causes import Cause
from jupyter_mlops.monitoring.features import FeatureDrift
from jupyter_mlops.monitoring.joint import JointDrift
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.performance import Performance
from jupyter_mlops.monitoring.records import DriftCheckRecord, ReportRecord
from jupyter_mlops.monitoring.verdicts import Overall
from jupyter_mlops.monitoring.windows import Window
from jupyter_mlops.workspace import NotFound, Result, Workspace, closest
from jupyter_mlops.workspace.references import Reference

_ID = re.compile(r"[0-9a-f]{6,32}")


@dataclass(frozen=True)
class Drift(Result):
    """What a check of an endpoint's traffic found.

    Attributes
    ----------
    id : str
        The check's id; ``drift:<id>`` refers to it.
    endpoint : str
    model, version : str or None
        The model version that is judged, such as ``delay@3`` and ``3``.
    reference : str
        What the traffic was compared with: a data reference or a source.
    reference_rows, rows : int
        Rows of the reference and of the window.
    window : Window
        What was asked for; `first` and `last` are the event times found in it.
    verdict : str
        ``"stable"``, ``"inputs moved"``, ``"performance worse"``,
        ``"inputs moved, performance worse"`` or ``"not enough data"``.
    sentence : str
        The verdict with its numbers.
    features, predictions : list of FeatureDrift
        Most alarming first. Predictions are compared with those at validation.
    missing : list of str
        Features of the model that the traffic or the reference doesn't have.
    performance : Performance or None
        None until a truth has come.
    notices : list of str
        What to know when reading the numbers.
    limits : Limits
    at : datetime
        When the check was made.
    report_id : str or None
        The stored Evidently report, if there is one.
    joint : JointDrift or None
        All features taken together.
    causes : list of Cause
        Of the features that drifted: where, since when, and what each costs.
    loss : LossChange or None
        By how much the loss to expect changed since validation, whatever the truth will be.
    schema : list of str
        Columns that came, or that hold values of another kind.
    promise : str
        How often a check of unchanged inputs flags anything.
    source : str
        What was read: rows, or kept profiles.
    """

    id: str
    endpoint: str
    model: str | None
    version: str | None
    reference: str
    reference_rows: int
    rows: int
    window: Window
    first: datetime | None
    last: datetime | None
    verdict: Overall
    sentence: str
    features: list[FeatureDrift]
    predictions: list[FeatureDrift]
    missing: list[str]
    performance: Performance | None
    notices: list[str]
    limits: Limits
    at: datetime
    report_id: str | None = field(default=None, compare=False)
    joint: JointDrift | None = None
    causes: list[Cause] = field(default_factory=list)
    loss: LossChange | None = None
    schema: list[str] = field(default_factory=list)
    promise: str = ""
    source: str = ""

    @property
    def ref(self) -> str:
        return f"drift:{self.id}"

    @property
    def drifted(self) -> list[str]:
        """Names of the features that drifted, most alarming first."""
        return [feature.name for feature in self.features if feature.verdict == "drifted"]

    @property
    def watched(self) -> list[str]:
        """Names of the features to watch."""
        return [feature.name for feature in self.features if feature.verdict == "watch"]

    def feature(self, name: str) -> FeatureDrift:
        """Return one feature or prediction column by name."""
        for one in [*self.features, *self.predictions]:
            if one.name == name:
                return one
        raise NotFound(
            f"the check {self.ref} has no feature {name!r}",
            fix=closest(name, [one.name for one in self.features]),
            code="E-MONITORING-003",
        )

    def explained(self, cause: Cause) -> float | None:
        """The share of the change of the loss to expect that a feature explains by itself.

        None where the loss to expect didn't surely change, or isn't known.
        """
        if self.loss is None or cause.loss is None or not self.loss.told:
            return None
        return cause.loss.value / self.loss.value

    def to_dict(self) -> dict[str, Any]:
        """What the record keeps beside its own columns, JSON-safe."""
        return {
            "version": self.version,
            "reference_rows": self.reference_rows,
            "sentence": self.sentence,
            "features": [one.to_dict() for one in self.features],
            "predictions": [one.to_dict() for one in self.predictions],
            "missing": self.missing,
            "performance": self.performance and self.performance.to_dict(),
            "notices": self.notices,
            "limits": self.limits.to_dict(),
            "joint": self.joint and self.joint.to_dict(),
            "causes": [one.to_dict() for one in self.causes],
            "loss": self.loss and self.loss.to_dict(),
            "schema": self.schema,
            "promise": self.promise,
            "source": self.source,
        }


@dataclass(frozen=True)
class Checks(Result):
    """The checks of an endpoint, or of all, the newest first.

    Attributes
    ----------
    items : list of Drift
        At most 200.
    total : int
        How many there are.
    endpoint : str or None
    """

    items: list[Drift]
    total: int
    endpoint: str | None = None

    def __iter__(self) -> Iterator[Drift]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def keep(ws: Workspace, drift: Drift) -> Drift:
    """Store a check, with its event."""
    with ws.write() as transaction:
        transaction.session.add(
            DriftCheckRecord(
                id=drift.id,
                endpoint=drift.endpoint,
                model=drift.model,
                reference=drift.reference,
                since=drift.window.since,
                until=drift.window.until,
                first=drift.first,
                last=drift.last,
                rows=drift.rows,
                verdict=drift.verdict,
                result=drift.to_dict(),
                actor=ws.user,
                at=drift.at,
            )
        )
        transaction.emit(
            "drift.checked",
            f"endpoint:{drift.endpoint}",
            payload={"verdict": drift.verdict, "rows": drift.rows, "drifted": drift.drifted[:20]},
            inputs=[f"model:{drift.model}"] if drift.model else [],
            outputs=[drift.ref],
        )
    return drift


def check(ws: Workspace, ref: str) -> Drift:
    """Return a stored check.

    Parameters
    ----------
    ref : str
        ``drift:<id>``, the id alone, or the first digits of it.

    Raises
    ------
    NotFound
        ``E-MONITORING-004`` when there is none, or several begin so.
    """
    name = Reference.parse(ref, kind="drift").name
    with ws.read() as session:
        found = session.scalars(
            select(DriftCheckRecord).where(DriftCheckRecord.id.startswith(name, autoescape=True))
        ).fetchmany(2)
        if len(found) != 1:
            raise NotFound(
                f"{'no' if not found else 'more than one'} drift check is called {name!r}",
                fix="`%mlops drift ENDPOINT` makes one and says its id",
                code="E-MONITORING-004",
            )
        report = session.scalar(
            select(ReportRecord.id)
            .where(ReportRecord.subject == f"drift:{found[0].id}")
            .order_by(ReportRecord.at.desc())
        )
        return _restored(found[0], report)


def find_check(ws: Workspace, ref: str) -> Drift:
    """Return the check that ``drift:<id>``, ``endpoint:<name>`` or a bare word of them means.

    Raises
    ------
    NotFound
        ``E-MONITORING-004``: there is no such check, or the endpoint has none yet.
    """
    if not ref.startswith("drift:"):
        name = Reference.parse(ref, kind="endpoint").name
        last = latest(ws, name)
        if last is not None:
            return last
        if not _ID.fullmatch(name):
            raise NotFound(
                f"endpoint {name!r} has no drift check",
                fix=f"`%mlops drift {name}` makes one",
                code="E-MONITORING-004",
            )
        ref = name
    return check(ws, ref)


def latest(ws: Workspace, endpoint: str) -> Drift | None:
    """Return the endpoint's newest check, or None."""
    with ws.read() as session:
        found = session.scalar(
            select(DriftCheckRecord)
            .where(DriftCheckRecord.endpoint == endpoint)
            .order_by(DriftCheckRecord.at.desc())
            .limit(1)
        )
        return _restored(found, None) if found is not None else None


def list_checks(ws: Workspace, endpoint: str | None = None, limit: int = 200) -> Checks:
    """List the stored checks of an endpoint, or of all endpoints, the newest first."""
    query = select(DriftCheckRecord).order_by(DriftCheckRecord.at.desc())
    count = select(func.count()).select_from(DriftCheckRecord)
    name = Reference.parse(endpoint, kind="endpoint").name if endpoint is not None else None
    if name is not None:
        query = query.where(DriftCheckRecord.endpoint == name)
        count = count.where(DriftCheckRecord.endpoint == name)
    with ws.read() as session:
        found = [_restored(one, None) for one in session.scalars(query.limit(limit))]
        return Checks(found, session.scalar(count) or 0, name)


def _restored(record: DriftCheckRecord, report: str | None) -> Drift:
    stored: Mapping[str, Any] = record.result
    return Drift(
        id=record.id,
        endpoint=record.endpoint,
        model=record.model,
        version=stored["version"],
        reference=record.reference,
        reference_rows=stored["reference_rows"],
        rows=record.rows,
        window=Window(record.since, record.until),
        first=record.first,
        last=record.last,
        verdict=record.verdict,  # type: ignore[arg-type]
        sentence=stored["sentence"],
        features=[FeatureDrift.from_dict(one) for one in stored["features"]],
        predictions=[FeatureDrift.from_dict(one) for one in stored["predictions"]],
        missing=list(stored["missing"]),
        performance=stored["performance"] and Performance.from_dict(stored["performance"]),
        notices=list(stored["notices"]),
        limits=Limits.from_dict(stored["limits"]),
        at=record.at,
        report_id=report,
        # Checks of before there were these have none.
        joint=(joint := stored.get("joint")) and JointDrift.from_dict(joint),
        causes=[Cause.from_dict(one) for one in stored.get("causes", [])],
        loss=(loss := stored.get("loss")) and LossChange(**loss),
        schema=list(stored.get("schema", [])),
        promise=stored.get("promise", ""),
        source=stored.get("source", ""),
    )
