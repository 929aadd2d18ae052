"""One output that follows a long command, and ends as its result."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jupyter_mlops.verbs.progress import Lines, Shown, Underway

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import DisplayHandle

__all__ = ["Showing"]


class Showing:
    """Draws progress in place below the cell.

    The saved notebook holds a single output, the result: it takes the place of the progress
    when the cell would show it anyway, and a line takes it when the result was only assigned.
    Where nobody sits in front, as under papermill, whose log leaves out what is drawn over, a
    search prints a line now and then instead.

    Parameters
    ----------
    shell : InteractiveShell
        Only a kernel's front end can draw in place; in a terminal nothing is drawn.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._handle: DisplayHandle | None = None
        self._lines = Lines(print)

    @property
    def possible(self) -> bool:
        """Whether what is drawn can be drawn over."""
        return hasattr(self._shell, "kernel")

    @property
    def _watched(self) -> bool:
        """Whether a person can be asked; programs that run notebooks say that none can."""
        return bool(getattr(self._shell.kernel, "_allow_stdin", True))  # type: ignore[attr-defined]

    def __call__(self, shown: Shown) -> None:
        """Draw what is known so far."""
        if not (self._watched or isinstance(shown, Underway)):
            self._lines(shown)
            return
        from IPython.display import DisplayHandle

        # Results learn there how they look.
        import_module("jupyter_mlops.views")
        if self._handle is None:
            self._handle = DisplayHandle()  # type: ignore[no-untyped-call]
            self._handle.display(shown)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(shown)  # type: ignore[no-untyped-call]

    def end(self, result: Any) -> None:
        """Have the result shown where the progress was."""
        handle, shell = self._handle, self._shell
        if handle is None:
            return
        count = shell.execution_count
        place: list[DisplayHandle] = [handle]

        def show() -> None:
            from IPython.display import display

            object.__delattr__(result, "_ipython_display_")
            if place and shell.execution_count == count:
                place.pop().update(result)  # type: ignore[no-untyped-call]
            else:
                display(result)  # type: ignore[no-untyped-call]

        def close(*_: Any) -> None:
            shell.events.unregister("post_run_cell", close)
            if place:
                place.pop().update({"text/plain": _line(result)}, raw=True)  # type: ignore[no-untyped-call]
                if "_ipython_display_" in vars(result):
                    object.__delattr__(result, "_ipython_display_")

        object.__setattr__(result, "_ipython_display_", show)
        shell.events.register("post_run_cell", close)

    def fail(self, reason: str) -> None:
        """Leave a line where the progress was; the error itself stands below."""
        if self._handle is not None:
            self._handle.update({"text/plain": reason}, raw=True)  # type: ignore[no-untyped-call]


def _line(result: Any) -> str:
    from jupyter_mlops.views import view

    shown = view(result)
    return f"{shown.title} · {shown.subtitle}" if shown.subtitle else shown.title
