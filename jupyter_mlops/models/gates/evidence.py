"""What a gate is judged by: evidence about runs comes from whoever kept their predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from jupyter_mlops.profiling.contracts import Contract

__all__ = ["Difference", "Estimate", "Evidence", "Slice"]


class Estimate(Protocol):
    """A number and its interval over `rows` rows in `groups` groups."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def rows(self) -> int: ...
    @property
    def groups(self) -> int: ...
    @property
    def by(self) -> tuple[str, ...]: ...


class Difference(Protocol):
    """A run's metric, another's on the same rows, and their difference."""

    @property
    def value(self) -> float: ...
    @property
    def other(self) -> float: ...
    @property
    def estimate(self) -> Estimate: ...


class Slice(Protocol):
    """The rows in which a column has one value."""

    @property
    def column(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def estimate(self) -> Estimate: ...


class Evidence(Protocol):
    """What is asked about runs; `experiments.evidence.RunEvidence` answers it."""

    def metrics(self, run_id: str) -> tuple[str, ...]: ...

    def metric(
        self, run_id: str, metric: str, by: Sequence[str] = ..., confidence: float = ...
    ) -> Estimate: ...

    def difference(
        self,
        run_id: str,
        other_id: str,
        metric: str,
        factor: float = ...,
        by: Sequence[str] = ...,
        confidence: float = ...,
    ) -> Difference: ...

    def slices(
        self,
        run_id: str,
        metric: str,
        column: str | None = ...,
        by: Sequence[str] = ...,
        confidence: float = ...,
    ) -> Sequence[Slice]: ...

    def trainer(self, run_id: str) -> str: ...

    def disagreements(self, contract: Contract, signature: Mapping[str, Any]) -> list[str]: ...

    def origin(self, run_id: str) -> dict[str, str]: ...
