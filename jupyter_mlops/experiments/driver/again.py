"""Running one trial in a process of its own, which leaves nothing behind in this one.

A trial seeds Python's and NumPy's generators and has modules of its own; in a person's kernel it
would change both. It also belongs in the environment that it ran in.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_mlops.experiments.driver.trial import Given, Outcome, run

__all__ = ["main", "run_apart"]


def run_apart(given: Given, python: Path | None, environ: Mapping[str, str]) -> Outcome:
    """Run a trial in a process of its own.

    Parameters
    ----------
    given : Given
    python : Path or None
        The interpreter; None for this process's own.
    environ : mapping of str to str
        Variables that it has where this process doesn't set them.

    Returns
    -------
    Outcome
        Failed, with its last words, when the process dies.
    """
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            [str(python or sys.executable), "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env={**environ, **os.environ},
            # An interrupt is meant for the cell, which then ends this.
            start_new_session=True,
        )
        try:
            answer, _ = child.communicate(pickle.dumps(given, 5))
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        if child.returncode == 0:
            found: Outcome = pickle.loads(answer)  # noqa: S301  our own process wrote it
            return found
        said.seek(0, os.SEEK_END)
        said.seek(max(0, said.tell() - 4000))
        last = said.read().decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
    reason = f"its process ended with {child.returncode}" + (f": {last}" if last else "")
    return Outcome(given.id, "failed", params=given.params, error=reason)


def main() -> int:
    """Be the process: read what the trial is given, write what became of it."""
    answers: Any = os.fdopen(os.dup(1), "wb")
    # What the cell prints past Python is no answer.
    os.dup2(2, 1)
    given: Given = pickle.load(sys.stdin.buffer)  # noqa: S301  from the process that started this
    pickle.dump(run(given), answers, 5)
    answers.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
