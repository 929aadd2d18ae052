"""A part's rows through the model, as an endpoint would answer them; runs where the model is."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from jupyter_mlops.serving.answers import Answer
from jupyter_mlops.serving.batch.columns import values_of
from jupyter_mlops.serving.batch.job import Spec
from jupyter_mlops.serving.expectations import Expectations
from jupyter_mlops.serving.fields import Array
from jupyter_mlops.serving.intake import Intake, Rows
from jupyter_mlops.serving.loading import open_predictor, warm_up
from jupyter_mlops.serving.modelfile import read_model_file
from jupyter_mlops.serving.refusals import Refusal, quoted
from jupyter_mlops.serving.shapes import as_texts
from jupyter_mlops.workspace.errors import Invalid, Unavailable

__all__ = ["Scored", "Scorer"]

#: Values that are Python objects at one time: 32 bytes each.
_CELLS: Final = 2_000_000
#: A model that fails on so many rows, one by one, isn't asked about the others; so few rows
#: say nothing of the model when it fails on all of them.
_FAILURES: Final = 1000
_FEW: Final = 100
_PLACE: Final = re.compile(r"^row (\d+)(?:, column (?:'[^']*'|\"[^\"]*\"))?: ")


@dataclass(frozen=True)
class Scored:
    """The answers to a part.

    Attributes
    ----------
    answers : polars.DataFrame
        ``row``, the kept columns, ``prediction``, ``probability`` if asked for, ``model`` and
        ``digest``.
    rejected : polars.DataFrame
        ``row``, the kept columns, ``column``, ``reason`` and ``code``.
    violations : dict of str to int
    classes : list, optional
    """

    answers: pl.DataFrame
    rejected: pl.DataFrame
    violations: dict[str, int]
    classes: list[Any] | None


@dataclass(frozen=True)
class _Bad:
    column: str
    reason: str
    code: str


class Scorer:
    """A loaded model that answers parts.

    Parameters
    ----------
    spec : Spec

    Raises
    ------
    MLOpsError
        The model can't be loaded; says why.
    """

    def __init__(self, spec: Spec) -> None:
        # A model's warnings at each part say nothing that its training didn't.
        warnings.simplefilter("ignore")
        self.spec = spec
        file = read_model_file(Path(spec.path))
        self.fields = file.fields
        self.tensor = file.tensor
        # Who began the job found the version by its folder, which takes a waiver for a pickle.
        self.predictor = open_predictor(file, spec.digest, pickles=True)
        self.intake = Intake.of(file, max_rows=_CELLS)
        warm_up(self.predictor, file)
        self.violations: Counter[str] = Counter()
        self.expectations = Expectations.of(file.root, spec.mode, self._violation)

    def _violation(self, column: str, rule: str, rows: int) -> None:
        self.violations[f"{column} {rule}"] += rows

    def score(self, frame: pl.DataFrame, start: int) -> Scored:
        """Answer the rows of a part, whose first is number `start` of the table.

        Raises
        ------
        Invalid
            In mode ``enforce``, a row doesn't fit; says which and why.
        Unavailable
            The model fails on most rows.
        """
        self.violations.clear()
        size = max(1, _CELLS // max(len(self.fields), 1))
        pieces = [
            self._piece(frame[at : at + size], start + at) for at in range(0, frame.height, size)
        ]
        return Scored(
            pl.concat([one for one, _ in pieces], how="vertical_relaxed"),
            pl.concat([one for _, one in pieces]),
            dict(self.violations),
            self.predictor.classes,
        )

    def _piece(self, frame: pl.DataFrame, start: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        table = self._table(frame)
        bad: dict[int, _Bad] = {}
        try:
            rows = self.intake.columns(table, frame.height)
            places = np.arange(frame.height)
        except Refusal:
            bad = self._misfits(table, frame.height, start)
            places = np.array([n for n in range(frame.height) if n not in bad], dtype=np.int64)
            if not len(places):
                return self._answers(frame, places, [], start), self._rejected(frame, bad, start)
            kept = {name: [values[n] for n in places] for name, values in table.items()}
            rows = self.intake.columns(kept, len(places))
        try:
            self.expectations.meet(rows)
        except Refusal as refusal:
            raise self._refused(refusal, places, start) from None
        answers, failed = self._ask(rows)
        if failed:
            bad |= {int(places[n]): one for n, one in failed.items()}
            places = np.delete(places, list(failed))
            self._enforce(bad, start)
        return self._answers(frame, places, answers, start), self._rejected(frame, bad, start)

    def _table(self, frame: pl.DataFrame) -> dict[str, list[Any]]:
        kinds = {field.name: field.type.name for field in self.fields}
        if self.tensor and not kinds.keys() <= set(frame.columns):
            # As a request of unnamed rows: the columns in their order.
            given = [name for name in frame.columns if name not in self.spec.keep]
            names = dict(zip(given, kinds, strict=True))
            frame = frame.select(given).rename(names)
        return {name: values_of(frame[name], kinds[name]) for name in kinds if name in frame}

    def _misfits(self, table: dict[str, list[Any]], count: int, start: int) -> dict[int, _Bad]:
        """The rows that the signature refuses, each with the first column that is wrong."""
        bad: dict[int, _Bad] = {}
        for field in self.fields:
            values = table.get(field.name)
            if values is None:
                if field.required:
                    refusal = self.intake.missing(field.name, list(table))
                    raise Invalid(refusal.message, code="E-BATCH-001")
                continue
            alone = Intake((field,), max_rows=count)

            def take(some: list[Any], alone: Intake = alone, name: str = field.name) -> None:
                alone.columns({name: some}, len(some))

            for row, refusal in _failing(take, values, 0):
                reason = _PLACE.sub("", refusal.message)
                bad.setdefault(row, _Bad(field.name, reason, refusal.code))
        self._enforce(bad, start)
        return bad

    def _enforce(self, bad: dict[int, _Bad], start: int) -> None:
        if bad and self.spec.mode == "enforce":
            row = min(bad)
            column = f", column {quoted(bad[row].column)}" if bad[row].column else ""
            raise _stopped(f"row {start + row:,}{column}: {bad[row].reason}")

    def _refused(self, refusal: Refusal, places: Array, start: int) -> Invalid:
        found = _PLACE.match(refusal.message)
        if found is None:
            return _stopped(refusal.message)
        row = start + int(places[int(found[1])])
        return _stopped(f"row {row:,}" + refusal.message.removeprefix(f"row {found[1]}"))

    def _ask(self, rows: Rows) -> tuple[list[Answer], dict[int, _Bad]]:
        """The answers in order, and the rows on which the model failed."""
        answers: list[Answer] = []
        failed: dict[int, _Bad] = {}

        def ask(lo: int, hi: int) -> None:
            try:
                part = {name: values[lo:hi] for name, values in rows.inputs.items()}
                answers.append(_by_row(self.predictor(part)))
            except Exception as error:
                if hi - lo == 1:
                    said = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
                    failed[lo] = _Bad("", f"the model failed: {said}", "E-SERVE-120")
                    if len(failed) >= min(_FAILURES, max(_FEW, rows.count)):
                        raise _broken(said, len(failed)) from None
                    return
                middle = (lo + hi) // 2
                ask(lo, middle)
                ask(middle, hi)

        ask(0, rows.count)
        return answers, failed

    def _answers(
        self, frame: pl.DataFrame, places: Array, answers: list[Answer], start: int
    ) -> pl.DataFrame:
        columns = [
            pl.Series("row", places + start, dtype=pl.Int64),
            *frame[places].select(self.spec.keep).get_columns(),
        ]
        given = [one.prediction for one in answers]
        if self.predictor.answers == "json":
            given = [as_texts(one) for one in given]
        prediction: Any = np.concatenate(given) if given else np.array([])
        if prediction.dtype.kind == "O":
            prediction = prediction.tolist()
        columns.append(pl.Series("prediction", prediction))
        if self.spec.probabilities and self.predictor.classes is not None:
            columns.append(self._probability(answers))
        count = len(places)
        columns.append(pl.repeat(self.spec.model, count, eager=True).alias("model"))
        columns.append(pl.repeat(self.spec.digest, count, eager=True).alias("digest"))
        return pl.DataFrame(columns)

    def _probability(self, answers: list[Answer]) -> pl.Series:
        given = [one.probability for one in answers if one.probability is not None]
        many = self.predictor.task == "multiclass"
        kind: Any = pl.List(pl.Float64) if many else pl.Float64
        if not given:
            return pl.Series("probability", [], dtype=kind)
        return pl.Series("probability", np.concatenate(given)).cast(kind)

    def _rejected(self, frame: pl.DataFrame, bad: dict[int, _Bad], start: int) -> pl.DataFrame:
        places = sorted(bad)
        return pl.DataFrame(
            [
                pl.Series("row", [start + n for n in places], dtype=pl.Int64),
                *frame[places].select(self.spec.keep).get_columns(),
                pl.Series("column", [bad[n].column for n in places], dtype=pl.String),
                pl.Series("reason", [bad[n].reason for n in places], dtype=pl.String),
                pl.Series("code", [bad[n].code for n in places], dtype=pl.String),
            ]
        )


def _by_row(answer: Answer) -> Answer:
    if answer.whole is not None and not answer.whole.by_row:
        raise ValueError("its answer isn't one value for each row")
    return answer


def _failing(
    take: Callable[[list[Any]], None], values: list[Any], start: int
) -> Iterator[tuple[int, Refusal]]:
    """The places that are refused, found by halving: most rows are good."""
    try:
        take(values)
    except Refusal as refusal:
        if len(values) == 1:
            yield start, refusal
            return
        middle = len(values) // 2
        yield from _failing(take, values[:middle], start)
        yield from _failing(take, values[middle:], start + middle)


def _stopped(message: str) -> Invalid:
    return Invalid(
        f"the prediction stopped at {message}",
        fix="mend the row, or predict with --mode observe, which puts such rows aside",
        code="E-BATCH-002",
    )


def _broken(said: str, rows: int) -> Unavailable:
    return Unavailable(
        f"the model failed on {rows:,} rows of one part",
        said,
        "check that the data are what it was trained on",
        code="E-BATCH-003",
    )
