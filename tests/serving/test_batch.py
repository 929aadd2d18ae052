"""A whole table through a model: the endpoint's answers, in bounded memory, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import served
from batching import Version, manifest, table

from data.storage import S3
from jupyter_mlops import data
from jupyter_mlops.serving import batch
from jupyter_mlops.serving.batch import BatchPrediction
from jupyter_mlops.views.registry import mimebundle
from jupyter_mlops.workspace import Conflict, Denied, Invalid, NotFound, Unavailable, Workspace


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "project")


@pytest.fixture(scope="session")
def version(model: Path) -> Version:
    return Version.of(model)


def predict(
    ws: Workspace, version: Version, rows: object, to: Path | None = None, **more: object
) -> BatchPrediction:
    place = None if to is None else str(to)
    return batch.predict(ws, version, data.resolve(ws, rows), to=place, **more)  # type: ignore[arg-type]


def test_the_answers_are_the_endpoints_and_mlflows(
    ws: Workspace, version: Version, client: served.Client
) -> None:
    import mlflow

    rows = table(2_000)
    found = predict(ws, version, rows, part_rows=700, probabilities=True, keep=("flight",))
    body = {"dataframe_split": rows.drop(columns="flight").to_dict(orient="split")}
    said = client.post("/invocations", json=body).json()
    assert found.parts == 3
    assert found.frame["row"].tolist() == found.frame["flight"].tolist() == list(range(2_000))
    assert found.frame["prediction"].tolist() == said["predictions"]
    np.testing.assert_allclose(found.frame["probability"], said["probabilities"], rtol=1e-12)
    assert found.classes == tuple(said["classes"])
    theirs = mlflow.pyfunc.load_model(str(version.folder)).predict(rows.drop(columns="flight"))
    assert found.frame["prediction"].tolist() == list(theirs)
    assert set(found.frame["digest"]) == {version.digest}
    assert set(found.frame["model"]) == {"delay@3"}


def test_three_classes_and_numbers(ws: Workspace, tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    rows = served.flights(300)
    three = served.save_model(tmp_path / "three", rows, rows["hour"] % 3)
    found = predict(ws, Version.of(three), rows, probabilities=True, part_rows=100)
    assert found.classes == (0, 1, 2)
    each = np.stack(found.frame["probability"].to_numpy())
    np.testing.assert_allclose(each.sum(axis=1), 1)
    assert np.array_equal(each.argmax(axis=1), found.frame["prediction"])
    line = served.save_model(tmp_path / "line", rows, rows["distance"] * 2.0, LinearRegression())
    found = predict(ws, Version.of(line), rows, probabilities=True)
    np.testing.assert_allclose(found.frame["prediction"], rows["distance"] * 2)
    assert "probability" not in found.frame


def test_many_rows_are_never_in_memory_as_a_whole(
    ws: Workspace, version: Version, tmp_path: Path
) -> None:
    path = tmp_path / "many.parquet"
    with_ballast = pl.from_pandas(table(300_000)).with_columns(
        *(pl.lit(float(n)).alias(f"ballast{n}") for n in range(20))
    )
    with_ballast.write_parquet(path, row_group_size=20_000)
    code = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from batching import Version
from pathlib import Path
from jupyter_mlops import data
from jupyter_mlops.serving import batch
from jupyter_mlops.workspace import Workspace
ws = Workspace.open({str(ws.root)!r})
version = Version(Path({str(version.folder)!r}), {version.digest!r})
def run(rows, to):
    table = data.resolve(ws, {str(path)!r}, where=f"flight < {{rows}}")
    found = batch.predict(ws, version, table, to=to, part_rows=10_000)
    assert found.rows == rows and found.parts == rows // 10_000
    # Kilobytes of this process and of the one that held the model.
    who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return sum(resource.getrusage(one).ru_maxrss for one in who)
few = run(30_000, {str(tmp_path / "few")!r})
print(few, run(300_000, {str(tmp_path / "all")!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    few, many = map(int, done.stdout.split())
    # Ten times as many rows: in memory at once they would be 55 MB more, and as the model's
    # values several times that.
    assert many - few < 40_000
    assert pl.scan_parquet(tmp_path / "all" / "part-*.parquet").select("row").collect()[
        "row"
    ].to_list() == list(range(300_000))


SLOW = """
import sys, time
sys.path.insert(0, {tests!r})
from batching import Version
from pathlib import Path
from jupyter_mlops import data
from jupyter_mlops.serving import batch
from jupyter_mlops.workspace import Workspace
ws = Workspace.open({root!r})
version = Version(Path({folder!r}), {digest!r})
def told(step):
    print(step.done, flush=True)
    time.sleep(0.05)
batch.predict(ws, version, data.resolve(ws, {rows!r}), to={to!r}, part_rows=500, progress=told)
"""


def _begin(ws: Workspace, version: Version, rows: Path, to: Path) -> subprocess.Popen[str]:
    code = SLOW.format(
        tests=str(Path(__file__).parent),
        root=str(ws.root),
        folder=str(version.folder),
        digest=version.digest,
        rows=str(rows),
        to=str(to),
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _until(process: subprocess.Popen[str], parts: int) -> None:
    assert process.stdout is not None
    for _ in range(parts):
        assert process.stdout.readline(), process.communicate()[1]


def _ids(folder: Path) -> dict[str, tuple[int, int]]:
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.glob("part-*")}


def test_a_kill_in_the_middle_leaves_whole_parts_and_none_is_done_twice(
    ws: Workspace, version: Version, tmp_path: Path
) -> None:
    rows, to = tmp_path / "rows.parquet", tmp_path / "out"
    table(20_000).to_parquet(rows)
    process = _begin(ws, version, rows, to)
    _until(process, 7)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    there = _ids(to)
    assert 7 <= len(there) < 40
    assert not (to / "manifest.json").exists()
    # Whatever is visible is whole.
    assert pl.read_parquet(to / "part-*.parquet").height == 500 * len(there)
    steps: list[int] = []
    found = predict(ws, version, rows, to, part_rows=500, progress=lambda s: steps.append(s.done))
    after = _ids(to)
    # A part's receipt may have been missing still when the kill came.
    assert len(there) - 1 <= found.reused <= len(there)
    assert len(steps) == 40 - found.reused
    assert sum(after[name] == there[name] for name in there) == found.reused
    assert found.frame["row"].tolist() == list(range(20_000))
    whole = predict(ws, version, rows, part_rows=500)
    assert found.frame["prediction"].tolist() == whole.frame["prediction"].tolist()
    told = manifest(to)
    assert [one["start"] for one in told["parts"]] == told["boundaries"][:-1]
    assert not (to / "_parts").exists()
    assert not list(to.glob(".*.draft"))
    # And once more: nothing is left to do.
    assert predict(ws, version, rows, to, part_rows=500).reused == 40
    assert _ids(to) == after
    kinds = [one.kind for one in ws.events(limit=1000)]
    assert kinds.count("prediction.batch_finished") == 2


def test_an_interrupt_ends_it_cleanly(ws: Workspace, version: Version, tmp_path: Path) -> None:
    rows, to = tmp_path / "rows.parquet", tmp_path / "out"
    table(20_000).to_parquet(rows)
    process = _begin(ws, version, rows, to)
    _until(process, 3)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert "KeyboardInterrupt: stopped after" in complaint
    assert "the same line goes on from there" in complaint
    last = ws.events(limit=1, newest=True)[0]
    assert last.kind == "prediction.batch_stopped"
    assert not list(to.glob(".*.draft"))
    found = predict(ws, version, rows, to, part_rows=500)
    assert found.reused >= 3
    assert found.rows == 20_000


def test_a_part_that_was_changed_is_done_again(
    ws: Workspace, version: Version, tmp_path: Path
) -> None:
    rows, to = table(1_000), tmp_path / "out"
    before = predict(ws, version, rows, to, part_rows=300).frame
    (to / "part-00002.parquet").write_bytes((to / "part-00001.parquet").read_bytes())
    (to / "part-00003.parquet").unlink()
    again = predict(ws, version, rows, to, part_rows=300)
    assert again.reused == 2
    pd.testing.assert_frame_equal(again.frame, before)


def test_a_folder_of_something_else_is_left_alone(
    ws: Workspace, version: Version, tmp_path: Path
) -> None:
    to = tmp_path / "out"
    predict(ws, version, table(100), to)
    with pytest.raises(Conflict, match="another job: it differs in data digest"):
        predict(ws, version, table(100, seed=9), to)
    with pytest.raises(Conflict, match="differs in part rows"):
        predict(ws, version, table(100), to, part_rows=50)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(Conflict, match=r"isn't empty: it holds thesis\.txt"):
        predict(ws, version, table(100), tmp_path / "mine")


def test_two_at_once_do_not_mix(ws: Workspace, version: Version, tmp_path: Path) -> None:
    rows, to = tmp_path / "rows.parquet", tmp_path / "out"
    table(20_000).to_parquet(rows)
    process = _begin(ws, version, rows, to)
    _until(process, 1)
    with pytest.raises(Conflict, match="another process writes"):
        predict(ws, version, rows, to, part_rows=500)
    process.kill()
    process.communicate()


def test_bad_rows_are_put_aside_with_their_reason(
    ws: Workspace, version: Version, tmp_path: Path
) -> None:
    rows = pl.from_pandas(table(1_000)).with_columns(
        hour=pl.when(pl.col("flight").is_in([3, 700])).then(None).otherwise("hour"),
        distance=pl.when(pl.col("flight") == 20).then(float("nan")).otherwise("distance"),
    )
    to = tmp_path / "out"
    found = predict(ws, version, rows, to, part_rows=300, keep=("flight",))
    assert (found.rows, found.rejected) == (997, 3)
    aside = pl.read_parquet(to / "_rejected" / "part-*.parquet").sort("row")
    assert aside["row"].to_list() == aside["flight"].to_list() == [3, 20, 700]
    assert aside["column"].to_list() == ["hour", "", "hour"]
    assert aside["reason"][0].startswith("expected long, found null")
    assert aside["reason"][1].startswith("the model failed: ValueError")
    good = rows.filter(~pl.col("flight").is_in([3, 20, 700])).cast({"hour": pl.Int64})
    alone = predict(ws, version, good)
    assert found.frame["prediction"].tolist() == alone.frame["prediction"].tolist()
    assert found.frame["row"].tolist() == good["flight"].to_list()
    shown = mimebundle(found)["text/plain"]
    assert "Put aside: 3" in shown
    assert "expected long, found null" in shown


def test_enforcing_ends_it_at_the_first_bad_row(
    ws: Workspace, version: Version, tmp_path: Path
) -> None:
    rows = table(1_000).astype({"hour": "Int64"})
    rows.loc[700, "hour"] = None
    with pytest.raises(Invalid, match="row 700, column 'hour': expected long, found null"):
        predict(ws, version, rows, tmp_path / "out", part_rows=300, mode="enforce")
    assert len(list((tmp_path / "out").glob("part-*.parquet"))) == 2
    assert ws.events(limit=1, newest=True)[0].kind == "prediction.batch_stopped"


def test_the_contract_is_counted_enforced_or_left_alone(ws: Workspace, tmp_path: Path) -> None:
    rows = served.flights(400)
    folder = served.save_model(tmp_path / "m", rows, served.late(rows))
    terms = {"distance": {"type": "float", "bounds": {"lo": 0, "hi": 3000, "max_outside": 0}}}
    (folder / "contract.json").write_text(json.dumps({"columns": terms}))
    version = Version.of(folder)
    rows.loc[[5, 250], "distance"] = -1.0
    watched = predict(ws, version, rows, part_rows=100)
    assert watched.violations == {"distance bounds": 2}
    assert (watched.rows, watched.rejected) == (400, 0)
    assert "distance bounds 2" in mimebundle(watched)["text/plain"]
    with pytest.raises(Invalid, match="row 5, column 'distance': expected at least 0"):
        predict(ws, version, rows, part_rows=100, mode="enforce")
    assert predict(ws, version, rows, mode="off").violations == {}


def test_what_cannot_be_is_said_before_anything_is_done(
    ws: Workspace, version: Version, tmp_path: Path
) -> None:
    to = tmp_path / "out"
    with pytest.raises(Invalid, match=r"no column 'hour': the model needs it; did you mean 'hours"):
        predict(ws, version, table(10).rename(columns={"hour": "hours"}), to)
    with pytest.raises(NotFound, match="no column 'flght' to keep"):
        predict(ws, version, table(10), to, keep=("flght",))
    with pytest.raises(Invalid, match="a part can't have 0 rows"):
        predict(ws, version, table(10), to, part_rows=0)
    with pytest.raises(Invalid, match="web servers take no files"):
        batch.predict(ws, version, data.resolve(ws, table(10)), to="https://example.org/x")
    assert not to.exists()
    assert ws.events() == []


def test_a_model_that_was_changed_answers_nothing(ws: Workspace, version: Version) -> None:
    with pytest.raises(Denied, match="are not the ones that were registered"):
        predict(ws, Version(version.folder, "0" * 64), table(10))


def test_a_process_that_dies_says_so(
    ws: Workspace, version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_mlops.serving.batch.lanes import ProcessLane

    def collect(self: ProcessLane) -> list[object]:
        self._process.kill()
        return whole(self)  # type: ignore[return-value]

    whole = ProcessLane.collect
    monkeypatch.setattr(ProcessLane, "collect", collect)
    with pytest.raises(Unavailable, match="held the model ended by signal 9"):
        predict(ws, version, table(100), tmp_path / "out")


def test_the_answers_become_a_dataset_with_its_origin(
    ws: Workspace, version: Version, tmp_path: Path
) -> None:
    added = data.add(ws, "flights", table(500), key="flight")
    found = predict(ws, version, "data:flights@1", tmp_path / "out", name="scores")
    assert found.dataset == "data:scores@1"
    scores = data.get(ws, "scores")
    assert scores.key == "flight"
    assert scores.rows == 500
    begun, _, done = (one for one in ws.events() if one.subject != added.ref)
    assert begun.kind == "prediction.batch_started"
    assert done.kind == "prediction.batch_finished"
    assert set(begun.inputs) == {"model:delay@3", "data:flights@1"}
    assert done.outputs == ("data:scores@1",)
    assert done.payload["answered"] == 500


def test_text_tables_are_read_in_parts_too(ws: Workspace, version: Version, tmp_path: Path) -> None:
    rows = table(5_000)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    found = predict(ws, version, tmp_path / "rows.csv", tmp_path / "out", part_rows=999)
    assert found.parts == 6
    assert (
        found.frame["prediction"].tolist()
        == predict(ws, version, rows).frame["prediction"].tolist()
    )


def test_a_folder_may_have_any_name_and_its_copy_of_the_data_goes(
    ws: Workspace, version: Version, tmp_path: Path
) -> None:
    from jupyter_mlops.data.sources import scratch

    to = tmp_path / "out, 2nd (ö)"
    rows = table(100)
    before = set(scratch._home().rglob("rows.parquet"))
    found = predict(ws, version, rows, to, part_rows=40, name="scores")
    assert found.frame["row"].tolist() == list(range(100))
    assert data.get(ws, "scores").rows == 100
    assert set(scratch._home().rglob("rows.parquet")) <= before


def test_a_kill_before_the_manifest_is_made_good(
    ws: Workspace, version: Version, tmp_path: Path
) -> None:
    to = tmp_path / "out"
    before = predict(ws, version, table(100), to, part_rows=40)
    told = manifest(to)
    for one in told["parts"]:
        (to / "_parts").mkdir(exist_ok=True)
        (to / "_parts" / f"part-{one['part']:05d}.json").write_text(json.dumps(one))
    (to / "manifest.json").unlink()
    again = predict(ws, version, table(100), to, part_rows=40)
    assert again.reused == 3
    assert manifest(to)["parts"] == told["parts"]
    pd.testing.assert_frame_equal(again.frame, before.frame)
    assert ws.events(limit=1, newest=True)[0].kind == "prediction.batch_finished"


def test_a_worker_loads_the_model_once(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_mlops.serving.batch import scoring, worker
    from jupyter_mlops.serving.batch.job import Spec

    loads = []
    real = scoring.open_predictor
    monkeypatch.setattr(
        scoring, "open_predictor", lambda *a, **more: loads.append(a) or real(*a, **more)
    )
    spec = Spec(
        str(version.folder), version.digest, "delay@3", (), False, "observe", "f" * 32
    ).write()
    rows = pl.from_pandas(served.flights(50)).lazy()
    for start in (0, 50):
        found = worker.score_on_cluster(spec, None, start, rows)
        assert found["rows"] == 50
    assert len(loads) == 1


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3:
    server = S3(tmp_path)
    server.objects = {"lake/.made": b""}
    server.start()
    monkeypatch.setenv("S3_ID", "x")
    monkeypatch.setenv("S3_KEY", "x")
    yield server  # type: ignore[misc]
    server.kill()


def test_answers_go_to_object_storage_and_the_rest_later(
    ws: Workspace, version: Version, bucket: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = Workspace.open(ws.root, allow_private_urls=True)
    to = f"s3://lake/scores{bucket.options}"
    rows = data.resolve(ws, table(1_000))
    stopped = RuntimeError("here")

    def stop(step: batch.BatchStep) -> None:
        if step.done >= 400:
            raise stopped

    with pytest.raises(RuntimeError):
        batch.predict(ws, version, rows, to=to, part_rows=200, progress=stop)
    found = batch.predict(ws, version, rows, to=to, part_rows=200, name="scores")
    assert found.reused == 2
    assert found.frame["row"].tolist() == list(range(1_000))
    assert data.get(ws, "scores").rows == 1_000
    kept = json.dumps([one.payload for one in ws.events()])
    assert "secret:S3_KEY" in kept
    import s3fs

    client = s3fs.S3FileSystem(key="x", secret="x", endpoint_url=bucket.url)
    names = sorted(name.rpartition("/")[2] for name in client.find("lake/scores"))
    assert names == ["_plan.json", "manifest.json", *(f"part-0000{n}.parquet" for n in range(5))]
    closed = Workspace.open(ws.root, allow_private_urls=False)
    with pytest.raises(Denied, match="private address"):
        batch.predict(closed, version, rows, to=to, part_rows=200)


def test_a_cluster_answers_the_same_and_ends_well(
    ws: Workspace, version: Version, tmp_path: Path
) -> None:
    from jupyter_mlops.experiments import clusters

    rows = table(4_000)
    rows.loc[7, "distance"] = np.nan
    alone = predict(ws, version, rows, part_rows=500, probabilities=True)
    found = clusters.obtain(ws, workers=1, gpus=False)
    try:
        ours = batch.predict(
            ws, version, data.resolve(ws, rows), to=str(tmp_path / "out"), cluster=found,
            part_rows=500, probabilities=True,
        )  # fmt: skip
        pd.testing.assert_frame_equal(ours.frame, alone.frame)
        assert ours.rejected == alone.rejected
        assert predict(ws, version, rows, tmp_path / "out", part_rows=500, probabilities=True
                       ).reused == 8  # fmt: skip
        # A scheduler of somebody else, whose workers may have other disks.
        with found.client() as client:
            address = client.scheduler.address
        theirs = clusters.Cluster(
            address, "tcp", address, "", "", 1, False, found.lives, found.security
        )
        shipped = batch.predict(
            ws, version, data.resolve(ws, rows), cluster=theirs, part_rows=500, probabilities=True
        )
        pd.testing.assert_frame_equal(shipped.frame, alone.frame)
        with pytest.raises(Invalid, match="row 7"):
            batch.predict(ws, version, data.resolve(ws, rows),
                          cluster=theirs, mode="enforce")  # fmt: skip
    finally:
        clusters.stop(ws, found.name)
    deadline = time.monotonic() + 60
    while found.alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not found.alive()
