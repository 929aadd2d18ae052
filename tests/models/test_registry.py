"""Registering a run's model, finding it again, and noticing when its files changed."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from mlflow import pyfunc

from experiments.workbench import FOREST, LOGISTIC, Bench
from jupyter_mlops import experiments, models
from jupyter_mlops.experiments import Run, sending
from jupyter_mlops.models.folder import folder_digest
from jupyter_mlops.workspace import Denied, Invalid, NotFound, Workspace
from jupyter_mlops.workspace.tracking import tracking_client

NUMBERS = LOGISTIC.replace(".fit(X,", ".fit(X.to_numpy(),")


def sent(bench: Bench, run: Run) -> Run:
    sending.send(bench.ws, run.id)
    return experiments.find_run(bench.ws, run)


@pytest.fixture
def run(tracked: Bench) -> Run:
    return sent(tracked, tracked.scored())


def test_a_registered_model_is_found_by_alias_version_and_name(tracked: Bench, run: Run) -> None:
    version = models.register(tracked.ws, run, "delay", alias="champion")
    assert version.label == "delay@1"
    assert version.aliases == ("champion",)
    for reference in ("delay@champion", "model:delay@1", "delay"):
        assert models.get(tracked.ws, reference) == version
    assert version.features == tuple(tracked.names["held_out"].columns[:-1])
    assert (version.task, version.target) == ("binary", "target")
    assert version.metrics == pytest.approx(run.metrics)
    assert version.signature == run.signature
    files = {path.name for path in version.path(tracked.ws).iterdir()}
    assert files >= {"MLmodel", "model.skops", "input_example.json", "requirements.txt"}
    events = {event.kind: event for event in tracked.ws.events()}
    assert events["model.registered"].inputs == (run.ref,)
    assert events["model.alias_moved"].payload["before"] is None
    assert tracked.ws.audit().intact


def test_it_loads_and_answers_as_the_kernels_model_does(tracked: Bench, run: Run) -> None:
    models.register(tracked.ws, run, "delay", alias="champion")
    rows = tracked.names["held_out"].drop(columns="target")
    expected = tracked.names["model"].predict_proba(rows)
    assert np.array_equal(models.load(tracked.ws, "delay@champion").predict_proba(rows), expected)
    # MLflow's registry has it too, for its own clients.
    client = tracking_client(tracked.ws)
    registered = client.get_model_version_by_alias("delay", "champion")
    assert np.array_equal(
        pyfunc.load_model(registered.source).predict(rows), tracked.names["model"].predict(rows)
    )


def test_an_alias_moves_and_the_event_says_from_where(tracked: Bench, run: Run) -> None:
    models.register(tracked.ws, run, "delay", alias="champion")
    better = sent(tracked, tracked.scored(FOREST))
    second = models.register(tracked.ws, better, "delay", alias="champion")
    assert second.version == 2
    assert models.get(tracked.ws, "delay@champion").version == 2
    assert models.get(tracked.ws, "delay@1").aliases == ()
    moved = tracked.ws.events(kind="model.alias_moved")[-1]
    assert (moved.payload["before"], moved.payload["version"]) == (1, 2)
    assert [one.label for one in models.list_models(tracked.ws)] == ["delay@2", "delay@1"]


def test_registering_again_gives_the_version_that_is_there(tracked: Bench, run: Run) -> None:
    first = models.register(tracked.ws, run, "delay")
    again = models.register(tracked.ws, run, "delay", alias="trial")
    assert again.version == first.version
    assert again.aliases == ("trial",)
    assert len(tracked.ws.events(kind="model.registered")) == 1


def test_a_version_left_by_a_crash_is_taken_over(
    tracked: Bench, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Workspace.write
    monkeypatch.setattr(Workspace, "write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        models.register(tracked.ws, run, "delay")
    monkeypatch.setattr(Workspace, "write", real)
    with pytest.raises(NotFound, match="no model is called 'delay'"):
        models.get(tracked.ws, "delay")
    assert models.register(tracked.ws, run, "delay").version == 1
    assert len(tracking_client(tracked.ws).search_model_versions("name = 'delay'")) == 1


def test_changed_files_are_noticed_at_every_use(tracked: Bench, run: Run) -> None:
    version = models.register(tracked.ws, run, "delay")
    folder = version.path(tracked.ws)
    assert folder_digest(folder) == version.digest
    with (folder / "MLmodel").open("a") as file:
        file.write("# one line more\n")
    with pytest.raises(Denied, match="files of delay@1 were changed after it was registered"):
        version.path(tracked.ws)
    with pytest.raises(Denied):
        models.load(tracked.ws, version)


def test_files_are_fetched_anew_where_they_are_missing_and_checked(
    tracked: Bench, run: Run
) -> None:
    version = models.register(tracked.ws, run, "delay")
    shutil.rmtree(version.path(tracked.ws))
    assert version.path(tracked.ws).is_dir()
    shutil.rmtree(version.path(tracked.ws))
    (kept,) = tracked.ws.home.glob("mlflow/**/model.skops")
    kept.write_bytes(kept.read_bytes() + b" ")
    with pytest.raises(Denied, match="isn't the one that was registered"):
        version.path(tracked.ws)
    # Nothing half-fetched stays.
    assert list((tracked.ws.home / "models").iterdir()) == []


def test_a_model_changed_in_mlflow_before_it_is_registered_is_refused(
    tracked: Bench, run: Run
) -> None:
    (kept,) = tracked.ws.home.glob("mlflow/**/model.skops")
    kept.write_bytes(kept.read_bytes() + b" ")
    with pytest.raises(Invalid, match="isn't the one it trained"):
        models.register(tracked.ws, run, "delay")


def test_the_registered_files_outlive_mlflows(tracked: Bench, run: Run) -> None:
    version = models.register(tracked.ws, run, "delay")
    shutil.rmtree(tracked.ws.home / "mlflow")
    assert models.load(tracked.ws, version) is not None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (NUMBERS, "has no signature: The model can't be registered: it was fitted on arrays"),
        ("1 / 0", "is failed: register a run that finished"),
    ],
)
def test_what_cant_be_registered_says_why(tracked: Bench, body: str, sentence: str) -> None:
    try:
        run = tracked.train(body)
    except ZeroDivisionError:
        run = experiments.runs(tracked.ws)[0]
    with pytest.raises(Invalid) as raised:
        models.register(tracked.ws, sent(tracked, run), "delay")
    assert sentence in str(raised.value)


@pytest.mark.parametrize("alias", ["3", "v2", "latest", "a b"])
def test_an_alias_that_reads_like_a_version_is_refused(
    tracked: Bench, run: Run, alias: str
) -> None:
    with pytest.raises(Invalid):
        models.register(tracked.ws, run, "delay", alias=alias)
    assert len(models.list_models(tracked.ws)) == 0


def test_unknown_names_get_the_closest_one(tracked: Bench, run: Run) -> None:
    models.register(tracked.ws, run, "delay", alias="champion")
    with pytest.raises(NotFound, match=r"no model is called 'deley'.*did you mean 'delay'"):
        models.get(tracked.ws, "deley@champion")
    with pytest.raises(NotFound, match=r"no alias 'champoin'.*did you mean 'champion'"):
        models.get(tracked.ws, "delay@champoin")
    with pytest.raises(NotFound, match="no version 7 that was registered here: it has 1"):
        models.get(tracked.ws, "delay@7")
    with pytest.raises(NotFound):
        models.list_models(tracked.ws, "dely")


def test_digests_are_what_sha256sum_says(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/x").write_text("1")
    (tmp_path / "a").write_text("2")
    lines = "".join(
        f"{hashlib.sha256(text).hexdigest()}  {name}\n"
        for name, text in (("a", b"2"), ("b/x", b"1"))
    )
    assert folder_digest(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(Denied, match="holds a link"):
        folder_digest(tmp_path)
