"""Whether data fits into memory, said before it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from jupyter_mlops.data import numpy_pandas
from jupyter_mlops.workspace import Invalid

if TYPE_CHECKING:
    import pandas as pd

    from jupyter_mlops.data import Table

__all__ = ["frame_of", "free_memory"]

#: Values below which nothing is estimated: a few hundred megabytes.
_FEW: Final = 10_000_000
_SAMPLE: Final = 1_000
#: What the kernel's control groups allow and have given out, where there are any.
_GROUP: Final = Path("/sys/fs/cgroup")


def frame_of(table: Table) -> pd.DataFrame:
    """Read a table as a pandas frame, if it fits into what is free.

    Raises
    ------
    Invalid
        It doesn't, judged by its first 1,000 rows.
    """
    if table.rows * len(table.schema) > _FEW:
        sample = table.scan().head(_SAMPLE).collect()
        # Both are there for a moment.
        size = sample.estimated_size() + int(numpy_pandas(sample).memory_usage(deep=True).sum())
        needed, free = size / max(1, sample.height) * table.rows, free_memory()
        if needed > free:
            raise Invalid(
                f"{table.label} doesn't fit into memory",
                f"its {table.rows:,} rows take about {needed / 1e9:.1f} GB to read, and "
                f"{free / 1e9:.1f} GB are free",
                "take the rows and columns that the cell needs with `%%mlops data query` first, "
                "or read it in the cell in parts",
                code="E-EXPERIMENT-015",
            )
    return table.pandas()


def free_memory() -> int:
    """Bytes that this process may still take."""
    free = int(psutil.virtual_memory().available)
    try:
        most = int((_GROUP / "memory.max").read_text())
        used = int((_GROUP / "memory.current").read_text())
    except (OSError, ValueError):  # no such groups, or no limit
        return free
    return min(free, most - used)
