"""The base of every record that a verb returns.

A domain room knows nothing of how its records look. `views` sets `render` when it
is imported, and finds the look by the record's type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

__all__ = ["Result"]


class Result:
    """A record a verb returns; shows itself as text, static HTML and panel JSON."""

    render: ClassVar[Callable[[Any], dict[str, Any]] | None] = None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        if Result.render is None:
            return {"text/plain": repr(self)}
        return Result.render(self)
