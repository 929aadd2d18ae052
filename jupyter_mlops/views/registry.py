"""Which function draws which record, and the three renderings of what it draws."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar, runtime_checkable

from jupyter_mlops.views.blocks import View
from jupyter_mlops.views.fitting import LARGEST, saved_size, shortened
from jupyter_mlops.views.html import render_html
from jupyter_mlops.views.text import render_text
from jupyter_mlops.workspace.results import Result

__all__ = ["look", "mimebundle", "view"]

#: Halvings, enough for a view of a hundred megabytes.
_TRIES = 10
_LOOKS: dict[type, Callable[[Any], View]] = {}
Function = TypeVar("Function", bound=Callable[[Any], View])


@runtime_checkable
class Drawn(Protocol):
    """A record that makes its own view."""

    def as_view(self) -> View: ...


def look(kind: type) -> Callable[[Function], Function]:
    """Register the function that makes the view of a type of record."""

    def register(function: Function) -> Function:
        _LOOKS[kind] = function
        return function

    return register


def view(result: Result) -> View:
    """The view of a record.

    Looks live in ``views/<room>.py``, or where a room has many in ``views/<module>.py`` or
    ``views/<package>.py`` by its modules and the packages within it, and are imported when a
    record from there is shown.
    A record of the verbs' own, which stand above the views, says how it looks itself.
    """
    if isinstance(result, Drawn):
        return result.as_view()
    for kind in type(result).__mro__:
        if kind not in _LOOKS:
            _import_looks(kind.__module__)
        if kind in _LOOKS:
            return _LOOKS[kind](result)
    raise TypeError(f"no look is registered for {type(result).__qualname__}")


def mimebundle(result: Result) -> dict[str, Any]:
    """The view as text, static HTML and the JSON that the panels draw."""
    shown = view(result)
    bundle = _bundle(shown)
    for _ in range(_TRIES):
        if saved_size(bundle) <= LARGEST:
            break
        shown = shortened(shown)
        bundle = _bundle(shown)
    return bundle


def _bundle(shown: View) -> dict[str, Any]:
    return {
        "text/plain": render_text(shown),
        "text/html": render_html(shown),
        f"application/vnd.jupyter-mlops.{shown.kind}.v1+json": shown.model_dump(mode="json"),
    }


def _import_looks(module: str) -> None:
    parts = module.split(".")
    if len(parts) < 2 or parts[0] != "jupyter_mlops":
        return
    for part in dict.fromkeys(parts[1:]):
        name = f"jupyter_mlops.views.{part}"
        if find_spec(name):
            import_module(name)
