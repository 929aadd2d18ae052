"""``%mlops`` and ``%%mlops``: the command table in a notebook."""

from __future__ import annotations

from jupyter_mlops.magics.magic import MLOps, register

__all__ = ["MLOps", "register"]
