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
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_mlops.serving.wire import WIRE
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
    environment, python : str
        The managed environment that the process is of and its interpreter; the gateway's own
        when empty.
    variables : dict of str to str
        What the process finds in its environment besides, such as which GPUs it may use.
    """

    path: str
    digest: str
    max_memory: int = 0
    environment: str = ""
    python: str = ""
    variables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, told: dict[str, Any]) -> Task:
        """From what a gateway tells, which may be of another release and know more."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in told.items() if name in known})

    def as_json(self) -> str:
        """As it is handed to the process."""
        return json.dumps(asdict(self))


def main(arguments: list[str] | None = None) -> int:
    """Run as ``python -m jupyter_mlops.serving.model_process TASK FD``."""
    task, number = arguments or sys.argv[1:]
    return serve(Task.of(json.loads(task)), socket.socket(fileno=int(number)))


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
    if os.environ.get("JUPYTER_MLOPS_GPU_MEMORY"):
        # The endpoint has a lease of a part of a GPU.
        from jupyter_mlops.experiments.gpus.caps import cap_on_import

        cap_on_import()
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
        "wire": WIRE,
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
    columns: dict[str, Array] = asked["columns"] if block is None else predictor.named(block)
    try:
        return _told(predictor(columns) if block is None else predictor.of_block(block))
    except Exception as error:
        if len(asked["counts"]) == 1:
            return {"parts": [_failure(error, asked["requests"][0])]}
    parts, start = [], 0
    for count, request in zip(asked["counts"], asked["requests"], strict=True):
        # One bad row must not fail its neighbours.
        rows = {name: column[start : start + count] for name, column in columns.items()}
        start += count
        try:
            parts.append(_told(predictor(rows)))
        except Exception as error:
            parts.append(_failure(error, request))
    return {"parts": parts}


def _told(answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"prediction": answer.prediction}
    if answer.probability is not None:
        told["probability"] = answer.probability
    return told


def _failure(error: Exception, request: str) -> dict[str, Any]:
    """Log where and why the model failed: the caller is told nothing that holds data."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    why = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:300]}"
    print(
        f"request {request}: {why} ({where.filename}:{where.lineno})", file=sys.stderr, flush=True
    )
    return {"failed": True}


if __name__ == "__main__":
    sys.exit(main())
