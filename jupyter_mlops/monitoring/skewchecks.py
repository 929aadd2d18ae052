"""Skew checks as they are kept."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from jupyter_mlops.monitoring.features import FeatureDrift
from jupyter_mlops.monitoring.pairs import SkewFeature
from jupyter_mlops.monitoring.records import SkewCheckRecord
from jupyter_mlops.monitoring.replaying import Replay
from jupyter_mlops.monitoring.skew import Skew, to_dict
from jupyter_mlops.monitoring.windows import Window
from jupyter_mlops.workspace import NotFound, Workspace

__all__ = ["find_skew", "keep_skew"]


def keep_skew(ws: Workspace, skew: Skew) -> Skew:
    """Store a skew check, with its event."""
    with ws.write() as transaction:
        transaction.session.add(
            SkewCheckRecord(
                id=skew.id,
                endpoint=skew.endpoint,
                model=skew.model,
                reference=skew.reference,
                rows=skew.rows,
                verdict=skew.verdict,
                result=to_dict(skew),
                actor=ws.user,
                at=skew.at,
            )
        )
        transaction.emit(
            "skew.checked",
            f"endpoint:{skew.endpoint}",
            payload={"verdict": skew.verdict, "rows": skew.rows, "skewed": skew.skewed[:20]},
            inputs=[f"model:{skew.model}"] if skew.model else [],
            outputs=[skew.ref],
        )
    return skew


def find_skew(ws: Workspace, ref: str) -> Skew:
    """Return the check that ``skew:<id>`` means, or the newest of ``endpoint:<name>``.

    Raises
    ------
    NotFound
        ``E-MONITORING-025``: there is none, or several begin so.
    """
    kind, _, name = ref.rpartition(":")
    query = select(SkewCheckRecord).order_by(SkewCheckRecord.at.desc())
    if kind == "skew":
        query = query.where(SkewCheckRecord.id.startswith(name, autoescape=True))
    else:
        query = query.where(SkewCheckRecord.endpoint == name).limit(1)
    with ws.read() as session:
        found = session.scalars(query).fetchmany(2)
        if len(found) == 1:
            return _restored(found[0])
    raise NotFound(
        f"{'no' if not found else 'more than one'} skew check is found by {ref!r}",
        fix="`%mlops skew ENDPOINT` makes one and says its id",
        code="E-MONITORING-025",
    )


def _restored(record: SkewCheckRecord) -> Skew:
    stored = record.result
    since, until = (
        datetime.fromisoformat(stored[one]) if stored[one] else None for one in ("since", "until")
    )
    return Skew(
        id=record.id,
        endpoint=record.endpoint,
        model=record.model,
        version=stored["version"],
        reference=record.reference,
        key=stored["key"],
        rows=record.rows,
        reference_rows=stored["reference_rows"],
        window=Window(since, until),
        features=[SkewFeature.from_dict(one) for one in stored["features"]],
        distributions=[FeatureDrift.from_dict(one) for one in stored["distributions"]],
        replay=Replay.from_dict(stored["replay"]) if stored["replay"] else None,
        verdict=record.verdict,  # type: ignore[arg-type]
        sentence=stored["sentence"],
        notices=list(stored["notices"]),
        at=record.at,
    )
