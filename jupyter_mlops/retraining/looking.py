"""What a policy looks at: the champion, the rows whose truth has come, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import polars as pl

from jupyter_mlops import data, models, monitoring, serving
from jupyter_mlops.data import Table
from jupyter_mlops.experiments.trials import Run, find_run
from jupyter_mlops.models import ModelVersion
from jupyter_mlops.models.gates.keeping import FIGURES
from jupyter_mlops.monitoring.checks import Drift
from jupyter_mlops.monitoring.windows import parse_length
from jupyter_mlops.retraining.answering import Facts
from jupyter_mlops.retraining.decisions import Decision, list_decisions
from jupyter_mlops.retraining.evidence import HeldOut, answers_of
from jupyter_mlops.retraining.labelled import TIME, Labelled, labelled
from jupyter_mlops.retraining.promoting import CHAMPION
from jupyter_mlops.workspace import NotFound, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Subject"]

#: Decisions that knew all rows with truth there were; what came later is new.
_TRAINED: Final = ("held", "waiting", "promoted", "rolled back")


class Subject:
    """What a decision is about.

    Parameters
    ----------
    ws : Workspace
    found : Decision

    Attributes
    ----------
    notes : list of str
        Sentences a person should read.
    """

    def __init__(self, ws: Workspace, found: Decision) -> None:
        self.ws, self.found = ws, found
        self.notes: list[str] = []

    @cached_property
    def champion(self) -> ModelVersion:
        try:
            return models.get(self.ws, f"{self.found.model}@{CHAMPION}")
        except NotFound:
            served = serving.get(self.ws, self.found.terms.endpoint)
            self.notes.append(f"No version is {CHAMPION}: {served.model_ref} is served.")
            return models.get(self.ws, served.model_ref)

    @cached_property
    def run(self) -> Run:
        return find_run(self.ws, f"run:{self.champion.run_id}")

    @cached_property
    def known(self) -> Labelled:
        return labelled(self.ws, self.found.terms.endpoint, self.champion, self.run)

    @property
    def metrics(self) -> list[str]:
        """Metrics that a condition or a gate may name."""
        return sorted({*FIGURES.get(self.champion.task, ()), *self.champion.metrics})

    def fresh(self) -> int:
        """Rows with truth that no decision before this one knew, however late it came."""
        for one in self._earlier:
            window = one.found.get("window", {})
            # One that was held because of its budget knew nothing.
            if one.state in _TRAINED and "held_until" in window:
                return self._since(window)
        return self.known.rows.height

    def _since(self, window: Mapping[str, Any]) -> int:
        if window.get("known_until") and self.known.known_at is not None:
            known = datetime.fromisoformat(window["known_until"])
            return int((self.known.known_at > known).sum())
        held = datetime.fromisoformat(window["held_until"])
        return int((self.known.rows[TIME] > held).sum())

    @cached_property
    def _earlier(self) -> list[Decision]:
        """The policy's decisions before this one, the newest first."""
        every = list_decisions(self.ws, self.found.policy)
        return [one for one in every if one.id != self.found.id]

    @property
    def unseen(self) -> datetime | None:
        """From when on no version was trained on rows with truth.

        Truth that comes late, or another `hold`, may move what is held back into the time that an
        earlier challenger was trained on.
        """
        begins = [
            datetime.fromisoformat(one.found["window"]["held_since"])
            for one in self._earlier
            if one.challenger is not None and one.found.get("window", {}).get("held_since")
        ]
        return max(begins, default=None)

    def facts(self, fresh: int) -> Facts:
        """What a condition is answered from; `fresh` rows with truth are new."""
        own = self.known.rows.filter(
            pl.col("version").cast(pl.String) == str(self.champion.version)
        )
        if self.known.last is not None:
            own = own.filter(pl.col(TIME) > self.known.last - parse_length(self.found.terms.over))
        now = own.rename({self.known.target: "truth"}).with_columns(day=pl.col(TIME).dt.date())
        kept = [one for one in ("truth", "prediction", "probability", "day") if one in now.columns]
        promoted = self._promoted_at()
        return Facts(
            now=now.select(kept),
            references={
                "champion_at_promotion": self._at_promotion(),
                "validation": (self._validation(), f"{self.champion.label}'s validation"),
            },
            task=self.champion.task,  # type: ignore[arg-type]
            classes=self.run.model.get("classes"),
            new_rows=fresh,
            promoted_at=promoted,
            at=utcnow(),
            check=self._check,
        )

    def _promoted_at(self) -> datetime | None:
        subject = f"model:{self.found.model}@{CHAMPION}"
        moved = self.ws.events(kind="model.alias_moved", subject=subject, newest=True, limit=1)
        return moved[0].at if moved else None

    def _at_promotion(self) -> tuple[pl.DataFrame | None, str]:
        """What the champion achieved on the rows that it was promoted for."""
        for one in list_decisions(self.ws, self.found.policy):
            if one.challenger == self.champion.label and one.state == "promoted":
                rows = HeldOut.restored(self.ws, one.folder, [self.champion]).scored(self.champion)
                classes = self.run.model.get("classes")
                return answers_of(rows, classes), "when it was promoted"
        # Promoted by a person: what was known of it then is its validation.
        return self._validation(), f"at validation, before {self.champion.label} was promoted"

    def _validation(self) -> pl.DataFrame | None:
        run = self.run
        file = run.validation.get("file")
        if not file or not self.ws.artifacts.exists(file):
            return None
        with self.ws.artifacts.open(file) as stream:
            stored = pl.read_parquet(stream)
        classes, clock = run.model.get("classes"), run.validation.get("time")
        return monitoring.validation_rows(stored, classes, clock)

    def _check(self) -> Drift:
        return monitoring.drift(
            self.ws,
            data.resolve(self.ws, self.champion.data_ref) if self.champion.data_ref else _nothing(),
            serving.traffic.read(self.ws, self.found.terms.endpoint),
            serving.feedback.read(self.ws, self.found.terms.endpoint),
            endpoint=self.found.terms.endpoint,
            length=self.found.terms.over,
            features=self.champion.features,
            model=self.champion.label,
            version=str(self.champion.version),
            task=self.champion.task,  # type: ignore[arg-type]
            validation=self._validation(),
            metrics=self.champion.metrics,
            classes=self.run.model.get("classes"),
        )


def _nothing() -> Table:
    raise NotFound(
        "the champion's training data aren't a recorded dataset",
        fix="train it with --data NAME, so that its inputs can be compared",
        code="E-RETRAIN-012",
    )
