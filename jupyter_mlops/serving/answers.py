"""What a model said of some rows."""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_mlops.serving.fields import Array

__all__ = ["Answer"]


@dataclass(frozen=True)
class Answer:
    """What the model said.

    Attributes
    ----------
    prediction : array, shape (n,)
        Class labels, or numbers of a regression.
    probability : array of float64, optional
        Shape (n,): probability of the second of two classes. Shape (n, k): of each of k classes.
    """

    prediction: Array
    probability: Array | None

    def part(self, start: int, stop: int) -> Answer:
        """Return the answer to rows `start` to `stop`."""
        probability = None if self.probability is None else self.probability[start:stop]
        return Answer(self.prediction[start:stop], probability)

    def only(self, kept: Array) -> Answer:
        """Return the answer to the rows where `kept`, booleans of shape (n,), is true."""
        probability = None if self.probability is None else self.probability[kept]
        return Answer(self.prediction[kept], probability)
