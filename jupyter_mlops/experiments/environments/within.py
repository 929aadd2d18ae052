"""What another interpreter has installed, as it sees it itself."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from jupyter_mlops.experiments import surroundings
from jupyter_mlops.experiments.environments.uv import surroundings_for
from jupyter_mlops.workspace import Unavailable

__all__ = ["digest_of", "surroundings_of"]

#: Our listing needs nothing but Python, so it runs where jupyter-mlops isn't installed.
_LIST: Final = """\
import json, runpy, sys
found = runpy.run_path(sys.argv[1])["environment"]()
print(json.dumps([found.python, found.platform, found.packages]))
"""
_SECONDS: Final = 60.0


def surroundings_of(interpreter: Path) -> surroundings.Environment:
    """List what an interpreter has, exactly as a run in it records it.

    Raises
    ------
    Unavailable
        It doesn't run.
    """
    # Nothing that lies in the current folder may count as installed.
    with tempfile.TemporaryDirectory() as nowhere:
        try:
            done = subprocess.run(
                [str(interpreter), "-c", _LIST, str(Path(surroundings.__file__).resolve())],
                cwd=nowhere,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                env=surroundings_for({}),
                check=True,
            )
            python, platform, packages = json.loads(done.stdout)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise Unavailable(
                f"{interpreter} doesn't run", _reason(error), code="E-ENV-009"
            ) from None
    return surroundings.Environment(python, platform, tuple(packages))


def digest_of(interpreter: Path) -> str:
    """The digest that a run in it records as its environment.

    Examples
    --------
    >>> import sys
    >>> len(digest_of(Path(sys.executable)))
    64
    """
    return surroundings_of(interpreter).digest


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = str(error.stderr).strip().splitlines()
        return lines[-1] if lines else f"it ended with status {error.returncode}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "it doesn't answer" if isinstance(error, subprocess.TimeoutExpired) else str(error)
