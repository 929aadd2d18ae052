"""The Open Inference Protocol as JSON and as Triton's binary tensors."""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import served

INFER = "/v2/models/delay/infer"


def tensors(table: Any) -> list[dict[str, Any]]:
    kinds = {"hour": "INT64", "distance": "FP64", "carrier": "BYTES"}
    return [
        {"name": name, "shape": [len(table)], "datatype": kind, "data": table[name].tolist()}
        for name, kind in kinds.items()
    ]


def test_both_protocols_answer_the_same(client: served.Client) -> None:
    table = served.flights(20, seed=2)
    v2 = client.post(INFER, json={"id": "7", "inputs": tensors(table)}).json()
    mlflow = client.post("/invocations", json={"inputs": table.to_dict(orient="list")}).json()
    outputs = {tensor["name"]: tensor for tensor in v2["outputs"]}
    assert outputs["prediction"]["data"] == mlflow["predictions"]
    assert outputs["prediction"]["datatype"] == "BOOL"
    assert outputs["probability"]["data"] == mlflow["probabilities"]
    assert len(set(outputs["prediction_id"]["data"])) == 20
    assert (v2["id"], v2["model_name"], v2["model_version"]) == ("7", "delay", "3")
    assert v2["parameters"]["digest"] == client.endpoint.config.digest


def test_columns_may_have_a_second_axis_of_one(client: served.Client) -> None:
    table = served.flights(3)
    flat = tensors(table)
    deep = [{**t, "shape": [3, 1], "data": [[v] for v in t["data"]]} for t in flat]
    answers = [
        client.post(INFER, json={"inputs": t}).json()["outputs"][1]["data"] for t in (flat, deep)
    ]
    assert answers[0] == answers[1]


def test_only_the_outputs_asked_for_are_sent(client: served.Client) -> None:
    body = {"inputs": tensors(served.flights(2)), "outputs": [{"name": "probability"}]}
    answer = client.post(INFER, json=body).json()
    assert [tensor["name"] for tensor in answer["outputs"]] == ["probability"]
    body["outputs"] = [{"name": "probabilities"}]
    answer = client.post(INFER, json=body)
    assert answer.json()["error"].startswith("there is no output 'probabilities'")


def binary(client: served.Client, head: dict[str, Any], tail: bytes, **headers: str) -> Any:
    text = json.dumps(head).encode()
    sent = {"inference-header-content-length": str(len(text)), **headers}
    return client.post(INFER, content=text + tail, headers=sent)


def packed(table: Any) -> tuple[list[dict[str, Any]], bytes]:
    words = b"".join(struct.pack("<I", len(w)) + w.encode() for w in table["carrier"])
    parts = {
        "hour": ("INT32", table["hour"].astype("<i4").to_numpy().tobytes()),
        "distance": ("FP32", table["distance"].astype("<f4").to_numpy().tobytes()),
        "carrier": ("BYTES", words),
    }
    inputs = [
        {
            "name": name,
            "shape": [len(table), 1],
            "datatype": kind,
            "parameters": {"binary_data_size": len(data)},
        }
        for name, (kind, data) in parts.items()
    ]
    return inputs, b"".join(data for _, data in parts.values())


def test_binary_tensors_in_and_out(client: served.Client) -> None:
    table = served.flights(4)
    inputs, tail = packed(table)
    head = {"inputs": inputs, "parameters": {"binary_data_output": True}}
    answer = binary(client, head, tail)
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["inference-header-content-length"])
    outputs = json.loads(answer.content[:length])["outputs"]
    sizes = [tensor["parameters"]["binary_data_size"] for tensor in outputs]
    assert length + sum(sizes) == len(answer.content)
    probability = np.frombuffer(answer.content, "<f8", 4, length + sizes[0])
    columns = {**table.to_dict(orient="list"), "distance": table["distance"].astype("f4").tolist()}
    plain = client.post("/invocations", json={"inputs": columns}).json()
    assert np.array_equal(probability, plain["probabilities"])


WRONG: dict[str, tuple[dict[str, Any], bytes]] = {
    "data cut off": ({}, b"short"),
    "data left over": ({}, b"more"),
    "size negative": ({"parameters": {"binary_data_size": -1}}, b""),
    "size no number": ({"parameters": {"binary_data_size": "9"}}, b""),
    "unknown datatype": ({"datatype": "FP128"}, b""),
    "wrong datatype": ({"datatype": "BOOL"}, b""),
    "shape too deep": ({"shape": [1, 1, 1]}, b""),
    "shape negative": ({"shape": [-1]}, b""),
    "shape huge": ({"shape": [2**40]}, b""),
    "rows differ": ({"shape": [3]}, b""),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_tensors_are_refused_with_a_sentence(client: served.Client, case: str) -> None:
    change, tail = WRONG[case]
    inputs, data = packed(served.flights(4))
    inputs[0] = {**inputs[0], **change}
    data = data[:-3] if case == "data cut off" else data + tail
    answer = binary(client, {"inputs": inputs}, data)
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize("length", ["-1", "x", "999999999", "1"])
def test_a_wrong_length_of_the_json_part(client: served.Client, length: str) -> None:
    answer = binary(client, {"inputs": []}, b"", **{"inference-header-content-length": length})
    assert answer.status_code == 400


def test_json_columns_are_checked_like_everywhere(client: served.Client) -> None:
    inputs = tensors(served.flights(2))
    inputs[1]["data"][1] = "far"
    answer = client.post(INFER, json={"inputs": inputs})
    assert answer.json()["error"] == "row 1, column 'distance': expected double, found a string"
    answer = client.post(INFER, json={"inputs": inputs[:2]})
    assert "is missing" in client.post(INFER, json={"inputs": tensors(served.flights(2))[:2]}).text


def test_metadata_describes_the_signature(client: served.Client) -> None:
    described = client.get("/v2/models/delay").json()
    assert described["inputs"] == [
        {"name": "hour", "datatype": "INT64", "shape": [-1]},
        {"name": "distance", "datatype": "FP64", "shape": [-1]},
        {"name": "carrier", "datatype": "BYTES", "shape": [-1]},
    ]
    assert [t["name"] for t in described["outputs"]] == [
        "prediction",
        "probability",
        "prediction_id",
    ]
    assert described["versions"] == ["3"]
    assert client.get("/v2/models/delay/versions/3/ready").status_code == 200
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]


def test_a_model_of_an_array_takes_matrices(tmp_path: Path) -> None:
    import mlflow
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    from jupyter_mlops.serving.batching import Outcome
    from jupyter_mlops.serving.inference import Question
    from jupyter_mlops.serving.invocations import read_invocation
    from jupyter_mlops.serving.process import build

    rng = np.random.default_rng(0)
    features, target = rng.normal(size=(90, 4)), rng.integers(0, 3, 90)
    model = LogisticRegression().fit(features, target)
    mlflow.sklearn.save_model(
        model,
        tmp_path / "m",
        signature=infer_signature(features, target),
        serialization_format="skops",
        pip_requirements=["scikit-learn"],
    )
    endpoint = build(served.config(tmp_path / "m", tmp_path))
    rows = features[:5]
    asked = [
        read_invocation({"instances": rows.tolist()}, endpoint.board.primary.intake),
        read_invocation({"inputs": rows.tolist()}, endpoint.board.primary.intake),
    ]
    for shape, data in (([5, 4], rows.tolist()), ([5, 4], rows.ravel().tolist())):
        tensor = {"name": "x", "shape": shape, "datatype": "FP64", "data": data}
        asked.append(
            Question(
                json.dumps({"inputs": [tensor]}).encode(), None, endpoint.board.primary.intake
            ).rows
        )

    async def answers() -> list[Outcome]:
        questions = enumerate(asked)
        return await asyncio.gather(
            *(endpoint.board.primary.batcher.answer(str(n), q) for n, q in questions)
        )

    for outcome in asyncio.run(answers()):
        assert np.array_equal(outcome.answer.prediction, model.predict(rows))
        assert np.array_equal(outcome.answer.probability, model.predict_proba(rows))
    endpoint.board.close()
