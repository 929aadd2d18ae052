"""Models asked through MLflow, with MLflow's own scoring server as the judge of the answers."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import logged
import mlflow
import pyarrow as pa
import pytest
import served
from jsonschema import Draft202012Validator
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

from jupyter_mlops.serving.application import Endpoint
from jupyter_mlops.serving.arrowbody import ARROW
from jupyter_mlops.serving.journal import SUFFIX, read_segment
from jupyter_mlops.serving.openapi import document
from jupyter_mlops.serving.process import build
from jupyter_mlops.workspace import MLOpsError

PORT = 8123


class Asked:
    """An endpoint with its model's own process, asked without a socket of HTTP."""

    def __init__(self, endpoint: Endpoint, folder: Path) -> None:
        self.endpoint = endpoint
        self.folder = folder
        self.loop = asyncio.new_event_loop()
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(endpoint.application(PORT)),
            base_url=f"http://127.0.0.1:{PORT}",
            headers=served.AUTH,
            timeout=60,
        )

    def post(self, body: Any, path: str = "/invocations") -> httpx.Response:
        return self.together([body], path)[0]

    def send(self, content: bytes, kind: str) -> httpx.Response:
        headers = {"content-type": kind, "accept": "application/json"}
        asking = self.client.post("/invocations", content=content, headers=headers)
        return self.loop.run_until_complete(asking)

    def together(self, bodies: list[Any], path: str = "/invocations") -> list[httpx.Response]:
        async def ask() -> list[httpx.Response]:
            return await asyncio.gather(*(self.client.post(path, json=one) for one in bodies))

        return self.loop.run_until_complete(ask())

    def logged(self) -> list[dict[str, Any]]:
        tables = [
            read_segment(path).table
            for path in (self.folder / "traffic" / "hot").glob(f"*{SUFFIX}")
        ]
        return [row for table in tables if table is not None for row in table.to_pylist()]

    def close(self) -> None:
        self.loop.run_until_complete(self.client.aclose())
        self.endpoint.board.close()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


class Models:
    """Saves each kind of model once, and serves it once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.running: dict[str, Asked] = {}
        self.saved = cache(self._saved)
        self.theirs = cache(lambda kind: mlflow.pyfunc.load_model(str(self.saved(kind))))

    def _saved(self, kind: str) -> Path:
        return logged.save(kind, self.root / kind)

    def __call__(self, kind: str) -> Asked:
        if kind not in self.running:
            folder = self.root / f"{kind}-endpoint"
            folder.mkdir()
            settings = served.config(self.saved(kind), folder, pickles=True)
            self.running[kind] = Asked(build(settings), folder)
        return self.running[kind]

    def judged(self, kind: str, body: Any) -> tuple[int, Any]:
        """The status and the predictions that MLflow's scoring server answers."""
        model = self.theirs(kind)
        try:
            told = scoring_server.invocations(
                json.dumps(body), "application/json", model, model.metadata.get_input_schema()
            )
        except MlflowException as error:
            return error.get_http_status_code(), None
        return told.status, json.loads(told.response)["predictions"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    made = Models(tmp_path_factory.mktemp("logged"))
    yield made
    for one in made.running.values():
        one.close()


@pytest.mark.parametrize("kind", logged.BODIES)
def test_every_body_gets_mlflows_answer_or_its_kind_of_error(models: Models, kind: str) -> None:
    answered = 0
    for body in logged.BODIES[kind]:
        status, predictions = models.judged(kind, body)
        ours = models(kind).post(body)
        assert ours.status_code // 100 == status // 100, (body, ours.text)
        if status == 200:
            assert ours.json()["predictions"] == predictions, body
            answered += 1
        else:
            # MLflow echoes the rows and a trace; we name the place, and nothing of what was sent.
            assert "Traceback" not in ours.text
            assert "far" not in ours.text.split('"message"')[0]
    assert answered


@pytest.mark.parametrize("kind", logged.LOSSY)
def test_what_mlflow_would_lose_or_guess_is_refused(models: Models, kind: str) -> None:
    rows = {"columns": logged.COLUMNS, "tensors": logged.TENSORS}[kind]
    form = {"columns": "dataframe_records", "tensors": "instances"}[kind]
    for name, value in logged.LOSSY[kind].items():
        body = {form: [{**rows, name: value}]}
        assert models.judged(kind, body)[0] == 200, "MLflow has become as strict: compare answers"
        assert models(kind).post(body).status_code == 400


def test_a_csv_table_with_holes_is_read_as_mlflow_reads_it(models: Models) -> None:
    for hole in ("", "NA", "NaN", "null", "None"):
        text = f"a,b\n1.5,{hole}\n4,2\n"
        model = models.theirs("xgboost")
        theirs = scoring_server.invocations(
            text, "text/csv", model, model.metadata.get_input_schema()
        )
        ours = models("xgboost").send(text.encode(), "text/csv")
        assert ours.json()["predictions"] == json.loads(theirs.response)["predictions"], hole


def test_times_that_nanoseconds_cannot_hold_are_refused_not_wrapped(models: Models) -> None:
    """A model is given nanoseconds: the year 2300 would become 1715."""
    for moment, why in (
        ("2300-01-01", "is before 1678 or after 2261"),
        ("0001-01-01T00:00:00+14:00", "is before the year 1 or after 9999"),
    ):
        rows = [logged.COLUMNS, {**logged.COLUMNS, "at": moment}]
        answer = models("columns").post({"dataframe_records": rows})
        assert answer.status_code == 400, answer.text
        assert answer.json()["message"] == f"row 1, column 'at': the time {why}"
        assert models.judged("columns", {"dataframe_records": rows})[0] == 400
    far = {**logged.COLUMNS, "raw": b"", "at": datetime(2300, 1, 1)}
    table = pa.Table.from_pylist([{name: far[name] for name in logged.COLUMNS}])
    narrow = {"small": pa.int32(), "single": pa.float32()}
    for name, kind in narrow.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, table[name].cast(kind))
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    answer = models("columns").send(sink.getvalue(), ARROW)
    assert answer.json()["message"] == "row 0, column 'at': the time is before 1678 or after 2261"


def test_arrow_columns_for_tensors_are_taken_or_refused(models: Models) -> None:
    table = pa.table({"image": pa.array([1, 2], pa.float32()), "code": [5, 6],
                      "series": pa.array([1.0, 2.0])})  # fmt: skip
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    answer = models("tensors").send(sink.getvalue(), ARROW)
    assert answer.status_code == 400, answer.text
    assert answer.json()["message"] == (
        "input 'image': expected float32 of shape [-1,2,2], found shape [-1]"
    )


@pytest.mark.parametrize("form", ["deep", "large", "parameter"])
def test_what_nothing_can_carry_to_the_model_is_refused_and_harms_none(
    models: Models, form: str
) -> None:
    """Deeper, or with larger integers, than any message to the model's process may be."""
    deep: list[Any] = []
    for _ in range(600):
        deep = [deep]
    hole = float("nan")
    kind, body = {
        "deep": ("nested", {"dataframe_records": [{**logged.NESTED, "extra": deep}]}),
        "large": ("nested", {"dataframe_records": [{**logged.NESTED, "x": hole, "extra": 10**30}]}),
        "parameter": ("frame", {"inputs": {"a": [hole], "b": [1.0]}, "params": {"times": 10**30}}),
    }[form]
    one = models(kind)
    before = one.endpoint.board.primary.batcher.pids
    answer = one.send(json.dumps(body).encode(), "application/json")
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in ("E-SERVE-116", "E-SERVE-117")
    assert one.endpoint.board.primary.batcher.pids == before


def test_typed_models_stay_typed(models: Models) -> None:
    assert models("skops").post({"dataframe_records": [logged.ROW]}).json()["probabilities"]
    assert "probabilities" not in models("xgboost").post({"dataframe_records": [logged.ROW]}).json()


def test_a_models_error_says_nothing_of_the_data(models: Models) -> None:
    answer = models("odd").post({"dataframe_records": [{"a": 0.0, "b": 9.0}]})
    assert answer.status_code == 422
    assert "secret" not in answer.text


def test_an_answer_that_json_cannot_hold_fails_alone(models: Models) -> None:
    bodies = [{"dataframe_records": [{"a": float(n), "b": 0.0}]} for n in (5, 1)]
    bad, good = models("odd").together(bodies)
    assert bad.status_code == 422
    assert good.json()["predictions"] == 3.5


def test_requests_with_other_parameters_are_never_asked_together(models: Models) -> None:
    one = models("frame")
    batches: list[int] = []
    one.endpoint.board.primary.batcher.observe = batches.append
    bodies = [
        {"dataframe_records": [{"a": float(n), "b": 0.0}], "params": {"times": n % 3 + 1.0}}
        for n in range(30)
    ]
    answers = one.together(bodies)
    assert [a.json()["predictions"][0]["score"] for a in answers] == [
        n * (n % 3 + 1.0) for n in range(30)
    ]
    # The first goes alone; those that waited are asked by their parameters, not one by one.
    assert sum(batches) == 30
    assert len(batches) < 10


def test_rows_of_others_never_change_what_code_of_ones_own_answers(models: Models) -> None:
    bodies = [{"dataframe_records": [{"a": float(n), "b": 0.0}]} for n in range(20)]
    answers = models("rank").together(bodies)
    assert [a.json()["predictions"] for a in answers] == [[1.0]] * 20


def test_a_bad_parameter_is_named(models: Models) -> None:
    answer = models("frame").post({"dataframe_records": [logged.ROW], "params": {"times": "x"}})
    assert answer.status_code == 400
    assert answer.json()["message"] == (
        "parameter 'times' isn't of the type that the signature says"
    )


@pytest.mark.parametrize(
    ("kind", "body", "sentence"),
    [
        (
            "tensors",
            {"inputs": {"image": [[[1, 2, 3]]], "code": [1], "series": [[1.0]]}},
            "input 'image': expected float32 of shape [-1,2,2], found shape [-1,1,3]",
        ),
        (
            "nested",
            {"dataframe_records": [logged.NESTED, {**logged.NESTED, "words": ["a", 4111]}]},
            "row 1, column 'words'[1]: expected a string, found another value",
        ),
        (
            "nested",
            {"dataframe_records": [{**logged.NESTED, "person": {"age": 4111}}]},
            "row 0, column 'person': property 'name' is missing",
        ),
        (
            "columns",
            {"dataframe_records": [{**logged.COLUMNS, "whole": "4111"}]},
            "row 0, column 'whole': expected long, found a string",
        ),
    ],
)
def test_a_wrong_body_is_told_where_it_is_wrong(
    models: Models, kind: str, body: Any, sentence: str
) -> None:
    answer = models(kind).post(body)
    assert answer.status_code == 400
    assert answer.json()["message"] == sentence


def test_tensors_and_parameters_come_by_the_open_inference_protocol(models: Models) -> None:
    tensors = [
        {"name": "image", "datatype": "FP32", "shape": [1, 2, 2], "data": logged.IMAGE},
        {"name": "code", "datatype": "INT64", "shape": [1], "data": [5]},
        {"name": "series", "datatype": "FP64", "shape": [1, 3], "data": [[0.5, 1.5, 2.5]]},
    ]
    path = "/v2/models/delay/infer"
    answer = models("tensors").post({"inputs": tensors}, path).json()
    expected = models.judged("tensors", {"instances": [logged.TENSORS]})[1]
    assert json.loads(answer["outputs"][0]["data"][0]) == expected
    columns = [
        {"name": name, "datatype": "FP64", "shape": [1], "data": [value]}
        for name, value in logged.ROW.items()
    ]
    told = {"inputs": columns, "parameters": {"times": 10}}
    (score,) = models("frame").post(told, path).json()["outputs"][0]["data"]
    assert json.loads(score) == {"score": 30.0, "word": "low"}


def test_whatever_is_answered_is_in_the_log(models: Models) -> None:
    for kind in ("nested", "tensors", "statsmodels", "onnx", "odd"):
        body = logged.BODIES[kind][1]
        one = models(kind)
        answer = one.post(body).json()
        logs = {row["prediction_id"]: row for row in one.logged()}
        rows = [logs[name] for name in answer["prediction_ids"]]
        told = [row["prediction"] for row in rows]
        if kind == "odd":
            assert told == ["3.5"]
        elif kind in ("statsmodels", "onnx"):
            found = [json.loads(one) if isinstance(one, str) else one for one in told]
            whole = answer["predictions"]
            assert found == (whole if isinstance(whole, list) else
                             [dict(zip(whole, row, strict=True))
                              for row in zip(*whole.values(), strict=True)])  # fmt: skip
        else:
            assert json.loads(told[0]) == answer["predictions"]
        if kind == "nested":
            assert json.loads(rows[0]["in.person"]) == logged.NESTED["person"]
        if kind == "tensors":
            assert json.loads(rows[0]["in.image"]) == logged.IMAGE
            assert rows[0]["in.code"] == 5


def test_the_specification_describes_tensors_objects_and_parameters(models: Models) -> None:
    from openapi_spec_validator import validate

    def described(kind: str) -> dict[str, Any]:
        one = models(kind)
        answer = one.loop.run_until_complete(one.client.get("/openapi.json"))
        validate(answer.json())
        body = answer.json()["paths"]["/invocations"]["post"]["requestBody"]
        found: dict[str, Any] = body["content"]["application/json"]["schema"]["properties"]
        return found

    image = described("tensors")["dataframe_records"]["items"]["properties"]["image"]
    assert image["maxItems"] == image["items"]["maxItems"] == 2
    assert image["items"]["items"]["type"] == ["number", "null"]
    holed = {"instances": [{**logged.TENSORS, "image": [[1, None], [3, 4]]}]}
    assert models("tensors").post(holed).status_code == models.judged("tensors", holed)[0] == 200
    person = described("nested")["inputs"]["properties"]["person"]
    assert person["required"] == ["name"]
    assert set(described("frame")["params"]["properties"]) == {"times"}


def test_the_specification_of_one_plain_value_says_what_is_taken(models: Models) -> None:
    one = models("hinted")
    version = one.endpoint.board.primary
    told = document(one.endpoint.config, version.intake, version.portrait)
    content = told["paths"]["/invocations"]["post"]["requestBody"]["content"]
    judge = Draft202012Validator(content["application/json"]["schema"])
    for body in ({"inputs": ["a", "b"]}, {"inputs": "a"}, {"instances": [["a"]]}, {"inputs": [1]},
                 {"inputs": [["a", "b"]]}, {"instances": "a"}):  # fmt: skip
        assert judge.is_valid(body) == (one.post(body).status_code == 200), body


@pytest.mark.parametrize("kind", ["tensors", "nested"])
def test_the_examples_of_tensors_and_objects_are_answered(models: Models, kind: str) -> None:
    row = {"tensors": logged.TENSORS, "nested": logged.NESTED}[kind]
    example = {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}
    one = models(kind)
    version = one.endpoint.board.primary
    told = document(one.endpoint.config, version.intake, version.portrait, example)
    bodies = told["paths"]["/invocations"]["post"]["requestBody"]["content"]
    assert set(bodies) == {"application/json", "application/x-ndjson"}
    plain = one.post(bodies["application/json"]["example"])
    lines = one.send(bodies["application/x-ndjson"]["example"].encode(), "application/x-ndjson")
    content = told["paths"]["/v2/models/delay/infer"]["post"]["requestBody"]["content"]
    tensors = content["application/json"]
    Draft202012Validator(tensors["schema"]).validate(tensors["example"])
    v2 = one.post(tensors["example"], "/v2/models/delay/infer")
    assert v2.status_code == plain.status_code == 200, v2.text
    assert lines.json()["predictions"] == plain.json()["predictions"]
    assert json.loads(v2.json()["outputs"][0]["data"][0]) == plain.json()["predictions"]


def test_what_nobody_foresaw_is_told_without_data(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = models("skops")

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("4111")

    monkeypatch.setattr(one.endpoint, "ask", broken)
    monkeypatch.setattr(one.client._transport, "raise_app_exceptions", False)
    for path in ("/invocations", "/v2/models/delay/infer"):
        answer = one.post({"dataframe_records": [logged.ROW]}, path)
        assert (answer.status_code, answer.json()["code"]) == (500, "E-SERVE-190")
        assert "4111" not in answer.text


def test_code_is_not_loaded_without_the_word_of_who_started_it(
    models: Models, tmp_path: Path
) -> None:
    for kind in ("frame", "cloudpickle", "statsmodels"):
        with pytest.raises(MLOpsError, match="loading the model may run any code"):
            build(served.config(models.saved(kind), tmp_path))
    for kind in ("xgboost", "lightgbm", "onnx", "probabilities"):
        folder = tmp_path / kind
        folder.mkdir()
        build(served.config(models.saved(kind), folder)).board.close()


def test_a_safe_flavor_that_was_made_unsafe_is_refused(models: Models, tmp_path: Path) -> None:
    """Each claims to be harmless in MLmodel, and holds or names what isn't."""
    changes = {
        "lightgbm": ("    serialization_format: skops\n", "    serialization_format: pickle\n"),
        "xgboost": ("model_class: xgboost.sklearn.XGBClassifier", "model_class: subprocess.Popen"),
        "onnx": ("    code: null\n", "    code: code\n"),
    }  # fmt: skip
    for kind, (before, after) in changes.items():
        copy = tmp_path / kind
        shutil.copytree(models.saved(kind), copy)
        text = (copy / "MLmodel").read_text()
        assert before in text
        (copy / "MLmodel").write_text(text.replace(before, after))
        with pytest.raises(MLOpsError, match="loading the model may run any code"):
            build(served.config(copy, tmp_path))


def test_files_that_changed_are_not_loaded(models: Models, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(models.saved("frame"), copy)
    settings = served.config(copy, tmp_path, pickles=True)
    (copy / "requirements.txt").write_text("other\n")
    with pytest.raises(MLOpsError, match="not the ones that were registered"):
        build(settings)
