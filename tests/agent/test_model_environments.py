"""Models of another environment than the agent's: real environments, made by uv."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import psutil
import pytest
import sklearn
from living import Version, end_all, kill, until

from experiments.workbench import mlflow_database
from jupyter_mlops import agent, data, experiments, models, serving
from jupyter_mlops.experiments import environments, training
from jupyter_mlops.experiments.environments import kernels
from jupyter_mlops.serving import homes, workers
from jupyter_mlops.serving.batch import lanes
from jupyter_mlops.serving.model_process import Task
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Conflict, NotFound, Unavailable, Workspace

__all__ = ["mlflow_database"]

#: The release before: its trees and pipelines aren't promised to open in this one.
OTHER = "1.7.2"
NEEDED = (
    "alembic", "cloudpickle", "duckdb", "fsspec", "msgpack", "numpy", "orjson", "pandas",
    "platformdirs", "polars", "psutil", "pyarrow", "pyyaml", "skops", "sqlalchemy", "traitlets",
)  # fmt: skip
BODY = """\
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows[["a", "b"]], rows["late"])
"""
TRAIN = """
import json, sys
import pandas as pd
from jupyter_mlops import experiments, models
from jupyter_mlops.experiments import training
from jupyter_mlops.workspace import Workspace
training.send_later = lambda ws: None
rows = pd.read_json(sys.argv[2])
names = {"__name__": "__main__", "rows": rows}
run = experiments.train(Workspace.open(sys.argv[1]), "late", sys.argv[3], freeze=models.freeze,
                        namespace=names, target="late")
told = names["model"].predict_proba(rows[["a", "b"]])[:, 1].tolist()
print(json.dumps([run.id, told]))
"""


def rows() -> pd.DataFrame:
    return pd.DataFrame({"a": [n % 7 for n in range(60)], "b": [n % 5 / 2 for n in range(60)]})


@dataclass
class Place:
    """A workspace with an environment of another scikit-learn, and a version of each."""

    ws: Workspace
    python: Path
    old: models.ModelVersion
    new: models.ModelVersion
    probabilities: list[float]


def checkout_in(python: Path) -> None:
    """Let an environment run the code that is tested."""
    (packages,) = python.parents[1].glob("lib/python3*/site-packages")
    (packages / "0-checkout.pth").write_text(f"{Path(__file__).parents[2]}\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, mlflow_database: Path) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_MLOPS_AGENT_IDLE", "20")
        patch.setattr(kernels, "_prefix", lambda ws: root / "prefix")
        patch.setattr(training, "send_later", lambda ws: None)
        ws = Workspace.open(root / "project")
        shutil.copy(mlflow_database, ws.home)
        # What jupyter-mlops needs to train and to serve, as it is here: installing all takes long.
        needed = [f"{name}=={version(name)}" for name in NEEDED]
        environments.create(ws, "old", add=[f"scikit-learn=={OTHER}", *needed], bare=True)
        python = environments.interpreter(ws, "old")
        checkout_in(python)
        table = rows().assign(late=[int(n % 7 > 3) for n in range(60)])
        table.to_json(root / "rows.json")
        command = [str(python), "-c", TRAIN, str(ws.root), str(root / "rows.json"), BODY]
        environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        said = subprocess.check_output(command, cwd=root, env=environ, text=True)
        run, told = json.loads(said.splitlines()[-1])
        old = find("register")(ws, run=f"run:{run}", name="late")
        own = experiments.train(
            ws, "late", BODY, freeze=models.freeze, target="late",
            namespace={"__name__": "__main__", "rows": table},
        )  # fmt: skip
        new = find("register")(ws, run=own.ref, name="late")
        yield Place(ws, python, old, new, told)
        end_all(root)


def processes(ws: Workspace) -> dict[str, int]:
    """The process of each version's model, by the version."""
    found = serving.get(ws, "late").live.get("versions", [])
    return {one["version"]: pid for one in found for pid in one["processes"]}


def python_of(pid: int) -> str:
    return psutil.Process(pid).cmdline()[0]


def ask(endpoint: serving.Endpoint, ws: Workspace, chunk: int = 60) -> serving.Predictions:
    return serving.call(ws, endpoint.name, data.resolve(ws, rows()), chunk=chunk)


def test_two_versions_of_two_environments_answer_beside_each_other(place: Place) -> None:
    ws = place.ws
    endpoint = find("serve")(ws, model="late@1", canary="2:50%")
    assert endpoint.environment == "old"
    (canary,) = endpoint.beside
    assert canary.environment == ""
    until(lambda: len(processes(ws)) == 2)
    of = processes(ws)
    # The gateway is the agent's, whatever its models are.
    endpoint = serving.get(ws, "late")
    assert python_of(of["1"]) == str(place.python)
    assert python_of(of["2"]) == python_of(endpoint.pid or 0) != str(place.python)
    maps = Path(f"/proc/{of['1']}/maps").read_text()
    assert f"{place.python.parents[1]}/lib" in maps
    assert set(ask(endpoint, ws, chunk=1).versions) == {"1", "2"}
    text = mimebundle(endpoint)["text/plain"]
    assert "Environment: old" in text
    listed = mimebundle(serving.list_endpoints(ws))["text/plain"]
    assert "old" in listed
    # Its environment is in use, and stays.
    with pytest.raises(Conflict, match="in use"):
        environments.remove(ws, "old")
    # What is declared already changes nothing, and the canary becomes the version served.
    assert find("serve")(ws, model="late@1").live["generation"] == 1
    taken = find("serve")(ws, model="late@2")
    assert taken.environment == ""
    assert set(ask(taken, ws).versions) == {"2"}
    # A model that dies is begun again in its own environment.
    back = find("serve")(ws, model="late@1")
    first = processes(ws)["1"]
    kill(first)
    until(lambda: processes(ws).get("1", first) != first)
    assert python_of(processes(ws)["1"]) == str(place.python)
    answers = ask(back, ws)
    assert set(answers.versions) == {"1"}
    assert answers.rows["probability"].to_list() == pytest.approx(place.probabilities, rel=1e-12)
    find("stop")(ws, endpoint="late")


def test_an_environment_that_is_gone_or_changed_is_told_before_anything_starts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws, old = place.ws, place.old
    assert homes.home_of(ws, old).environment == "old"
    assert homes.home_of(ws, place.new) == homes.Home()
    # Against its will it goes where somebody says, and what differs is known.
    forced = homes.home_of(ws, old, homes.AGENTS)
    assert f"scikit-learn is {sklearn.__version__} there and was {OTHER}" in forced.differs
    assert homes.home_of(ws, place.new, "old").differs == (
        f"scikit-learn is {OTHER} there and was {sklearn.__version__}",
    )
    with pytest.raises(NotFound, match="no environment is called 'odl'"):
        homes.home_of(ws, old, "odl")
    # A version of a run that nobody knows here is the agent's, when its packages fit.
    stranger = Version(old.path(ws), old.digest)
    with pytest.raises(Conflict, match="wasn't trained with the packages") as told:
        homes.home_of(ws, stranger)
    assert f"scikit-learn is {sklearn.__version__} there and was {OTHER}" in str(told.value)
    assert f'--add "scikit-learn=={OTHER}"' in told.value.fix
    # Somebody installs another version in it, or makes it anew.
    found = environments.surroundings_of(place.python)
    line = f"scikit-learn=={OTHER}"
    packages = tuple("scikit-learn==1.8.0" if one == line else one for one in found.packages)
    with monkeypatch.context() as patch:
        changed = replace(found, packages=packages)
        patch.setattr(environments, "surroundings_of", lambda _: changed, raising=False)
        with pytest.raises(Conflict, match=f"scikit-learn is 1.8.0 there and was {OTHER}") as told:
            serving.declare(ws, old, "other")
        assert "--env old" in told.value.fix
    kept = place.python.parents[1]
    kept.rename(kept.with_name("elsewhere"))
    try:
        with pytest.raises(Unavailable, match="is gone or broken") as told:
            serving.declare(ws, old, "other")
        assert "env create old" in told.value.fix
        # An endpoint that was declared before says so as well, and starts nothing.
        task = Task(str(old.path(ws)), old.digest, 0, "old", str(place.python))
        with pytest.raises(Unavailable, match="env:old, which the model runs in, is gone"):
            workers.start(task)
    finally:
        kept.with_name("elsewhere").rename(kept)
    assert all(one.name != "other" for one in serving.list_endpoints(ws))


def test_a_whole_table_is_predicted_there_too(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    started = lanes.subprocess.Popen

    def start(command: list[str], **more: object) -> object:
        begun.append(command[0])
        return started(command, **more)

    monkeypatch.setattr(lanes.subprocess, "Popen", start)
    found = find("predict")(place.ws, model="late@1", data=rows(), probabilities=True)
    assert begun[-1] == str(place.python)
    told = found.frame["probability"].tolist()
    assert told == pytest.approx(place.probabilities, rel=1e-12)
    find("predict")(place.ws, model="late@2", data=rows())
    assert begun[-1] == sys.executable


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({}, "jupyter-mlops isn't in it"),
        ({"__init__.py": ""}, "says nothing where this one says"),
        ({"__init__.py": "", "serving/__init__.py": "", "serving/wire.py": "WIRE = 99"},
         "says 99 where this one says"),
    ],
)  # fmt: skip
def test_one_without_our_language_is_refused(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: dict[str, str], said: str
) -> None:
    monkeypatch.setattr(kernels, "_prefix", lambda ws: tmp_path / "prefix")
    name = f"bare{len(there)}"
    environments.create(place.ws, name, add=["six"], bare=True)
    python = environments.interpreter(place.ws, name)
    (packages,) = python.parents[1].glob("lib/python3*/site-packages")
    for file, text in there.items():
        path = packages / "jupyter_mlops" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.raises(Unavailable, match=said):
        serving.declare(place.ws, place.new, "other", env=name)


def test_a_process_that_speaks_another_language_is_refused_in_a_sentence(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "WIRE", workers.WIRE + 1)
    task = Task(str(place.old.path(place.ws)), place.old.digest, 0, "old", str(place.python))
    with pytest.raises(Unavailable, match="in env:old can't be talked to"):
        workers.start(task)
    # What only one side knows is left out.
    assert Task.of({"path": "p", "digest": "d", "news": 1}) == Task("p", "d")
    assert agent.interpreter(place.ws).is_absolute()
