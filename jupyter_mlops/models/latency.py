"""How long a version takes for one row: measured in a process that does nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_mlops.models.threads import single
from jupyter_mlops.workspace import Unavailable

__all__ = ["Latency", "measure"]

#: So many that a 99th percentile has an interval of 95 % with two ends.
CALLS = 500
WARM = 20
SECONDS = 120.0
HOW = f"{CALLS} predictions of one row of the input example, in a process of their own"


@dataclass(frozen=True)
class Latency:
    """Seconds of each call, in ascending order."""

    seconds: tuple[float, ...]

    def percentile(self, share: float) -> float:
        """The smallest time that `share` of the calls stay below or at (nearest rank).

        Examples
        --------
        >>> Latency((1.0, 2.0, 3.0, 4.0)).percentile(0.5)
        2.0
        """
        place = -(-share * len(self.seconds) // 1)
        return self.seconds[max(0, int(place) - 1)]

    def interval(self, share: float, confidence: float = 0.95) -> tuple[float, float]:
        """Bounds of the true percentile, by order statistics (David, Nagaraja 2003, §7.1).

        The upper bound is infinite where there are too few calls to give one.
        """
        from scipy.stats import binom

        count = len(self.seconds)
        tail = (1 - confidence) / 2
        low = int(binom.ppf(tail, count, share))
        high = int(binom.ppf(1 - tail, count, share)) + 1
        upper = self.seconds[high - 1] if high <= count else float("inf")
        return self.seconds[max(0, low - 1)], upper


def measure(folder: Path, seconds: float = SECONDS) -> Latency:
    """Time the model in a verified folder, one row at a time.

    The time is that of the model alone: no HTTP, no checks, no log.

    Raises
    ------
    Unavailable
        The model has no input example, fails on it, or takes longer than `seconds` in all.
    """
    words = [sys.executable, "-m", "jupyter_mlops.models.latency", str(folder)]
    try:
        done = subprocess.run(
            words, env=single(os.environ), capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(
            "the model's latency can't be measured",
            f"{CALLS} predictions took more than {seconds:.0f} s",
            code="E-MODEL-040",
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise Unavailable("the model's latency can't be measured", last[:300], code="E-MODEL-041")
    return Latency(tuple(json.loads(done.stdout.splitlines()[-1])))


def _example(folder: Path) -> Any:
    """The rows of the input example, with the types the model was fitted on."""
    import pandas as pd
    import yaml  # type: ignore[import-untyped]

    kept = json.loads((folder / "input_example.json").read_bytes())
    described = yaml.safe_load((folder / "MLmodel").read_bytes())
    told = (described.get("metadata") or {}).get("jupyter_mlops") or {}
    frame = pd.DataFrame(kept["data"], columns=kept["columns"])
    for name, dtype in (told.get("dtypes") or {}).items():
        if dtype == "category":
            frame[name] = pd.Categorical(frame[name], told["categories"][name])
        else:
            frame[name] = frame[name].astype(dtype)
    return frame


def _parts(example: Any) -> list[Any]:
    """The rows of an example, each alone; what has none is one."""
    if isinstance(example, dict):
        count = min(len(one) for one in example.values())
        return [{k: one[at : at + 1] for k, one in example.items()} for at in range(count)]
    if hasattr(example, "iloc"):
        return [example.iloc[[at]] for at in range(len(example))]
    if hasattr(example, "shape") and example.shape:
        return [example[at : at + 1] for at in range(len(example))]
    return [example]


def _main(folder: Path) -> None:
    import warnings

    from jupyter_mlops.models.formats import open_folder

    warnings.simplefilter("ignore")
    model = open_folder(folder)
    predict = getattr(model, "predict_proba", model.predict)
    if type(model).__name__ == "PyFuncModel":
        rows = _parts(model.metadata.load_input_example(str(folder)))
    else:
        rows = _parts(_example(folder))
        if not hasattr(model, "feature_names_in_"):
            rows = [row.to_numpy() for row in rows]
    for at in range(WARM):
        predict(rows[at % len(rows)])
    times = []
    for at in range(CALLS):
        begun = time.perf_counter_ns()
        predict(rows[at % len(rows)])
        times.append((time.perf_counter_ns() - begun) / 1e9)
    print(json.dumps(sorted(times)))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
