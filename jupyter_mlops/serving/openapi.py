"""OpenAPI 3.1 of an endpoint, made from the model's signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_mlops.serving.config import EndpointConfig
from jupyter_mlops.serving.intake import Intake
from jupyter_mlops.serving.openapi_bodies import Table, answers, questions, table_of, tensors_of
from jupyter_mlops.serving.shapes import is_composed

if TYPE_CHECKING:
    from jupyter_mlops.serving.workers import Portrait

Schema = dict[str, Any]


def document(
    config: EndpointConfig,
    intake: Intake,
    portrait: Portrait,
    example: Mapping[str, Any] | None = None,
) -> Schema:
    """Return the document of `GET /openapi.json`.

    Parameters
    ----------
    config : EndpointConfig
    intake : Intake
        The signature.
    portrait : Portrait
        Tells whether there are probabilities.
    example : mapping, optional
        The model's input example in MLflow's serving form.
    """
    table = table_of(intake, example)
    model = f"/v2/models/{config.endpoint}"
    versioned = f"{model}/versions/{config.version}"
    infer = {
        "post": _operation("infer", "Predict (Open Inference Protocol)", _v2_content(intake, table))
    }
    infer["post"]["responses"]["200"] = _json_answer({"$ref": "#/components/schemas/V2Answer"})
    invocations = _operation(
        "invocations", "Predict (MLflow)", questions(intake, _mlflow_request(intake), table)
    )
    invocations["responses"]["200"] = _json_answer({"$ref": "#/components/schemas/Answer"})
    invocations["responses"]["200"]["content"] |= answers()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": config.endpoint,
            "version": config.version,
            "description": f"Model {config.model}, version {config.version}, {config.digest}.",
        },
        "security": [{"token": []}],
        "paths": {
            "/invocations": {"post": invocations},
            f"{model}/infer": infer,
            f"{versioned}/infer": {"post": {**infer["post"], "operationId": "inferVersion"}},
            "/ping": _get("ping", "Ready?", _OBJECT, open_=True, unready=True),
            "/health": _get("health", "Ready?", _OBJECT, open_=True, unready=True),
            "/v2/health/live": _get("live", "Running?", _OBJECT, open_=True),
            "/v2/health/ready": _get("ready", "Ready?", _OBJECT, open_=True, unready=True),
            "/version": _get("version", "Served version", {"type": "string"}, media="text/plain"),
            "/v2": _get("server", "The server", _OBJECT),
            model: _get("model", "The model", _OBJECT),
            versioned: _get("modelVersion", "The model", _OBJECT),
            f"{model}/ready": _get("modelReady", "Ready?", _OBJECT, unready=True),
            f"{versioned}/ready": _get("modelVersionReady", "Ready?", _OBJECT, unready=True),
            "/metrics": _get(
                "metrics",
                "Metrics (OpenMetrics)",
                {"type": "string"},
                media="application/openmetrics-text",
            ),
            "/openapi.json": _get("openapi", "This document", _OBJECT),
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Error": _ERROR,
                "Answer": _answer(portrait),
                "V2Answer": _V2_ANSWER,
            },
        },
    }


_OBJECT: Schema = {"type": "object"}
_PARAMETERS: Schema = {"type": ["object", "null"]}
_ERROR: Schema = {
    "type": "object",
    "required": ["error", "error_code", "message", "code"],
    "properties": {
        "error": {"type": "string"},
        "error_code": {"type": "string"},
        "message": {"type": "string"},
        "code": {"type": "string"},
    },
}
_V2_ANSWER: Schema = {
    "type": "object",
    "required": ["model_name", "model_version", "id", "outputs"],
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "datatype", "shape"],
                "properties": {
                    "name": {"type": "string"},
                    "datatype": {"type": "string"},
                    "shape": {"type": "array", "items": {"type": "integer"}},
                    "data": {"type": "array"},
                },
            },
        },
    },
}


def _json_answer(schema: Schema, text: str = "The answer.") -> Schema:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _refusals(*statuses: int) -> Schema:
    texts = {
        400: "The request is wrong; the message says where.",
        401: "The token is missing or wrong.",
        403: "The Host or Origin header names another server.",
        408: "The body came too slowly.",
        413: "Too many bytes or rows.",
        415: "The body is of a kind that nobody reads here.",
        422: "The model failed on these rows.",
        429: "Too many rows are waiting.",
        500: "The endpoint failed.",
        503: "No answer can be given or logged now.",
        504: "The model took too long.",
    }
    error = {"$ref": "#/components/schemas/Error"}
    return {str(status): _json_answer(error, texts[status]) for status in statuses}


def _get(
    name: str,
    summary: str,
    schema: Schema,
    *,
    media: str = "application/json",
    open_: bool = False,
    unready: bool = False,
) -> Schema:
    responses = {
        "200": {"description": summary, "content": {media: {"schema": schema}}},
        **_refusals(*([] if open_ else [401]), 403, *([503] if unready else [])),
    }
    operation: Schema = {"operationId": name, "summary": summary, "responses": responses}
    if open_:
        operation["security"] = []
    return {"get": operation}


def _operation(name: str, summary: str, content: Schema) -> Schema:
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": _refusals(400, 401, 403, 408, 413, 415, 422, 429, 500, 503, 504),
    }


def _values(intake: Intake) -> dict[str, Schema]:
    """Return the schema of one value of each column a request must hold."""
    schemas = {field.name: dict(field.type.schema) for field in intake.fields}
    if intake.key and intake.key not in schemas:
        schemas[intake.key] = {"type": ["string", "integer", "null"]}
    if intake.time and intake.time not in schemas:
        schemas[intake.time] = {"type": ["string", "null"], "format": "date-time"}
    return schemas


def _mlflow_request(intake: Intake) -> Schema:
    values = _values(intake)
    row = {
        "type": "array",
        "prefixItems": list(values.values()),
        "items": False,
        "minItems": len(values),
        "maxItems": len(values),
    }
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": intake.max_rows}
    split: Schema = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {"columns": {"const": list(values)}, "data": rows},
    }
    if intake.tensor:
        return _one_of({"instances": rows, "inputs": rows}, intake.params)
    if intake.unnamed:
        value = values[intake.names[0]]
        every = {"type": "array", "items": value, "minItems": 1, "maxItems": intake.max_rows}
        # One plain value is one row.
        alone = every if is_composed(intake.fields[0]) else {"anyOf": [every, value]}
        return _one_of({"instances": every, "inputs": alone}, intake.params)
    required = [f.name for f in intake.fields if f.required]
    required += [name for name in (intake.key, intake.time) if name and name not in required]
    record: Schema = {"type": "object", "required": required, "properties": values}
    records = {"type": "array", "items": record, "minItems": 1, "maxItems": intake.max_rows}
    columns = {
        "type": "object",
        "required": required,
        "description": "Columns of equal length.",
        "properties": {
            name: {"type": "array", "items": value, "minItems": 1, "maxItems": intake.max_rows}
            for name, value in values.items()
        },
    }
    if any(field.type.name == "nested" for field in intake.fields):
        columns |= {"description": "One row.", "properties": values}
    return _one_of(
        {
            "dataframe_split": split,
            "dataframe_records": records,
            "instances": records,
            "inputs": columns,
        },
        intake.params,
    )


def _one_of(forms: dict[str, Schema], params: Sequence[str]) -> Schema:
    told: Schema = {"type": ["object", "null"]}
    if params:
        told["properties"] = {name: {} for name in params}
    return {
        "type": "object",
        "oneOf": [{"required": [name]} for name in forms],
        "properties": {**forms, "params": told},
    }


def _v2_content(intake: Intake, table: Table | None) -> Schema:
    told: Schema = {"schema": _v2_request(intake)}
    if table is not None:
        told["example"] = tensors_of(intake, table)
    return {"application/json": told}


def _v2_request(intake: Intake) -> Schema:
    tensor: Schema = {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"type": "string"},
            "shape": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1},
                "minItems": 1,
                "maxItems": 8 if any(map(is_composed, intake.fields)) else 2,
            },
            "datatype": {"type": "string"},
            "parameters": _PARAMETERS,
            "data": {"type": "array"},
        },
    }
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": ["string", "null"]},
            "parameters": _PARAMETERS,
            "inputs": {"type": "array", "minItems": 1, "items": tensor},
            "outputs": {
                "type": ["array", "null"],
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "parameters": _PARAMETERS},
                },
            },
        },
    }


def _answer(portrait: Portrait) -> Schema:
    properties: Schema = {
        "predictions": {} if portrait.answers == "json" else {"type": "array"},
        "prediction_ids": {
            "type": "array",
            "items": {"type": "string"},
            "description": "One for each row; it ends in u where the prediction isn't logged.",
        },
        "model": {"type": "object"},
        "request_id": {"type": "string"},
        "warnings": {"type": "array", "items": {"type": "string"}},
    }
    if portrait.classes is not None:
        binary = len(portrait.classes) == 2
        one = {"type": "number"}
        properties["classes"] = {"type": "array"}
        properties["probabilities"] = {
            "type": "array",
            "description": (
                "Probability of the second class." if binary else "One list a row, as `classes`."
            ),
            "items": one if binary else {"type": "array", "items": one},
        }
    required = ["predictions", "prediction_ids", "model", "request_id"]
    return {"type": "object", "required": required, "properties": properties}
