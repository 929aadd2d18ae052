"""The process of one model: it opens the file, and answers the gateway that holds its socket.

It is the only one that ever runs the model. It has no token, no port and no log of its own, and
ends with its gateway.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import sys
import traceback
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_mlops.workspace.errors import MLOpsError

if TYPE_CHECKING:
    from jupyter_mlops.serving.answers import Answer
    from jupyter_mlops.serving.fields import Array
    from jupyter_mlops.serving.predictor import Predictor

__all__ = ["Task", "main", "serve"]


@dataclass(frozen=True)
class Task:
    """What a model's process is to do.

    Attributes
    ----------
    path, digest : str
        The model's directory, and its digest at registration.
    max_memory : int
        Bytes of memory the process may take; 0 for as much as there is.
    """

    path: str
    digest: str
    max_memory: int = 0

    def as_json(self) -> str:
        """As it is handed to the process."""
        return json.dumps(asdict(self))


def main(arguments: list[str] | None = None) -> int:
    """Run as ``python -m jupyter_mlops.serving.model_process TASK FD``."""
    task, number = arguments or sys.argv[1:]
    return serve(Task(**json.loads(task)), socket.socket(fileno=int(number)))


def serve(task: Task, gateway: socket.socket) -> int:
    """Open the model, say what it is, and answer until the gateway is gone.

    Returns
    -------
    int
        The process's exit status.
    """
    from jupyter_mlops.serving.frames import pack, receive

    # A model's warnings at each request would fill the log and cost more than its arithmetic.
    warnings.simplefilter("ignore")
    if task.max_memory:
        resource.setrlimit(resource.RLIMIT_DATA, (task.max_memory, task.max_memory))
    try:
        predictor = _opened(task)
    except MLOpsError as error:
        gateway.sendall(pack({"error": error.as_dict()}))
        return 1
    except Exception as error:
        traceback.print_exc()
        gateway.sendall(pack({"error": _unexpected(error)}))
        return 1
    told = {
        "pid": os.getpid(),
        "task": predictor.task,
        "classes": predictor.classes,
        "labels": predictor.labels,
        "as_array": predictor.as_array,
        "description": type(predictor.model).__name__,
    }
    gateway.sendall(pack(told))
    # When the gateway is gone there is nobody to tell.
    with contextlib.suppress(ConnectionError):
        while (asked := receive(gateway)) is not None:
            gateway.sendall(pack(_answered(predictor, asked)))
    return 0


def _opened(task: Task) -> Predictor:
    from jupyter_mlops.serving.intake import Intake
    from jupyter_mlops.serving.loading import open_model, warm_up
    from jupyter_mlops.serving.modelfile import read_model_file
    from jupyter_mlops.serving.predictor import Predictor

    file = read_model_file(Path(task.path))
    predictor = Predictor(open_model(file, task.digest), file.fields, tensor=file.tensor)
    warm_up(predictor, file, Intake(file.fields, tensor=file.tensor))
    return predictor


def _unexpected(error: Exception) -> dict[str, str]:
    return {
        "code": "E-SERVE-024",
        "what": "the model cannot be loaded",
        "why": f"{type(error).__name__}: {str(error)[:200]}",
        "fix": "the endpoint's log holds the details",
    }


def _answered(predictor: Predictor, asked: dict[str, Any]) -> dict[str, Any]:
    """Predict the rows of several requests at once, or, where that fails, of each by itself."""
    block: Array | None = asked.get("block")
    # Libraries quote in their errors what they stumbled on.
    discreet = asked.get("discreet", False)
    columns: dict[str, Array] = asked["columns"] if block is None else predictor.named(block)
    try:
        return _told(predictor(columns) if block is None else predictor.of_block(block))
    except Exception as error:
        if len(asked["counts"]) == 1:
            return {"parts": [_failure(error, asked["requests"][0], discreet)]}
    parts, start = [], 0
    for count, request in zip(asked["counts"], asked["requests"], strict=True):
        # One bad row must not fail its neighbours.
        rows = {name: column[start : start + count] for name, column in columns.items()}
        start += count
        try:
            parts.append(_told(predictor(rows)))
        except Exception as error:
            parts.append(_failure(error, request, discreet))
    return {"parts": parts}


def _told(answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"prediction": answer.prediction}
    if answer.probability is not None:
        told["probability"] = answer.probability
    return told


def _failure(error: Exception, request: str, discreet: bool) -> dict[str, Any]:
    """Log where and why the model failed: the caller is told nothing that holds data."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    why = type(error).__name__
    if not discreet:
        why += f": {str(error).partition(chr(10))[0][:300]}"
    print(
        f"request {request}: {why} ({where.filename}:{where.lineno})", file=sys.stderr, flush=True
    )
    return {"failed": True}


if __name__ == "__main__":
    sys.exit(main())
