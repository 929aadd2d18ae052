"""How long a model may take, and how many rows may wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jupyter_mlops.workspace.errors import Invalid

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """What an endpoint allows its models' processes, and its callers.

    Attributes
    ----------
    seconds : float
        Time that a process has for one batch; then it is ended, and another one started.
    queue : int
        Rows that may wait for a process; more are refused with 429.

    Examples
    --------
    >>> Limits().changed(seconds=2.5).as_dict()
    {'seconds': 2.5}
    """

    seconds: float = 60.0
    queue: int = 400_000

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Limits:
        """Read what `as_dict` wrote, from among other things."""
        return cls(
            float(told.get("seconds", cls.seconds)),
            int(told.get("queue", cls.queue)),
        )

    def as_dict(self) -> dict[str, Any]:
        """What differs from the default, for JSON."""
        plain = Limits()
        told = {"seconds": self.seconds, "queue": self.queue}
        return {name: value for name, value in told.items() if value != getattr(plain, name)}

    def changed(self, seconds: float | None = None, queue: int | None = None) -> Limits:
        """Return it with some of it declared anew.

        Raises
        ------
        Invalid
            A model can't be given so little or so much.
        """
        if seconds is not None and not 0.01 <= seconds <= 86_400:
            raise Invalid(
                f"a model can't have {seconds:g} seconds for a batch",
                "0.01 to 86,400 are possible",
                code="E-SERVE-029",
            )
        if queue is not None and not 1 <= queue <= 100_000_000:
            raise Invalid(
                f"{queue:,} rows can't wait", "1 to 100,000,000 are possible", code="E-SERVE-057"
            )
        return replace(
            self,
            seconds=self.seconds if seconds is None else float(seconds),
            queue=self.queue if queue is None else queue,
        )
