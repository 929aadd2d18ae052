"""One policy played through the past: what it would have trained, promoted and lost."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import pandas as pd
import polars as pl

from jupyter_mlops.experiments.evidence import BESIDE, RunEvidence
from jupyter_mlops.experiments.influence import METRICS_OF_ROWS
from jupyter_mlops.experiments.losses import MEAN_OF, losses_by_row
from jupyter_mlops.experiments.scoring import score
from jupyter_mlops.experiments.trials import Run
from jupyter_mlops.models.gates.grammar import parse as parse_gates
from jupyter_mlops.models.gates.judging import Trial
from jupyter_mlops.monitoring.checks import Drift
from jupyter_mlops.monitoring.estimates import FEWEST_BLOCKS
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.windows import parse_length
from jupyter_mlops.retraining.answering import Facts, answer
from jupyter_mlops.retraining.backtesting.moves import inputs_moved
from jupyter_mlops.retraining.conditions import parse
from jupyter_mlops.retraining.evidence import answers_of
from jupyter_mlops.retraining.labelled import TIME, Labelled
from jupyter_mlops.retraining.terms import EXPANDING, Terms

__all__ = ["Past", "Played", "Step", "play"]

_CHAMPION: Final = "champion"


@dataclass(frozen=True)
class Past:
    """What a policy is played through.

    Attributes
    ----------
    first : polars.DataFrame
        What the first model is trained on: its columns, the target; ``event_time`` or none.
    rows : polars.DataFrame
        What came after, with truth and ``event_time``, the oldest first.
    features : tuple of str
    target : str
    task : str
    model : estimator
        Fitted or not; a clone of it is fitted each time.
    """

    first: pl.DataFrame
    rows: pl.DataFrame
    features: tuple[str, ...]
    target: str
    task: str
    model: Any
    #: Models by what they were fitted on: policies that train on the same rows share them.
    fitted: dict[tuple[Any, ...], tuple[Any, pd.DataFrame, float]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def sample(self, share: float, seed: int) -> Past:
        """A part of the rows, drawn at random."""
        if share >= 1:
            return replace(self, fitted={})
        rows = self.rows.sample(fraction=share, seed=seed).sort(TIME)
        first = self.first.sample(fraction=share, seed=seed)
        return replace(self, first=first, rows=rows, fitted={})


@dataclass(frozen=True)
class Step:
    """One look of a policy: what it said, and what became of it."""

    at: datetime
    verdict: str
    trained: bool
    promoted: bool
    reason: str


@dataclass(frozen=True)
class Played:
    """What came of a policy.

    Attributes
    ----------
    name : str
    seed : int
    steps : tuple of Step
    losses : ndarray of float, shape (rows,)
        The loss of each row with the model that would have answered it.
    cpu_seconds : float
        Of fitting.
    """

    name: str
    seed: int
    steps: tuple[Step, ...]
    losses: np.ndarray[Any, Any]
    cpu_seconds: float

    @property
    def trainings(self) -> int:
        """Models that were fitted after the first."""
        return sum(one.trained for one in self.steps)

    @property
    def promotions(self) -> int:
        """Models that took the champion's place."""
        return sum(one.promoted for one in self.steps)

    @property
    def loss(self) -> float:
        """The mean over all rows."""
        return float(self.losses.mean())


def play(past: Past, terms: Terms, name: str, seed: int = 0, *, trust: bool = False) -> Played:
    """Play a policy through the past, look by look.

    At each look it knows the truth of every row before it, and nothing of those after.

    Parameters
    ----------
    past : Past
    terms : Terms
        ``every``, ``when``, ``over``, ``window``, ``hold`` and ``gate`` count.
    name : str
    seed : int
        Of the models that draw at random.
    trust : bool
        Promote whatever was trained, without a gate.

    Notes
    -----
    A notebook isn't run: a fresh clone of the champion's estimator is fitted, with what it
    prepares itself.
    """
    return _Play(past, terms, name, seed, trust).run()


@dataclass
class _Model:
    """A fitted model, and its answers to the rows as far as they were asked for."""

    number: int
    fitted: Any
    answers: pd.DataFrame
    promotion: pd.DataFrame | None = None
    at: datetime | None = None


@dataclass
class _Play:
    past: Past
    terms: Terms
    name: str
    seed: int
    trust: bool
    cpu_seconds: float = 0.0
    steps: list[Step] = field(default_factory=list)
    count: int = 0

    def run(self) -> Played:
        rows = self.past.rows
        times = rows[TIME]
        begin, end = times.min(), times.max()
        assert isinstance(begin, datetime)
        assert isinstance(end, datetime)
        every = parse_length(self.terms.every)
        champion = self._fit(self.past.first)
        answered: list[pd.DataFrame] = []
        known_before = 0
        at = begin
        while at <= end:
            chosen = ((times >= at) & (times < at + every)).to_numpy()
            answered.append(champion.answers[chosen].assign(model=champion.number))
            at += every
            if champion.promotion is None:
                # Nobody judged the first model: how it began is what it is held against.
                champion = replace(champion, promotion=answered[-1])
            if at <= end:
                known = rows.filter(times < at)
                fresh = known.height - known_before
                champion, trained = self._look(champion, known, answered, fresh, at)
                known_before = known.height if trained else known_before
        everything = pd.concat(answered)
        losses = losses_by_row(everything, self._loss, self._classes(champion))
        return Played(self.name, self.seed, tuple(self.steps), np.asarray(losses), self.cpu_seconds)

    @property
    def _loss(self) -> str:
        return MEAN_OF[self._metric]

    @property
    def _metric(self) -> str:
        task = self.past.task
        if task != "regression" and not hasattr(self.past.model, "predict_proba"):
            return "accuracy"
        return METRICS_OF_ROWS[task][0]

    @staticmethod
    def _classes(model: _Model) -> list[Any]:
        classes = getattr(model.fitted, "classes_", None)
        return [] if classes is None else np.asarray(classes).tolist()

    def _look(
        self,
        champion: _Model,
        known: pl.DataFrame,
        answered: list[pd.DataFrame],
        fresh: int,
        at: datetime,
    ) -> tuple[_Model, bool]:
        verdict, why = self._asked(champion, known, answered, fresh, at)
        if verdict != "yes":
            self.steps.append(Step(at, verdict, False, False, why))
            return champion, False
        train, hold = Labelled(known, known.height, self.past.target).part(self.terms.hold)
        needed = Limits().fewest_truths
        if hold.height < needed or train.is_empty():
            few = f"not enough data: {hold.height:,} of {needed:,} rows to judge by"
            self.steps.append(Step(at, "unknown", False, False, few))
            return champion, False
        challenger = self._fit(self._window(train))
        held = (self.past.rows[TIME] >= hold[TIME].min()) & (self.past.rows[TIME] < at)
        rows = held.to_numpy()
        passed, said = self._judge(champion, challenger, rows)
        self.steps.append(Step(at, "yes", True, passed, said))
        if not passed:
            return champion, True
        return replace(challenger, promotion=challenger.answers[rows], at=at), True

    def _window(self, train: pl.DataFrame) -> pl.DataFrame:
        if self.terms.window == EXPANDING:
            return pl.concat([self.past.first, train], how="diagonal_relaxed")
        last: Any = train[TIME].max()
        return train.filter(pl.col(TIME) > last - parse_length(self.terms.window))

    def _asked(
        self,
        champion: _Model,
        known: pl.DataFrame,
        answered: list[pd.DataFrame],
        fresh: int,
        at: datetime,
    ) -> tuple[str, str]:
        if not self.terms.when:
            return "yes", "it trains each time it looks"
        mine = pd.concat(answered)
        mine = mine[mine["model"] == champion.number]
        over = pd.Timestamp(at - parse_length(self.terms.over))
        now = mine[mine[BESIDE + TIME] > over]
        classes = self._classes(champion) or None

        def check() -> Drift:
            newest = known.filter(pl.col(TIME) > at - parse_length(self.terms.over))
            return inputs_moved(self.past.first, newest, self.past.features)

        before = None
        if champion.promotion is not None:
            before = answers_of(champion.promotion, classes)
        facts = Facts(
            now=answers_of(now, classes),
            references={
                "champion_at_promotion": (before, "when it was promoted"),
                "validation": (before, "when it was promoted"),
            },
            task=self.past.task,  # type: ignore[arg-type]
            classes=classes,
            new_rows=fresh,
            promoted_at=champion.at,
            at=at,
            check=check,
        )
        found = answer(parse(self.terms.when, METRICS_OF_ROWS[self.past.task]), facts)
        return found.verdict, found.sentence

    def _judge(
        self, champion: _Model, challenger: _Model, rows: np.ndarray[Any, Any]
    ) -> tuple[bool, str]:
        if self.trust:
            return True, "whatever was trained is promoted"
        text = self.terms.gate
        if not text:
            days = champion.answers[rows][BESIDE + TIME].dt.date.nunique()
            paired = ", paired by day" if days >= FEWEST_BLOCKS else ""
            better = ">" if self._metric == "accuracy" else "<"
            text = f"{self._metric} {better} {_CHAMPION}.{self._metric} (95%{paired})"
        evidence = _Evidence(
            self.past.task,
            {one.number: (one.answers[rows], self._classes(one)) for one in (champion, challenger)},
        )
        ours, theirs = (_stand_in(self.name, one.number) for one in (challenger, champion))
        trial = Trial(None, ours, evidence, {_CHAMPION: theirs})  # type: ignore[arg-type]
        gates = parse_gates(text, METRICS_OF_ROWS[self.past.task], {_CHAMPION})
        lines = [trial.judge(gate) for gate in gates]
        failing = [one for one in lines if one.verdict != "pass"]
        return not failing, " ".join(one.reason for one in failing or lines)

    def _fit(self, rows: pl.DataFrame) -> _Model:
        self.count += 1
        last = rows[TIME].max() if TIME in rows.columns else None
        key = (rows.height, last, self.terms.window, self.seed)
        if key not in self.past.fitted:
            self.past.fitted[key] = self._fitted(rows)
        made, answers, seconds = self.past.fitted[key]
        # Whoever fits first pays; a policy costs what its trainings cost all the same.
        self.cpu_seconds += seconds
        return _Model(self.count, made, answers)

    def _fitted(self, rows: pl.DataFrame) -> tuple[Any, pd.DataFrame, float]:
        from sklearn.base import clone

        made = clone(self.past.model)
        for key in made.get_params():
            if key.rpartition("__")[2] == "random_state":
                made.set_params(**{key: self.seed})
        features, target = list(self.past.features), self.past.target
        table = rows.select([*features, target]).to_pandas()
        begun = clock.process_time()
        made.fit(table[features], table[target])
        seconds = clock.process_time() - begun
        asked = self.past.rows.select([*features, target]).to_pandas()
        found = score(made, asked, target, features, []).rows
        found[BESIDE + TIME] = self.past.rows[TIME].to_pandas()
        return made, found, seconds


def _stand_in(name: str, number: int) -> Any:
    """As much of a version as gates about metrics ask for."""
    return SimpleNamespace(
        name=name, version=number, label=f"{name}@{number}", run_id=str(number), metrics={}
    )


class _Evidence(RunEvidence):
    """Evidence from answers that are at hand."""

    def __init__(self, task: str, known: Mapping[int, tuple[pd.DataFrame, list[Any]]]) -> None:
        self.task = task
        self.known = known

    def _found(self, run_id: str) -> tuple[Run, pd.DataFrame]:
        rows, classes = self.known[int(run_id)]
        told: Any = SimpleNamespace(
            id=run_id,
            short=run_id,
            task=self.task,
            model={"classes": classes},
            validation={"key": None, "time": TIME},
        )
        return told, rows

    def metrics(self, run_id: str) -> tuple[str, ...]:
        return METRICS_OF_ROWS[self.task]


def span_of(rows: pl.DataFrame) -> timedelta:
    """From the oldest row to the newest."""
    first, last = rows[TIME].min(), rows[TIME].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return last - first
