"""What a caller of `/invocations` gets, with MLflow's own scoring code as the judge."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import mlflow
import pytest
import served
from mlflow.pyfunc import scoring_server

from jupyter_mlops.serving.fields import Field, field_type
from jupyter_mlops.serving.formats import JSON, Form
from jupyter_mlops.serving.intake import Intake
from jupyter_mlops.serving.refusals import Refusal

ROW = {"hour": 7, "distance": 812.5, "carrier": "UA"}


def post(client: served.Client, body: Any, **more: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json", **more.pop("headers", {})}
    return client.post("/invocations", content=content, headers=headers, **more)


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "instances", "inputs"])
def test_each_form_gets_mlflows_answers(client: served.Client, model: Path, form: str) -> None:
    table = served.flights(50, seed=1)
    body = {
        "dataframe_split": table.to_dict(orient="split"),
        "dataframe_records": table.to_dict(orient="records"),
        "instances": table.to_dict(orient="records"),
        "inputs": table.to_dict(orient="list"),
    }[form]
    answer = post(client, {form: body})
    assert answer.status_code == 200, answer.text
    theirs = scoring_server.invocations(
        json.dumps({form: body}), "application/json", mlflow.pyfunc.load_model(str(model)), None
    )
    assert answer.json()["predictions"] == json.loads(theirs.response)["predictions"]


def test_each_answer_names_version_digest_ids_and_probabilities(client: served.Client) -> None:
    answer = post(client, {"dataframe_records": [ROW, ROW]})
    body = answer.json()
    assert body["classes"] == [False, True]
    assert body["predictions"] == [p > 0.5 for p in body["probabilities"]]
    assert len(set(body["prediction_ids"])) == 2
    assert body["model"]["version"] == answer.headers["x-mlops-version"] == "3"
    assert body["model"]["digest"] == client.endpoint.config.digest
    assert body["request_id"] == answer.headers["x-request-id"]


def test_a_callers_request_id_is_kept(client: served.Client) -> None:
    answer = post(client, {"dataframe_records": [ROW]}, headers={"x-request-id": "order-66"})
    assert answer.json()["request_id"] == "order-66"
    assert not answer.json()["prediction_ids"][0].startswith("order-66")


def test_an_unknown_column_is_ignored_with_a_warning(client: served.Client) -> None:
    answer = post(client, {"dataframe_records": [{**ROW, "gate": 4}]})
    assert answer.json()["warnings"] == ["columns the model does not know were ignored: 'gate'"]


def test_missing_numbers_come_as_null_or_as_pythons_nan(client: served.Client) -> None:
    # A standard scaler lets NaN through and the logistic regression refuses it: no server error.
    for text in ("null", "NaN"):
        body = b'{"dataframe_records":[{"hour":7,"carrier":"UA","distance":%s}]}' % text.encode()
        answer = post(client, body)
        assert answer.status_code == 422
        assert answer.json()["message"] == (
            "the model failed on these rows (missing values in 'distance'); "
            "the endpoint's log says why"
        )


WRONG = {
    "string for a number": (
        {"dataframe_records": [ROW, {**ROW, "distance": "far"}]},
        "row 1, column 'distance': expected double, found a string",
    ),
    "boolean for a number": (
        {"inputs": {"hour": [True], "distance": [1.0], "carrier": ["UA"]}},
        "row 0, column 'hour': expected long, found a boolean",
    ),
    "fraction for an integer": (
        {"dataframe_records": [{**ROW, "hour": 7.5}]},
        "row 0, column 'hour': expected long, found a number with a fraction",
    ),
    "missing integer": (
        {"dataframe_records": [ROW, ROW, {**ROW, "hour": None}]},
        "row 2, column 'hour': expected long, found null; a column with missing values must be "
        "double or optional in the signature",
    ),
    "number for a string": (
        {"dataframe_records": [{**ROW, "carrier": 12}]},
        "row 0, column 'carrier': expected string, found an integer",
    ),
    "huge integer": (
        {"dataframe_records": [{**ROW, "hour": 2**63}]},
        "row 0, column 'hour': the number does not fit long",
    ),
    "huge negative integer": (
        b'{"dataframe_records": [{"hour": -9223372036854775809, "distance": 1, "carrier": ""}]}',
        "row 0, column 'hour': the number does not fit long",
    ),
    "missing column": (
        {"dataframe_records": [{"hour": 7, "distanse": 1.0, "carrier": "UA"}]},
        "column 'distance' is missing, did you mean 'distanse'?",
    ),
    "column missing in one row": (
        {"dataframe_records": [ROW, {"hour": 7, "carrier": "UA"}]},
        "row 1 lacks column 'distance': send null for a missing value",
    ),
    "ragged rows": (
        {"dataframe_split": {"columns": list(ROW), "data": [[7, 1.0, "UA"], [7, 1.0]]}},
        "row 1: expected 3 values, found 2 values",
    ),
    "a column named twice": (
        {"dataframe_split": {"columns": ["hour", "hour"], "data": [[7, 1]]}},
        "column 'hour' is named twice",
    ),
    "ragged columns": (
        {"inputs": {"hour": [7, 8], "distance": [1.0], "carrier": ["UA", "UA"]}},
        "column 'distance' holds 1 values and column 'hour' 2",
    ),
    "unnamed rows for named columns": (
        {"inputs": [[7, 1.0, "UA"]]},
        "rows are unnamed lists and the model's columns have names: send `dataframe_split`, "
        "`dataframe_records`, or `inputs` as an object of columns",
    ),
    "no rows": ({"dataframe_records": []}, "the request holds no rows"),
    "two forms": (
        {"inputs": {}, "instances": []},
        "send a JSON object with exactly one of dataframe_split, dataframe_records, instances, "
        "inputs: the body holds several",
    ),
    "no object": (
        [1],
        "send a JSON object with exactly one of dataframe_split, dataframe_records, instances, "
        "inputs: the body is no JSON object",
    ),
    "cut off": (b'{"inputs": ', "the body is not JSON (line 1, column 12)"),
    "empty": (b"", "the body is empty"),
    "half a character beside NaN": (
        b'{"dataframe_records": [{"hour": 7, "distance": NaN, "carrier": "\\uD800"}]}',
        "the body is not JSON (line 1, column 48)",
    ),
    "deep": (b"[" * 100_000, "the body is not JSON (line 1, column 1026)"),
    "deep with NaN": (b"[" * 100_000 + b"NaN", "the body is not JSON (line 1, column 1026)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_body_is_told_where_it_is_wrong(client: served.Client, case: str) -> None:
    body, sentence = WRONG[case]
    answer = post(client, body)
    assert answer.status_code == 400
    assert answer.json()["message"] == answer.json()["error"] == sentence


def test_errors_never_echo_values(client: served.Client) -> None:
    for value in ("4111-1111-1111-1111", [["4111"]], {"card": "4111"}):
        answer = post(client, {"dataframe_records": [{**ROW, "hour": value}]})
        assert answer.status_code == 400
        assert "4111" not in answer.text


def test_of_two_equal_names_the_last_counts_as_in_mlflow(client: served.Client) -> None:
    twice = b'{"dataframe_records":[{"hour":"x","hour":7,"distance":1.0,"carrier":"UA"}]}'
    assert post(client, twice).status_code == 200


def test_a_whole_number_written_as_a_float_is_an_integer(client: served.Client) -> None:
    as_float = post(client, {"dataframe_records": [{**ROW, "hour": 7.0, "distance": 812}]})
    as_integer = post(client, {"dataframe_records": [{**ROW, "distance": 812.0}]})
    assert as_float.json()["probabilities"] == as_integer.json()["probabilities"]


def test_a_bad_row_does_not_fail_requests_beside_it(
    client: served.Client, model: Path, tmp_path: Path
) -> None:
    from jupyter_mlops.serving.invocations import read_invocation
    from jupyter_mlops.serving.process import build
    from jupyter_mlops.serving.refusals import Refusal

    endpoint = build(served.config(model, tmp_path))
    batches = []
    endpoint.board.primary.batcher.observe = batches.append
    bodies = [{"dataframe_records": [{**ROW, "distance": d}]} for d in (100.0, None, 300.0)]
    rows = [read_invocation(body, endpoint.board.primary.intake) for body in bodies]

    async def answers() -> list[Any]:
        asked = (endpoint.board.primary.batcher.answer(str(n), one) for n, one in enumerate(rows))
        return await asyncio.gather(*asked, return_exceptions=True)

    first, second, third = asyncio.run(answers())
    endpoint.board.close()
    assert batches == [3]  # they were asked together
    assert isinstance(second, Refusal)
    assert second.status == 422
    assert len(first.ids) == len(third.ids) == 1
    alone = post(client, bodies[0]).json()
    assert first.answer.prediction.tolist() == alone["predictions"]
    assert first.answer.probability.tolist() == alone["probabilities"]


def test_limits_of_bytes_and_rows(client: served.Client) -> None:
    answer = post(client, b" " * (33 << 20))
    assert (answer.status_code, answer.json()["code"]) == (413, "E-SERVE-160")
    many = {"inputs": {name: [value] * 50_001 for name, value in ROW.items()}}
    answer = post(client, many)
    assert (answer.status_code, answer.json()["code"]) == (413, "E-SERVE-102")


def test_other_media_types_are_refused(client: served.Client) -> None:
    body = json.dumps({"dataframe_records": [ROW]})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "text/html", ""):
        assert (
            client.post("/invocations", content=body, headers={"content-type": kind}).status_code
            == 415
        )
    kind = "application/json; charset=utf-8"
    assert (
        client.post("/invocations", content=body, headers={"content-type": kind}).status_code == 200
    )


def post_csv(client: served.Client, text: str) -> Any:
    return client.post("/invocations", content=text, headers={"content-type": "text/csv"})


def test_a_csv_table_is_answered_as_mlflow_does(client: served.Client, model: Path) -> None:
    table = served.flights(40, seed=3)
    answer = post_csv(client, table.to_csv(index=False))
    as_json = post(client, {"inputs": table.to_dict(orient="list")}).json()
    assert answer.json()["predictions"] == as_json["predictions"]
    assert answer.json()["probabilities"] == as_json["probabilities"]
    theirs = scoring_server.invocations(
        data=table.to_csv(index=False),
        content_type="text/csv",
        model=mlflow.pyfunc.load_model(str(model)),
        input_schema=mlflow.models.Model.load(str(model)).get_input_schema(),
    )
    assert json.loads(theirs.response)["predictions"] == answer.json()["predictions"]


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        ("hour,distance,carrier\n7,far,UA\n", 400, "row 0, column 'distance': expected double"),
        ("hour,distance,carrier\n7,1.0\n", 400, "row 0: expected 3 values, found 2 values"),
        ("hour,hour,carrier\n7,1.0,UA\n", 400, "column 'hour' is named twice"),
        ("hour,distance,carrier\n", 400, "the request holds no rows"),
        ("hour,distance\n7,1.0\n", 400, "column 'carrier' is missing"),
        ('hour,distance,carrier\n7,"1.0,UA\n', 400, "the body is no CSV table in UTF-8"),
        ("hour,distance,carrier\n7,1_0,UA\n", 400, "row 0, column 'distance': expected double"),
        ("hour,distance,carrier\nNA,1.0,UA\n", 400, "row 0, column 'hour': expected long"),
        (
            "hour,distance,carrier\n,1.0,UA\n",
            400,
            "row 0, column 'hour': expected long, found null",
        ),
    ],
)
def test_a_wrong_csv_table_is_told_where(
    client: served.Client, text: str, status: int, told: str
) -> None:
    answer = post_csv(client, text)
    assert answer.status_code == status, answer.text
    assert told in answer.json()["message"]
    assert "far" not in answer.text


def test_lines_of_json_are_answered_line_by_line(client: served.Client) -> None:
    table = served.flights(6, seed=4)
    records = table.to_dict(orient="records")
    body = "\n".join(json.dumps(one) for one in records)
    headers = {"content-type": "application/x-ndjson"}
    answer = client.post("/invocations", content=body, headers=headers)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["x-mlops-version"] == "3"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    as_json = post(client, {"dataframe_records": records}).json()
    assert [one["prediction"] for one in lines] == as_json["predictions"]
    assert [one["probability"] for one in lines] == as_json["probabilities"]
    assert len({one["prediction_id"] for one in lines}) == 6
    broken = body.splitlines()
    broken[2] = broken[2][:-3]
    refused = client.post("/invocations", content="\n".join(broken), headers=headers)
    assert refused.status_code == 400
    assert refused.json()["message"].startswith("row 2: the line is not JSON")


@pytest.mark.parametrize("value", ["true", '"1.5"', "null", "1e400", "9" * 400, "[1]", "{}", "NaN"])
@pytest.mark.parametrize("count", [1, 3])
def test_doubles_are_read_alike_whatever_the_text_says_of_booleans(value: str, count: int) -> None:
    double = field_type("double")
    assert double is not None
    intake = Intake([Field("a", double), Field("true", double)])

    def told(names: str) -> Any:
        rows = ",".join([f"[2, {value}]"] * count)
        body = f'{{"dataframe_split": {{"columns": {names}, "data": [{rows}]}}}}'.encode()
        try:
            return Form(JSON, JSON).read(body, intake, 1 << 20).block.tolist()
        except Refusal as refusal:
            return refusal.code, refusal.message

    if value in ("true", '"1.5"'):
        assert told('["a", "true"]')[0] == "E-SERVE-110"
    # The name of a column has the word in it, or hides it.
    assert repr(told('["a",      "true"]')) == repr(told('["a", "tr\\u0075e"]'))
