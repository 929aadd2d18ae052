"""Labelers: the one place of the domain that knows widgets and kernels."""

from __future__ import annotations

from jupyter_mlops.labeling.widgets.showing import show

__all__ = ["show"]
