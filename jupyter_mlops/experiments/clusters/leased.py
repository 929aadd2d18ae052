"""A cluster on this machine whose workers each have GPUs of their own, or a part of one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from distributed import LocalCluster

__all__ = ["LeasedCluster"]


class LeasedCluster(LocalCluster):  # type: ignore[misc]  # Dask has no types
    """Dask's own cluster of processes, each of which is told which GPUs it may use.

    Parameters
    ----------
    shares : sequence of dict
        Environment variables of a worker each; there are never more workers than that, and those
        that come later are told by `lend`.
    **options
        Those of `LocalCluster`.
    """

    def __init__(self, shares: Sequence[dict[str, str]], **options: Any) -> None:
        self._shares = list(shares)
        super().__init__(n_workers=0, **options)
        self.scale(len(self._shares))
        self.sync(self._correct_state)

    def lend(self, share: dict[str, str]) -> None:
        """Have a share for one worker more, which `scale` then starts."""
        self._shares.append(share)

    def new_worker_spec(self) -> dict[int, dict[str, Any]]:
        """A worker on the first share that no other has; Dask asks for it when it scales up."""
        place = next((n for n in range(len(self._shares)) if n not in self.worker_spec), None)
        if place is None:
            raise ValueError(f"there are GPUs for {len(self._shares)} workers, and no more")
        spec = copy.copy(self.new_spec)
        spec["options"] = {**spec["options"], "env": self._shares[place]}
        return {place: spec}
