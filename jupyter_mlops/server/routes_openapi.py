"""The description of the REST interface, made from the command table."""

from __future__ import annotations

import json
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_mlops.server.answers import RESOURCE, MLOpsHandler
from jupyter_mlops.verbs.table import Verb, all_verbs

__all__ = ["OpenAPIHandler", "document"]


class OpenAPIHandler(MLOpsHandler):
    """The OpenAPI document of this server."""

    @web.authenticated
    @authorized("read", RESOURCE)  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        async def work() -> str:
            return json.dumps(await self.in_thread(document, self.base_url))

        await self.answer(work)


def document(base_url: str = "/") -> dict[str, Any]:
    """The OpenAPI 3.1 document of all routes below a server's base URL."""
    from jupyter_mlops import __version__
    from jupyter_mlops.views.blocks import View

    view = View.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    schemas = {**view.pop("$defs"), "View": view, "Problem": _PROBLEM}
    paths: dict[str, Any] = {f"/verbs/{one.slug}": _path(one) for one in all_verbs().values()}
    paths["/openapi.json"] = {"get": _OPENAPI}
    paths["/reports/{report}"] = {"get": _REPORT}
    paths |= _label_paths()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jupyter-mlops",
            "version": __version__,
            "description": "Every command of `%mlops` as a request.",
        },
        "servers": [{"url": base_url.rstrip("/") + "/mlops/api"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "The server's token, written `token abcdef…`.",
                }
            },
            "responses": {
                "Problem": {
                    "description": "What was wrong, why, and what to do about it.",
                    "content": _json({"$ref": "#/components/schemas/Problem"}),
                }
            },
        },
    }


def _path(verb: Verb) -> dict[str, Any]:
    body = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            one.name: _nullable(one.schema(), one.required)
            for one in verb.parameters
            if one.kind != "namespace"
        },
        "required": [
            one.name for one in verb.parameters if one.required and one.kind != "namespace"
        ],
    }
    shared = {
        "summary": verb.summary,
        "description": verb.description,
        "tags": [verb.name.split()[0]],
        "responses": _ANSWERS,
    }
    post = {
        **shared,
        "operationId": f"post-{verb.slug}",
        "requestBody": {"required": bool(body["required"]), "content": _json(body)},
    }
    if verb.writes or verb.isolated:
        return {"post": post}
    parameters = [
        {
            "name": one.name,
            "in": "query",
            "required": one.required,
            "schema": one.schema(),
            **({"style": "form", "explode": False} if one.kind == "list" else {}),
        }
        for one in verb.arguments
    ]
    return {
        "get": {**shared, "operationId": f"get-{verb.slug}", "parameters": parameters},
        "post": post,
    }


def _label_paths() -> dict[str, Any]:
    """The routes of labelers, which aren't verbs."""
    task = {"name": "task", "in": "path", "required": True, "schema": {"type": "string"}}
    actions = {
        "state": "How far a labeling task is.",
        "claim": "Take items to label.",
        "events": "Keep decisions about items.",
        "renew": "Keep what is held for longer.",
        "release": "Give back what is held.",
    }
    paths: dict[str, Any] = {
        f"/labels/{{task}}/{action}": {
            "parameters": [task],
            "post": {
                "summary": summary,
                "operationId": f"label-{action}",
                "tags": ["label"],
                "requestBody": {"required": False, "content": _json({"type": "object"})},
                "responses": {
                    "200": {"description": "The answer.", "content": _json({"type": "object"})},
                    **_PROBLEMS,
                },
            },
        }
        for action, summary in actions.items()
    }
    media = {
        "summary": "An item's bytes, whole or in ranges.",
        "tags": ["label"],
        "responses": {
            **{
                status: {"description": meaning, "content": {"*/*": {}}}
                for status, meaning in [("200", "All of it."), ("206", "A range.")]
            },
            "304": {"description": "It hasn't changed."},
            "416": {"description": "There is no such range."},
            **_PROBLEMS,
        },
    }
    item = {
        "name": "item",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
    }
    side = {
        "name": "side",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "enum": ["", "left", "right"]},
    }
    paths["/labels/{task}/media/{item}"] = {
        "parameters": [task, item, side],
        "get": {**media, "operationId": "label-media"},
        "head": {**media, "operationId": "label-media-head"},
    }
    paths["/labels/{task}/peaks/{item}"] = {
        "parameters": [task, item],
        "get": {
            "summary": "How loud an item's sound is along its time.",
            "operationId": "label-peaks",
            "tags": ["label"],
            "responses": {
                "200": {"description": "The answer.", "content": _json({"type": "object"})},
                **_PROBLEMS,
            },
        },
    }
    paths["/labelers/{script}"] = {
        "parameters": [
            {
                "name": "script",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "pattern": r"^[a-z]+\.(js|css)$"},
            }
        ],
        "get": {
            "summary": "A labeler's script or style.",
            "operationId": "labeler-script",
            "tags": ["label"],
            "responses": {
                "200": {"description": "The file.", "content": {"*/*": {}}},
                "304": {"description": "It hasn't changed."},
                **_PROBLEMS,
            },
        },
    }
    return paths


def _nullable(schema: dict[str, Any], required: bool) -> dict[str, Any]:
    if required:
        return schema
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return {**schema, "type": [schema["type"], "null"]}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


_PROBLEM = {
    "type": "object",
    "additionalProperties": False,
    "required": ["code", "what", "why", "fix"],
    "properties": {
        "code": {"type": "string", "description": "Stable: E-DATA-001 is always the same."},
        "what": {"type": "string"},
        "why": {"type": "string"},
        "fix": {"type": "string"},
        "fields": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "What is wrong with each argument that is known to be wrong.",
        },
    },
}
_PROBLEMS = {
    str(status): {"$ref": "#/components/responses/Problem"}
    for status in (400, 403, 404, 405, 409, 413, 415, 500, 503)
}
_ANSWERS = {
    "200": {
        "description": "The result as its view.",
        "content": _json({"$ref": "#/components/schemas/View"}),
    },
    **_PROBLEMS,
}
_OPENAPI = {
    "summary": "This description.",
    "operationId": "get-openapi",
    "responses": {
        "200": {"description": "OpenAPI 3.1", "content": _json({"type": "object"})},
        **_PROBLEMS,
    },
}
_REPORT = {
    "summary": "A stored report as a page, sandboxed.",
    "operationId": "get-report",
    "parameters": [
        {"name": "report", "in": "path", "required": True, "schema": {"type": "string"}}
    ],
    "responses": {
        "200": {
            "description": "HTML",
            "content": {"text/html": {"schema": {"type": "string"}}},
        },
        **_PROBLEMS,
    },
}
