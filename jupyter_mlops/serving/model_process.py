"""The process of one model: it opens the file, and answers the gateway that holds its socket.

It is the only one that ever runs the model. It has no token, no port and no log of its own, and
ends with its gateway.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import os
import resource
import socket
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_mlops.serving.wire import WIRE
from jupyter_mlops.workspace.errors import MLOpsError

if TYPE_CHECKING:
    from jupyter_mlops.serving.answers import Answer
    from jupyter_mlops.serving.exact import Exact
    from jupyter_mlops.serving.fields import Array
    from jupyter_mlops.serving.predictor import Predictor
    from jupyter_mlops.serving.unusual import Watch

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
    pickles : bool
        Whether opening the model may run code: a waiver is recorded for it.
    """

    path: str
    digest: str
    max_memory: int = 0
    environment: str = ""
    python: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    pickles: bool = False

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
    from jupyter_mlops.serving.frames import Mailbox, pack
    from jupyter_mlops.serving.unusual import Watch

    # A model's warnings at each request would fill the log and cost more than its arithmetic.
    warnings.simplefilter("ignore")
    # Compiled code may end the process without a word; this says where it was.
    faulthandler.enable(2)
    if os.environ.get("JUPYTER_MLOPS_GPU_MEMORY"):
        # The endpoint has a lease of a part of a GPU.
        from jupyter_mlops.experiments.gpus.caps import cap_on_import

        cap_on_import()
    if task.max_memory:
        resource.setrlimit(resource.RLIMIT_DATA, (task.max_memory, task.max_memory))
    try:
        predictor, speechless = _opened(task)
        # After the model: its folder's digest has been checked by then.
        watch = Watch.of(Path(task.path), [one.name for one in predictor.fields])
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
        "description": predictor.description,
        "answers": predictor.answers,
        "unusual": watch is not None,
        "speechless": speechless,
    }
    # When the gateway is gone there is nobody to tell.
    with contextlib.suppress(ConnectionError):
        gateway.sendall(pack(told))
        mailbox = Mailbox(gateway)
        # What was loaded stays: nobody need look through it for garbage.
        gc.freeze()
        while (asked := mailbox.next()) is not None:
            gateway.sendall(_packed(predictor, asked, watch))
    return 0


def _opened(task: Task) -> tuple[Predictor | Exact, str]:
    """The model, and why it doesn't answer its input example."""
    from jupyter_mlops.serving.loading import open_predictor, warm_up
    from jupyter_mlops.serving.modelfile import read_model_file

    file = read_model_file(Path(task.path))
    predictor = open_predictor(file, task.digest, pickles=task.pickles)
    return predictor, warm_up(predictor, file)


def _unexpected(error: Exception) -> dict[str, str]:
    return {
        "code": "E-SERVE-024",
        "what": "the model cannot be loaded",
        "why": f"{type(error).__name__}: {str(error)[:200]}",
        "fix": "the endpoint's log holds the details",
    }


def _packed(predictor: Predictor | Exact, asked: dict[str, Any], watch: Watch | None) -> bytes:
    from jupyter_mlops.serving.frames import pack

    # Before the model is asked, which may write into what it is given.
    unusual = None if watch is None else watch(_columns(predictor, asked))
    told = _answered(predictor, asked)
    if unusual is not None:
        told["unusual"] = unusual
    try:
        return pack(told)
    except (TypeError, ValueError, OverflowError):
        # Among them is an answer that isn't numbers, texts and lists of them, such as an integer
        # of a hundred digits.
        # Of an answer to all requests at once nobody knows whose row it is.
        parts = told.get("parts") or [told] * len(asked["requests"])
    for place, request in enumerate(asked["requests"]):
        try:
            pack(parts[place])
        except (TypeError, ValueError, OverflowError) as error:
            parts[place] = _failure(error, request, asked.get("discreet", False))
    return pack({"parts": parts})


def _answered(predictor: Predictor | Exact, asked: dict[str, Any]) -> dict[str, Any]:
    """Predict the rows of several requests at once, or, where that fails, of each by itself."""
    ask, columns = _asking(predictor, asked)
    # Libraries quote in their errors what they stumbled on.
    discreet = asked.get("discreet", False)
    alone = len(asked["counts"]) == 1
    if alone or predictor.together:
        try:
            answer = ask(None)
            if alone or answer.whole is None:
                return _told(answer)
            predictor.together = False
        except Exception as error:
            if alone:
                return {"parts": [_failure(error, asked["requests"][0], discreet)]}
    parts, start = [], 0
    for count, request in zip(asked["counts"], asked["requests"], strict=True):
        # One bad row must not fail its neighbours.
        rows = {name: column[start : start + count] for name, column in columns.items()}
        start += count
        try:
            parts.append(_told(ask(rows)))
        except Exception as error:
            parts.append(_failure(error, request, discreet))
    return {"parts": parts}


def _asking(
    predictor: Predictor | Exact, asked: dict[str, Any]
) -> tuple[Callable[[dict[str, Array] | None], Answer], dict[str, Array]]:
    """How the model is asked about some rows, or about all that came; and all by column."""
    from jupyter_mlops.serving.exact import Exact

    if isinstance(predictor, Exact):
        exact, given = predictor, asked["columns"]
        more = (asked.get("params"), asked.get("absent") or ())
        return lambda rows: exact(given if rows is None else rows, *more), given
    typed = predictor
    block: Array | None = asked.get("block")
    columns: dict[str, Array] = asked["columns"] if block is None else typed.named(block)

    def ask(rows: dict[str, Array] | None) -> Answer:
        if rows is not None or block is None:
            return typed(columns if rows is None else rows)
        return typed.of_block(block)

    return ask, columns


def _columns(predictor: Predictor | Exact, asked: dict[str, Any]) -> dict[str, Array]:
    """All rows that came, by column."""
    block: Array | None = asked.get("block")
    if block is None:
        columns: dict[str, Array] = asked["columns"]
        return columns
    return dict(zip((one.name for one in predictor.fields), block, strict=True))


def _told(answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"prediction": answer.prediction}
    if answer.probability is not None:
        told["probability"] = answer.probability
    if answer.whole is not None:
        told["whole"] = {"value": answer.whole.value}
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
    from jupyter_mlops.serving.exact import BadParameter, Misfit

    if isinstance(error, BadParameter):
        return {"failed": True, "parameter": str(error)}
    return {"failed": True, "misfit": isinstance(error, Misfit)}


if __name__ == "__main__":
    sys.exit(main())
