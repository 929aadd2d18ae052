"""The endpoint as an ASGI application: MLflow's and the Open Inference protocol side by side."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from jupyter_mlops.serving import inference, metrics, openapi
from jupyter_mlops.serving.batching import Outcome, new_request_id
from jupyter_mlops.serving.config import EndpointConfig
from jupyter_mlops.serving.csvbody import read_csv
from jupyter_mlops.serving.deployed import Deployed
from jupyter_mlops.serving.door import Door, refusal_response
from jupyter_mlops.serving.intake import Rows
from jupyter_mlops.serving.invocations import read_invocation
from jupyter_mlops.serving.jsonbody import read_json, write_json
from jupyter_mlops.serving.lines import LINES, read_lines, write_lines
from jupyter_mlops.serving.refusals import Refusal, quoted
from jupyter_mlops.serving.switchboard import Switchboard

BODY_SECONDS = 30.0
_LARGE = 1 << 20
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class Endpoint:
    """What an endpoint answers over HTTP.

    Parameters
    ----------
    config : EndpointConfig

    Attributes
    ----------
    board : Switchboard
        The versions behind it.

    Raises
    ------
    MLOpsError
        The model cannot be served; the sentence says why.
    """

    def __init__(self, config: EndpointConfig) -> None:
        self.config = config
        self.metrics = metrics.Metrics(config.about)
        self.board = Switchboard(config, self.metrics)
        self.metrics.processes = self._processes

    def _processes(self) -> list[int]:
        return [pid for one in self.board.running for pid in one.batcher.pids]

    def application(self, port: int) -> Door:
        """Return the ASGI application as it listens on `port`."""
        routes = [
            Route("/invocations", self.invocations, methods=["POST"]),
            Route("/v2/models/{name}/infer", self.infer, methods=["POST"]),
            Route("/v2/models/{name}/versions/{version}/infer", self.infer, methods=["POST"]),
            Route("/v2/health/ready", self.ready),
            Route("/v2/health/live", self.live),
            Route("/ping", self.ready),
            Route("/health", self.ready),
            Route("/version", self.version),
            Route("/v2", self.server),
            Route("/v2/models/{name}", self.model),
            Route("/v2/models/{name}/versions/{version}", self.model),
            Route("/v2/models/{name}/ready", self.model_ready),
            Route("/v2/models/{name}/versions/{version}/ready", self.model_ready),
            Route("/metrics", self.exposition),
            Route("/openapi.json", self.specification),
        ]
        app = Starlette(
            routes=routes, exception_handlers={HTTPException: _http_error, Refusal: _refused}
        )
        app.router.redirect_slashes = False
        hosts = [f"127.0.0.1:{port}", f"localhost:{port}", *self.config.hosts]
        return Door(app, token_sha256=self.config.token_sha256, hosts=hosts)

    async def invocations(self, request: Request) -> Response:
        """Answer MLflow's scoring protocol."""

        def encode(one: Deployed, rows: Rows, outcome: Outcome, request_id: str) -> Response:
            answer = outcome.answer
            if kind == LINES:
                headers = {**one.headers, "x-request-id": request_id}
                return Response(write_lines(outcome), headers=headers, media_type=LINES)
            prediction = answer.prediction
            plain = prediction.dtype.kind in "biuf" and prediction.flags.c_contiguous
            body: dict[str, Any] = {"predictions": prediction if plain else prediction.tolist()}
            if answer.probability is not None:
                body["probabilities"] = answer.probability
                body["classes"] = one.portrait.classes
            body["prediction_ids"] = outcome.ids
            body["model"] = one.about
            body["request_id"] = request_id
            if rows.ignored:
                names = ", ".join(map(quoted, rows.ignored[:5]))
                body["warnings"] = [f"columns the model does not know were ignored: {names}"]
            return Response(
                write_json(body),
                headers={**one.headers, "x-request-id": request_id},
                media_type="application/json",
            )

        def decode(body: bytes) -> Rows:
            intake = self.board.primary.intake
            if kind == "text/csv":
                return read_csv(body, intake)
            if kind == LINES:
                return read_lines(body, intake)
            return read_invocation(read_json(body), intake)

        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("text/csv", LINES):
            _want_json(request, missing_is_fine=False)
        return await self._answer(request, "invocations", decode, encode)

    async def infer(self, request: Request) -> Response:
        """Answer the Open Inference Protocol."""
        self._check_name(request)
        json_length = _json_length(request)
        if json_length is None:
            _want_json(request, missing_is_fine=True)
        question: inference.Question

        def decode(body: bytes) -> Rows:
            nonlocal question
            question = inference.Question(body, json_length, self.board.primary.intake)
            return question.rows

        def encode(one: Deployed, _: Rows, outcome: Outcome, request_id: str) -> Response:
            body, length = inference.write_answer(question, outcome, one.about, request_id)
            headers = {**one.headers, "x-request-id": request_id}
            if length is None:
                return Response(body, headers=headers, media_type="application/json")
            headers[inference.BINARY_HEADER] = str(length)
            return Response(body, headers=headers, media_type="application/octet-stream")

        return await self._answer(request, "v2", decode, encode)

    async def _answer(
        self,
        request: Request,
        protocol: str,
        decode: Callable[[bytes], Rows],
        encode: Callable[[Deployed, Rows, Outcome, str], Response],
    ) -> Response:

        def take(body: bytes) -> tuple[Deployed, Rows]:
            sent = decode(body)
            one = self.board.choose(sent, request_id)
            return one, one.expectations.meet(sent)

        version = self.board.primary.config.version
        request_id = _request_id(request)
        rows = 0
        started = time.perf_counter()
        try:
            body = await read_body(request, self.config.max_body)
            started = time.perf_counter()
            # A large body is decoded beside the loop, so that small ones need not wait for it.
            large = len(body) > _LARGE
            one, checked = await asyncio.to_thread(take, body) if large else take(body)
            if one.batcher.closed:
                one = self.board.primary  # another took over while a large body was read
            version = one.config.version
            outcome = await one.answer(request_id, checked)
            rows = checked.count
            response = encode(one, checked, outcome, request_id)
            self.board.shade(request_id, checked, outcome)
        except Refusal as refusal:
            response = refusal_response(refusal.status, refusal.code, refusal.message, request_id)
        except ClientDisconnect:
            response = refusal_response(400, "E-SERVE-150", "the connection was closed", request_id)
        seconds = time.perf_counter() - started
        self.metrics.request(protocol, response.status_code, version, seconds, rows)
        return response

    async def live(self, request: Request) -> Response:
        """Say that the process runs."""
        return Response(b"{}", media_type="application/json")

    async def ready(self, request: Request) -> Response:
        """Say whether the next request would be answered: model loaded, log writable."""
        if not self.board.primary.log.ready():
            return refusal_response(503, "E-SERVE-122", "the traffic log cannot be written")
        if not self.board.primary.batcher.ready:
            return refusal_response(503, "E-SERVE-123", "no process of the model runs")
        return Response(b"{}", media_type="application/json")

    async def version(self, request: Request) -> Response:
        """Name the served version, as text like MLflow's."""
        return PlainTextResponse(self.board.primary.config.version)

    async def server(self, request: Request) -> Response:
        """Describe the server (V2)."""
        from jupyter_mlops import __version__

        about = {
            "name": "jupyter-mlops",
            "version": __version__,
            "extensions": ["binary_tensor_data"],
        }
        return Response(write_json(about), media_type="application/json")

    async def model(self, request: Request) -> Response:
        """Describe the model (V2)."""
        self._check_name(request)
        one = self.board.primary
        described = inference.describe(one.intake, one.portrait, one.about)
        return Response(write_json(described), media_type="application/json")

    async def model_ready(self, request: Request) -> Response:
        """Say whether the model is ready (V2)."""
        self._check_name(request)
        return await self.ready(request)

    def _check_name(self, request: Request) -> None:
        name = request.path_params["name"]
        served = self.board.primary.config.version
        version = request.path_params.get("version", served)
        if name != self.config.endpoint or version != served:
            raise Refusal(
                404,
                "E-SERVE-151",
                f"this endpoint serves '{self.config.endpoint}', version {served}",
            )

    async def exposition(self, request: Request) -> Response:
        """Give the metrics in OpenMetrics text format."""
        text = self.metrics.exposition()
        return Response(text, headers={"content-type": metrics.CONTENT_TYPE})

    async def specification(self, request: Request) -> Response:
        """Give the OpenAPI document made from the signature."""
        one = self.board.primary
        document = openapi.document(self.board.config, one.intake, one.portrait)
        return Response(write_json(document), media_type="application/json")


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else new_request_id()


def _want_json(request: Request, *, missing_is_fine: bool) -> None:
    given = request.headers.get("content-type", "")
    kind, _, rest = given.partition(";")
    charset = rest.strip().lower().replace('"', "")
    if missing_is_fine and not given:
        return
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise HTTPException(
            415,
            "send Content-Type: application/json, in UTF-8; /invocations takes text/csv and "
            f"{LINES}, too",
        )


def _json_length(request: Request) -> int | None:
    given = request.headers.get(inference.BINARY_HEADER)
    if given is None:
        return None
    if not given.isdecimal() or len(given) > 12:
        raise HTTPException(400, "Inference-Header-Content-Length must be a whole number")
    return int(given)


async def read_body(request: Request, limit: int, seconds: float = BODY_SECONDS) -> bytes:
    """Read a request's body.

    Parameters
    ----------
    request : Request
    limit : int
        Bytes accepted.
    seconds : float
        How long the sender may take.

    Raises
    ------
    Refusal
        The body is larger (413) or the sender slower (408).
    """
    too_large = Refusal(
        413, "E-SERVE-160", f"the body is larger than {limit >> 20} MiB: send it in parts"
    )
    length = request.headers.get("content-length", "")
    if length.isdecimal() and (len(length) > 15 or int(length) > limit):
        raise too_large
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise too_large
                chunks.append(chunk)
    except TimeoutError:
        raise Refusal(408, "E-SERVE-161", "the body did not arrive in time") from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refusal_response(error.status, error.code, error.message)


def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "E-SERVE-152", 405: "E-SERVE-153", 415: "E-SERVE-154"}
    messages = {404: "there is nothing here; GET /openapi.json names all paths"}
    response = refusal_response(
        error.status_code,
        codes.get(error.status_code, "E-SERVE-155"),
        messages.get(error.status_code, error.detail),
    )
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response
