"""How strange a row is for a model: fitted when it is registered, kept beside it, cheap to ask.

`scoring` and `files` need NumPy alone, because the model's process asks them of each batch.
"""

from __future__ import annotations

from jupyter_mlops.models.outliers.files import FILE, read
from jupyter_mlops.models.outliers.scoring import (
    MOST_REASONS,
    NOTED,
    THRESHOLD,
    Scored,
    Scorer,
)

__all__ = ["FILE", "MOST_REASONS", "NOTED", "THRESHOLD", "Scored", "Scorer", "read"]
