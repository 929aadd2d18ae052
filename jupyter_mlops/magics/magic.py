"""The magic itself: words in, a result out, and errors of one sentence."""

from __future__ import annotations

import sys
import traceback
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from traitlets import Enum
from traitlets.config import Configurable

from jupyter_mlops.magics.showing import Showing
from jupyter_mlops.magics.words import split
from jupyter_mlops.verbs.help import help_on
from jupyter_mlops.verbs.line import Line, parse
from jupyter_mlops.verbs.place import workspace_for
from jupyter_mlops.verbs.progress import Lines, shown_by
from jupyter_mlops.workspace.errors import MLOpsError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Interrupted", "MLOps", "register"]


class Interrupted(KeyboardInterrupt):
    """A person stopped a verb: one line says so, and no traceback of ours."""

    def _render_traceback_(self) -> list[str]:
        return [f"KeyboardInterrupt: {self}"]


@magics_class
class MLOps(Magics, Configurable):
    """A model's whole life: data, labels, experiments, models, endpoints, drift.

    ``%mlops help`` lists the commands, ``%mlops COMMAND --help`` explains one.
    """

    traceback = Enum(
        ["short", "full"],
        "short",
        help="What an error shows: its sentence, or where in the code it was raised as well.",
    ).tag(config=True)

    shell: InteractiveShell

    @no_var_expand
    @line_cell_magic
    def mlops(self, line: str, cell: str | None = None) -> Any:
        """Run a command of jupyter-mlops: ``%mlops help`` lists them.

        A word ``{expression}`` is the value of a Python expression, ``{{`` and ``}}`` are
        braces, quotes work as in a shell. Each command takes ``-o NAME`` (keep the result
        as a variable), ``--quiet`` (show nothing), ``--json`` (print one line of JSON) and
        ``--help``. A cell below ``%%mlops`` is the command's body, taken as it is.
        """
        __tracebackhide__ = True  # an error in a trained cell shows the user's lines only
        try:
            parsed = parse(split(line, self.shell.user_ns))
            return self._run(parsed, cell)
        except MLOpsError:
            if self.traceback == "full":
                traceback.print_exc(file=sys.stderr)
            raise

    def _run(self, line: Line, cell: str | None) -> Any:
        __tracebackhide__ = True
        if line.help:
            return help_on(line.verb)
        showing = Showing(self.shell)
        try:
            with self._followed(line, showing):
                result = line.call(workspace_for(line.verb), cell, self.shell.user_ns)
        except KeyboardInterrupt as error:
            showing.fail("interrupted")
            told = [f"`{line.verb.name}` was interrupted", *getattr(error, "__notes__", ())]
            raise Interrupted("; ".join(told)) from None
        except Exception:
            showing.fail("failed")
            raise
        showing.end(result)
        if line.output is not None:
            self.shell.user_ns[line.output] = result
        if line.json:
            print(json_line(result))
        if line.json or line.quiet:
            _hush(result, self.shell)
        return result

    def _followed(self, line: Line, showing: Showing) -> AbstractContextManager[None]:
        """Who draws how far a long command is."""
        if line.quiet or line.json:
            return nullcontext()
        if showing.possible:
            return shown_by(showing)
        return shown_by(Lines(print), partial=False)


def json_line(result: Any) -> str:
    """The view of a result as one line of JSON."""
    from jupyter_mlops.views import view

    return view(result).model_dump_json()


def _hush(result: Any, shell: InteractiveShell) -> None:
    """Keep a result from being shown as the value of the cell that asked for it.

    It is returned all the same, for ``x = %mlops … --quiet``, and shows itself as
    always in later cells.
    """
    count = shell.execution_count

    def show_later() -> None:
        object.__delattr__(result, "_ipython_display_")
        if shell.execution_count != count:
            from IPython.display import display

            display(result)  # type: ignore[no-untyped-call]

    object.__setattr__(result, "_ipython_display_", show_later)


def register(shell: InteractiveShell) -> None:
    """Add the magic, its settings (``%config MLOps``) and its completion to a shell."""
    from jupyter_mlops.magics.completion import add_completion

    magics = MLOps(shell)
    shell.register_magics(magics)
    # Magics do not list themselves, and %config only knows what is listed.
    configurables: list[Any] = shell.configurables
    configurables[:] = [one for one in configurables if not isinstance(one, MLOps)]
    configurables.append(magics)
    add_completion(shell)
