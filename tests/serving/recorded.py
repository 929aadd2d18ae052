"""Traffic as an endpoint's process logs it, without the process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import served
from batching import Version

from jupyter_mlops import data, serving
from jupyter_mlops.serving.answers import Answer
from jupyter_mlops.serving.intake import Intake, Rows
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.metrics import LogTally
from jupyter_mlops.serving.modelfile import read_model_file
from jupyter_mlops.serving.places import make_hash_key, traffic_folder
from jupyter_mlops.serving.pseudonyms import Pseudonyms
from jupyter_mlops.serving.recording import Recorder
from jupyter_mlops.serving.trafficlog import TrafficLog
from jupyter_mlops.workspace import Workspace


@dataclass
class Asked:
    request_id: str
    rows: Rows


def declare(ws: Workspace, model: Path, **more: Any) -> LogPolicy:
    serving.declare(ws, Version.of(model), **more)
    return serving.get(ws, "delay").log


_open: list[TrafficLog] = []  # whose segments somebody writes, for as long as they live


def record(
    ws: Workspace,
    model: Path,
    keys: Sequence[str],
    tally: LogTally | None = None,
    *,
    shadow: bool = False,
    close: bool = True,
) -> list[str]:
    """Answer rows as the endpoint's process does under the policy declared; return their ids."""
    found = serving.get(ws, "delay")
    fields = read_model_file(model).fields
    log = TrafficLog(
        traffic_folder(ws, "delay/shadow" if shadow else "delay"),
        fields,
        labels=[False, True],
        many=False,
        about={"version": "3"},
        policy=found.log,
        pseudonyms=Pseudonyms.read(make_hash_key(ws)) if found.log.hashed else None,
        key="flight",
    )
    table = served.flights(len(keys)).to_dict(orient="list")
    rows = Intake(fields, key="flight").columns({**table, "flight": list(keys)}, len(keys))
    answer = Answer(np.linspace(0, 1, len(keys)) > 0.5, np.linspace(0, 1, len(keys)))
    told = Recorder(log, tally or LogTally()).write([([Asked("r", rows)], [answer])])[0]
    if close:
        log.close()
    else:
        _open.append(log)
    assert not isinstance(told, Exception)
    return told.ids


def truth(ws: Workspace, frame: pd.DataFrame) -> serving.Feedback:
    return serving.feedback.add(ws, "delay", data.resolve(ws, frame), "late")
