"""The process of a model that ends, hangs or takes memory on some rows: as real ones do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import numpy as np

from jupyter_mlops.serving import model_process, workers
from jupyter_mlops.serving.fields import Field
from jupyter_mlops.serving.frames import receive
from jupyter_mlops.serving.model_process import Task, serve
from jupyter_mlops.serving.modelfile import read_model_file
from jupyter_mlops.serving.predictor import Predictor

EXITS, HANGS, TAKES = 666.0, 777.0, 888.0


class Model:
    """Predicts the distance."""

    def predict(self, frame):
        if (frame["distance"] == EXITS).any():
            os._exit(3)
        if (frame["distance"] == HANGS).any():
            time.sleep(60)
        if (frame["distance"] == TAKES).any():
            np.empty(8 << 30, dtype=np.uint8)
        return np.asarray(frame["distance"], dtype=float)


def opened(task: Task) -> tuple[Predictor, str]:
    from pathlib import Path

    fields: tuple[Field, ...] = read_model_file(Path(task.path)).fields
    return Predictor(Model(), fields), ""


def start(task: Task) -> workers.Worker:
    """What `workers.start` does, with this model."""
    ours, theirs = socket.socketpair()
    words = [task.path, str(theirs.fileno()), str(task.max_memory)]
    child = subprocess.Popen([sys.executable, __file__, *words], pass_fds=(theirs.fileno(),))
    theirs.close()
    told = receive(ours)
    assert told is not None
    ours.setblocking(False)
    return workers.Worker(ours, child.pid, workers.Portrait.of(told))


if __name__ == "__main__":
    model_process._opened = opened
    sys.exit(serve(Task(sys.argv[1], "", int(sys.argv[3])), socket.socket(fileno=int(sys.argv[2]))))
