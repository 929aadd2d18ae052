"""One row, its answer, what is wrong with it, the log, and snippets: against a live endpoint."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import served

from jupyter_mlops.serving import endpoints, logs, trying
from jupyter_mlops.serving.modelfile import first_row, read_model_file
from jupyter_mlops.serving.places import log_path, token_path
from jupyter_mlops.serving.records import EndpointRecord
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views.snippets import snippets
from jupyter_mlops.workspace import Invalid, NotFound, Unavailable, Workspace

ROW = {"hour": 17, "distance": 300.5, "carrier": "AA", "flight": "AA1", "when": "2026-01-31"}


@pytest.fixture
def ws(tmp_path: Path, endpoint: served.Running) -> Workspace:
    """A workspace that knows the running endpoint, and may read its token."""
    ws = Workspace.open(tmp_path / "ws")
    path = token_path(ws, "delay")
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(served.TOKEN)
    told = endpoint.config
    with ws.write() as tx:
        tx.session.add(
            EndpointRecord(
                name="delay", generation=1, desired="running", model="delay", version="3",
                run_id=None, digest=told.digest, path=told.path, key=told.key, time=told.time,
                port=0, token_sha256=told.token_sha256, actor="ada", state="ready", serving=1,
                pid=endpoint.state["pid"], url=endpoint.url,
            )
        )  # fmt: skip
        tx.emit("endpoint.declared", "endpoint:delay")
    return ws


def test_a_row_is_answered_with_probabilities_and_ids(ws: Workspace) -> None:
    answer = trying.try_row(ws, "delay", ROW)
    assert (answer.model, answer.version) == ("delay", "3")
    assert list(answer.probabilities) == ["True", "False"]
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.prediction is True
    assert answer.prediction_id.startswith(answer.request_id[:1])
    assert answer.prediction_id


def test_words_and_json_mean_the_same_row(ws: Workspace) -> None:
    words = "hour=17 distance=300.5 carrier=AA flight=AA1 when=2026-01-31"
    told = trying.try_row(ws, "delay", words)
    assert told.row == ROW
    json = trying.try_row(ws, "delay", str(ROW))
    assert (json.row, json.probabilities) == (ROW, told.probabilities)
    shown = find("endpoint try")(ws, endpoint="delay", row=words)
    assert shown.prediction == told.prediction


@pytest.mark.parametrize(
    ("change", "column", "says"),
    [
        ({"hour": "noon"}, "hour", "expected long, found a string"),
        ({"hour": "17.5"}, "hour", "expected long, found a string"),
        ({"hour": 2**70}, "hour", "the number does not fit long"),
        ({"when": "soon"}, "when", "the text is not an ISO 8601 time"),
        ({"distance": "nan"}, "distance", "expected double, found a string"),
    ],
)
def test_the_column_that_is_refused_is_named(
    ws: Workspace, change: dict[str, object], column: str, says: str
) -> None:
    with pytest.raises(trying.Misfit) as caught:
        trying.try_row(ws, "delay", {**ROW, **change})
    assert caught.value.fields == {column: says}
    assert caught.value.as_dict()["fields"] == {column: says}


def test_a_column_that_is_missing_is_named_too(ws: Workspace) -> None:
    for column in ("hour", "flight"):
        with pytest.raises(trying.Misfit) as caught:
            trying.try_row(ws, "delay", {k: v for k, v in ROW.items() if k != column})
        assert list(caught.value.fields) == [column]
        assert "is missing" in caught.value.fields[column]


def test_what_is_no_row_or_no_column_is_refused(ws: Workspace) -> None:
    with pytest.raises(trying.Misfit, match="did you mean 'distance'"):
        trying.try_row(ws, "delay", {**ROW, "distanc": 1})
    for text in ("seventeen", "17 hour=3", "{hour: 17}", "[1]"):
        with pytest.raises(Invalid, match="the row can't be read"):
            trying.try_row(ws, "delay", text)
    with pytest.raises(NotFound):
        trying.try_row(ws, "other", ROW)


def test_one_that_was_stopped_or_is_gone_says_so(ws: Workspace) -> None:
    def is_now(**values: object) -> None:
        with ws.write() as tx:
            row = tx.session.get_one(EndpointRecord, "delay")
            for name, value in values.items():
                setattr(row, name, value)

    is_now(url="http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="does not answer"):
        trying.try_row(ws, "delay", ROW)
    is_now(state="stopped")
    with pytest.raises(Unavailable, match="is stopped"):
        trying.try_row(ws, "delay", ROW)


def test_the_example_and_the_columns_come_from_the_model(ws: Workspace) -> None:
    found = endpoints.get(ws, "delay")
    assert list(found.example) == ["hour", "distance", "carrier"]
    assert found.example == first_row(read_model_file(Path(served_path(ws))))
    assert found.gpu_bytes is None


def served_path(ws: Workspace) -> str:
    with ws.read() as session:
        return session.get_one(EndpointRecord, "delay").path


@pytest.mark.parametrize(
    ("language", "command"),
    [
        ("bash", ["bash", "-e"]),
        ("python", [sys.executable]),
        ("javascript", ["node", "--input-type=module"]),
    ],
)
@pytest.mark.parametrize("carrier", ["AA", 'it\'s "quoted" $HOME `x` \\n é'])
def test_snippets_run_as_they_are(
    ws: Workspace, tmp_path: Path, language: str, command: list[str], carrier: str
) -> None:
    found = endpoints.get(ws, "delay")
    told = replace(found, example={**found.example, "carrier": carrier})
    (text,) = (one.text for one in snippets(told).items if one.language == language)
    assert served.TOKEN not in text
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "prediction_ids" in done.stdout, done.stdout


def test_the_log_is_bounded_and_plain(ws: Workspace) -> None:
    empty = logs.read_log(ws, "delay")
    assert (empty.lines, empty.written_at) == ((), None)
    path = log_path(ws, "delay")
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"line {n}\n" for n in range(500)) + "\x1b[31mred\x1b[0m\x07\nlast")
    found = logs.read_log(ws, "delay", 3)
    assert found.lines == ("line 499", "red�", "last")
    assert found.earlier
    assert not logs.read_log(ws, "delay", 2000).earlier
    path.write_bytes(b"x" * 5_000_000 + b"\n\xff\n" + b"y" * 3000)
    found = logs.read_log(ws, "delay", 2000)
    assert found.lines[0] == "�"
    assert len(found.lines[1]) == 2000
    assert found.size == 5_003_003
    for lines in (0, 2001):
        with pytest.raises(Invalid, match="can't be shown"):
            logs.read_log(ws, "delay", lines)
    with pytest.raises(NotFound):
        logs.read_log(ws, "other")
