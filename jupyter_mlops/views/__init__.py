"""How every result looks: one view model per record, rendered as text, static HTML and JSON."""

from __future__ import annotations

from jupyter_mlops.views.registry import look, mimebundle, view
from jupyter_mlops.workspace.results import Result

__all__ = ["look", "mimebundle", "view"]

Result.render = mimebundle
