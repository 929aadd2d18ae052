"""What a model said of some rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jupyter_mlops.serving.fields import Array

__all__ = ["Answer", "Unusual", "Whole"]


@dataclass(frozen=True)
class Unusual:
    """How strange the rows were that were asked about.

    Attributes
    ----------
    p : array of float64, shape (n,)
        The share of training rows that are at least as strange; NaN where nobody looked.
    reasons : dict of int to list of str
        The columns that make some rows strange, by the row's place.
    """

    p: Array
    reasons: dict[int, list[str]] = field(default_factory=dict)

    def part(self, start: int, stop: int) -> Unusual:
        """Return what was found of rows `start` to `stop`."""
        reasons = self.reasons
        # Where everything is strange, a batch of many requests is still gone through once.
        rows = range(start, stop) if stop - start < len(reasons) else reasons
        inside = {
            row - start: reasons[row] for row in rows if start <= row < stop and row in reasons
        }
        return Unusual(self.p[start:stop], inside)

    def only(self, kept: Array) -> Unusual:
        """Return what was found of rows where `kept`, booleans of shape (n,), is true."""
        places = kept.cumsum() - 1
        inside = {int(places[row]): told for row, told in self.reasons.items() if kept[row]}
        return Unusual(self.p[kept], inside)


@dataclass(frozen=True)
class Whole:
    """An answer to a request as a whole: anything that JSON can hold.

    Attributes
    ----------
    value : Any
    by_row : bool
        It is an object of lists that have a value for each row.
    """

    value: Any
    by_row: bool = False


@dataclass(frozen=True)
class Answer:
    """What the model said.

    Attributes
    ----------
    prediction : array, shape (n,)
        Class labels, or numbers of a regression.
    probability : array of float64, optional
        Shape (n,): probability of the second of two classes. Shape (n, k): of each of k classes.
    whole : Whole, optional
        The answer, where it isn't one value for each row; `prediction` then holds it in the
        first row, or what each row has of it.
    unusual : Unusual, optional
        How strange the rows were, where the model has what tells it.
    """

    prediction: Array
    probability: Array | None
    whole: Whole | None = None
    unusual: Unusual | None = None

    @property
    def predictions(self) -> Any:
        """What ``predictions`` is in JSON."""
        if self.whole is not None:
            return self.whole.value
        plain = self.prediction.dtype.kind in "biuf" and self.prediction.flags.c_contiguous
        return self.prediction if plain else self.prediction.tolist()

    def part(self, start: int, stop: int) -> Answer:
        """Return the answer to rows `start` to `stop`."""
        probability = None if self.probability is None else self.probability[start:stop]
        unusual = None if self.unusual is None else self.unusual.part(start, stop)
        return Answer(self.prediction[start:stop], probability, unusual=unusual)

    def only(self, kept: Array) -> Answer:
        """Return the answer to the rows where `kept`, booleans of shape (n,), is true."""
        probability = None if self.probability is None else self.probability[kept]
        unusual = None if self.unusual is None else self.unusual.only(kept)
        return Answer(self.prediction[kept], probability, unusual=unusual)
