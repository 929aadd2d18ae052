"""The process of a model that ends, hangs or fails on some rows: as real ones do."""

from __future__ import annotations

import os
import socket
import sys
import time

import numpy as np

from jupyter_mlops.serving import model_process
from jupyter_mlops.serving.fields import Field
from jupyter_mlops.serving.model_process import Task, serve
from jupyter_mlops.serving.modelfile import read_model_file
from jupyter_mlops.serving.predictor import Predictor

EXITS, HANGS = 666.0, 777.0


class Model:
    """Predicts the distance."""

    def predict(self, frame):
        if (frame["distance"] == EXITS).any():
            os._exit(3)
        if (frame["distance"] == HANGS).any():
            time.sleep(60)
        return np.asarray(frame["distance"], dtype=float)


def opened(task: Task) -> Predictor:
    from pathlib import Path

    fields: tuple[Field, ...] = read_model_file(Path(task.path)).fields
    return Predictor(Model(), fields)


if __name__ == "__main__":
    model_process._opened = opened
    sys.exit(serve(Task(sys.argv[1], ""), socket.socket(fileno=int(sys.argv[2]))))
