"""Verbs that run a person's code, each in a process of its own.

The server writes the request to the child's standard input. What the code prints goes
to standard error; the answer alone goes to standard output.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from jupyter_mlops.verbs.table import Verb, find
from jupyter_mlops.workspace import errors
from jupyter_mlops.workspace.errors import Invalid, MLOpsError, Unavailable
from jupyter_mlops.workspace.settings import SERVED

__all__ = ["main", "run_isolated"]

PATIENCE = 10.0
"""Seconds between asking a child to stop and ending it."""
KEPT = 2000


async def run_isolated(verb: Verb, given: dict[str, Any], place: Path, actor: str) -> str:
    """Run a verb in a child process; return its view as JSON.

    Raises
    ------
    MLOpsError
        The verb's own error.
    Unavailable
        The process ended without an answer.
    """
    request = {"verb": verb.slug, "given": given, "place": str(place), "actor": actor}
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        # Whatever it starts must not have the server's packages by accident.
        env={**os.environ, SERVED: "1"},
    )
    try:
        out, err = await child.communicate(json.dumps(request).encode())
    except asyncio.CancelledError:
        await _stop(child)
        raise
    if child.returncode != 0:
        raise Unavailable(
            f"the process that ran `{verb.name}` ended with {child.returncode}",
            err.decode("utf-8", "replace").strip()[-KEPT:].rpartition("\n")[2],
            code="E-SERVER-009",
        )
    answer = json.loads(out)
    if "error" in answer:
        kind = getattr(errors, answer["kind"])
        problem = answer["error"]
        raised = kind(problem["what"], problem["why"], problem["fix"], code=problem["code"])
        raised.fields = problem.get("fields", {})
        raise raised
    return json.dumps(answer["view"])


async def _stop(child: asyncio.subprocess.Process) -> None:
    """End a child and all it started: first as an interrupt would, so that runs are closed."""
    if child.returncode is not None:
        return
    os.killpg(child.pid, signal.SIGINT)
    try:
        await asyncio.wait_for(child.wait(), PATIENCE)
    except TimeoutError:
        os.killpg(child.pid, signal.SIGKILL)
        await child.wait()


def main() -> int:
    """Be the child: read a request, run it, write the answer."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    try:
        answer = {"view": _run(request)}
    except MLOpsError as error:
        answer = {"error": error.as_dict(), "kind": type(error).__name__}
    answers.write(json.dumps(answer))
    answers.close()
    return 0


def _run(request: dict[str, Any]) -> Any:
    from jupyter_mlops.views import view
    from jupyter_mlops.workspace import Workspace

    verb = find(request["verb"])
    settings = {"user": request["actor"]} if request["actor"] else {}
    workspace = Workspace.open(request["place"], **settings)
    try:
        result = verb(workspace, **request["given"])
    except MLOpsError:
        raise
    except Exception as error:  # what a person's code may raise is anything
        raise Invalid(
            f"the code of `{verb.name}` raised {type(error).__name__}",
            str(error)[:500],
            code="E-SERVER-010",
        ) from error
    return json.loads(view(result).model_dump_json())


if __name__ == "__main__":
    sys.exit(main())
