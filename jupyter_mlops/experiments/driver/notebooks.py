"""A notebook as a trial: run with parameters, kept as it ran, and asked for its metrics."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from jupyter_mlops.experiments.clusters.tether import ENVIRONMENT
from jupyter_mlops.workspace import Invalid, NotFound, Unavailable

__all__ = ["execute"]

_MIME: Final = "application/vnd.jupyter-mlops.metrics+json"
#: Run after the notebook's own cells: its numbers, as a display that this process finds again.
_LAST: Final = f"""
from IPython.display import display as _display
_display({{"{_MIME}": {{
    name: float(value) for name, value in
    [*globals().items(), *(metrics.items() if isinstance(globals().get("metrics"), dict) else ())]
    if isinstance(value, (int, float)) and not isinstance(value, bool)
    and not str(name).startswith("_")
}}}}, raw=True)
"""


def execute(
    path: str, parameters: dict[str, Any], keep: Callable[[bytes], None]
) -> dict[str, float]:
    """Run a notebook by papermill, in this process's environment.

    Parameters
    ----------
    path : str
        The notebook; its cell tagged ``parameters`` holds the defaults.
    parameters : dict
        JSON-able values.
    keep : callable
        Takes the notebook with its outputs, also of one that failed or was stopped.

    Returns
    -------
    dict of str to float
        The numbers that the notebook bound, and those of its dict `metrics`.

    Raises
    ------
    NotFound
        There is no such notebook.
    Invalid
        A cell of it failed; says which and why.
    Unavailable
        This environment hasn't the kernel that the notebook asks for.
    """
    import nbformat
    import papermill

    source = Path(path).expanduser()
    if not source.is_file():
        raise NotFound(
            f"there is no notebook {path!r}",
            f"looked in {Path.cwd()}",
            "give its path from there, or the full path",
            code="E-TRIAL-010",
        )
    book: Any = nbformat.reads(source.read_text("utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    book.cells.append(nbformat.v4.new_code_cell(_LAST))  # type: ignore[no-untyped-call]
    kernel = book.metadata.get("kernelspec", {}).get("name", "python3")
    if os.environ.get(ENVIRONMENT):
        # Trials were asked to run in this environment, whatever the notebook is opened with.
        kernel = "python3"
    with tempfile.TemporaryDirectory(prefix="jupyter-mlops-") as folder:
        made, ran = Path(folder) / "trial.ipynb", Path(folder) / "ran.ipynb"
        made.write_text(json.dumps(book), "utf-8")
        # Trials already use all cores; the notebook's kernel must not wait for a debugger.
        os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        try:
            papermill.execute_notebook(
                str(made), str(ran), parameters=parameters, cwd=str(source.parent.resolve()),
                progress_bar=False, log_output=False, kernel_name=kernel, language="python",
            )  # fmt: skip
        except papermill.exceptions.PapermillExecutionError as error:
            raise Invalid(
                f"cell {error.exec_count} of {source.name} failed",
                f"{error.ename}: {error.evalue}"[:500],
                f"look at {source.name} among the trial's files",
                code="E-TRIAL-011",
            ) from None
        except KeyError as error:
            # Of a package that is a face's, and this is none.
            if type(error).__name__ != "NoSuchKernel":
                raise
            raise Unavailable(
                f"{source.name} asks for the kernel {kernel!r}, which isn't there",
                "",
                "name an environment that has what it needs with --env, or choose another kernel "
                "for the notebook and save it",
                code="E-TRIAL-012",
            ) from None
        finally:
            last = _kept(ran, keep)
    values: dict[str, float] = {}
    for output in last.get("outputs", ()):
        values |= output.get("data", {}).get(_MIME, {})
    return values


def _kept(ran: Path, keep: Callable[[bytes], None]) -> dict[str, Any]:
    """Hand over a notebook as far as it ran, without our own last cell; return that."""
    try:
        done = json.loads(ran.read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # stopped before its first cell, or while it was written
    last: dict[str, Any] = done["cells"].pop()
    keep(json.dumps(done).encode())
    return last
