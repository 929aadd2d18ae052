"""What a policy says: when to train again, on what, and what the result must show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from jupyter_mlops.monitoring.windows import parse_length
from jupyter_mlops.workspace import Invalid, closest
from jupyter_mlops.workspace.errors import about

__all__ = ["EXPANDING", "Terms", "hold_of"]

EXPANDING = "expanding"
Approve = Literal["auto", "person"]


@dataclass(frozen=True)
class Terms:
    """The terms of a policy.

    Attributes
    ----------
    endpoint : str
        Whose traffic and truth it looks at.
    notebook : str
        The notebook that trains, a path from the workspace's root.
    parameters : dict
        What it is run with, beside ``data``, ``since``, ``until``, ``policy`` and ``decision``.
    when : str
        A condition; empty: each time it looks.
    every : str
        How often it looks, such as ``7d``.
    over : str
        How much of the newest traffic the condition is answered on.
    window : str
        ``expanding`` (the model's first training data and all rows with truth), or a length such
        as ``90d``: the newest rows with truth alone.
    hold : str
        The newest rows with truth that are kept from training and decide: a share such as
        ``20%`` of them, or a length such as ``14d``.
    gate : str
        What the challenger must show on those rows; empty: a loss below the champion's, with the
        whole 95 % interval, days taken as blocks.
    approve : {"auto", "person"}
    env : str
        The environment whose kernel runs the notebook; empty: the kernel that it names.
    retries : int
        How often a notebook that failed is run again.
    timeout : str
        How long the notebook may take.
    runs_a_week : int or None
        Notebooks that are run in seven days at the most.
    cpu_a_week : str
        Processor time that they may take in seven days, such as ``2h``; empty: any.
    """

    endpoint: str
    notebook: str
    parameters: dict[str, Any] = field(default_factory=dict)
    when: str = ""
    every: str = "1d"
    over: str = "30d"
    window: str = EXPANDING
    hold: str = "20%"
    gate: str = ""
    approve: Approve = "person"
    env: str = ""
    retries: int = 1
    timeout: str = "12h"
    runs_a_week: int | None = None
    cpu_a_week: str = ""

    def __post_init__(self) -> None:
        for name in ("every", "over", "timeout", *(["cpu_a_week"] if self.cpu_a_week else [])):
            with about(name):
                parse_length(getattr(self, name))
        with about("window"):
            self._check_window()
        with about("hold"):
            hold_of(self.hold)
        if self.approve not in ("auto", "person"):
            with about("approve"):
                raise Invalid(
                    f"{self.approve!r} approves nothing",
                    fix="write --approve person, or --approve auto",
                    code="E-RETRAIN-002",
                )
        if self.retries < 0 or (self.runs_a_week is not None and self.runs_a_week < 1):
            with about("retries" if self.retries < 0 else "runs_a_week"):
                raise Invalid(
                    "retries and runs a week can't be below 0 and 1",
                    fix="stop the policy with `%mlops retrain stop` instead",
                    code="E-RETRAIN-002",
                )

    def _check_window(self) -> None:
        if self.window == EXPANDING:
            return
        try:
            parse_length(self.window)
        except Invalid as error:
            raise Invalid(
                f"{self.window!r} is no window to train on",
                fix=closest(self.window, [EXPANDING]) or "write expanding, or such as 90d",
                code="E-RETRAIN-002",
            ) from error

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Terms:
        """Read what `to_dict` wrote."""
        return cls(**stored)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    def but(self, **changed: Any) -> Terms:
        """The same terms, but for those that are not None."""
        return replace(self, **{key: value for key, value in changed.items() if value is not None})


def hold_of(text: str) -> float | str:
    """The share of rows that is held back, or the length of time.

    Examples
    --------
    >>> hold_of("20%"), hold_of("14d")
    (0.2, '14d')
    """
    if text.endswith("%"):
        try:
            share = float(text[:-1]) / 100
        except ValueError:
            share = 0.0
        if 0 < share < 1:
            return share
    else:
        try:
            parse_length(text)
            return text
        except Invalid:
            pass
    raise Invalid(
        f"{text!r} can't be held back from training",
        "the challenger is judged on rows it didn't see",
        "write a share such as 20%, or a length of time such as 14d",
        code="E-RETRAIN-002",
    )
