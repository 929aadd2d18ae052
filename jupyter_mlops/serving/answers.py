"""What a model said of some rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyter_mlops.serving.fields import Array

__all__ = ["Answer", "Whole"]


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
    """

    prediction: Array
    probability: Array | None
    whole: Whole | None = None

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
        return Answer(self.prediction[start:stop], probability)

    def only(self, kept: Array) -> Answer:
        """Return the answer to the rows where `kept`, booleans of shape (n,), is true."""
        probability = None if self.probability is None else self.probability[kept]
        return Answer(self.prediction[kept], probability)
