"""The endpoint as an ASGI application: MLflow's and the Open Inference protocol side by side."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from jupyter_mlops.serving import inference, metrics, openapi, tensors
from jupyter_mlops.serving.asking import Reply, caller_of, length_of, read_body, request_id_of
from jupyter_mlops.serving.breaches import Breaches
from jupyter_mlops.serving.config import EndpointConfig
from jupyter_mlops.serving.deployed import Deployed
from jupyter_mlops.serving.door import Door, refusal_response
from jupyter_mlops.serving.formats import form_of, want_json
from jupyter_mlops.serving.intake import Rows
from jupyter_mlops.serving.jsonbody import write_json
from jupyter_mlops.serving.modelfile import read_model_file
from jupyter_mlops.serving.pouring import pour
from jupyter_mlops.serving.refusals import Refusal
from jupyter_mlops.serving.switchboard import Switchboard

_LARGE: Final = 1 << 20
_HUNG_UP: Final = Refusal(400, "E-SERVE-150", "the connection was closed")


@dataclass
class Count:
    """One request on its way into the metrics.

    Attributes
    ----------
    version : str
        Which answered.
    started : float
        When its last byte had come, by `time.perf_counter`.
    rows : int
        Answered.
    """

    version: str
    started: float
    rows: int = 0


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
        self.metrics = metrics.Metrics(config.about, Breaches(Path(config.traffic)))
        self.board = Switchboard(config, self.metrics)
        self.metrics.versions = lambda: self.board.running

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
            Route("/v2/", self.server),
            Route("/v2/models/{name}", self.model),
            Route("/v2/models/{name}/versions/{version}", self.model),
            Route("/v2/models/{name}/ready", self.model_ready),
            Route("/v2/models/{name}/versions/{version}/ready", self.model_ready),
            Route("/metrics", self.exposition),
            Route("/openapi.json", self.specification),
        ]
        app = Starlette(
            routes=routes,
            exception_handlers={HTTPException: _http_error, Refusal: _refused, Exception: _failed},
        )
        app.router.redirect_slashes = False
        hosts = [f"127.0.0.1:{port}", f"localhost:{port}", *self.config.hosts]
        return Door(app, token_sha256=self.config.token_sha256, hosts=hosts)

    async def invocations(self, request: Request) -> Response:
        """Answer MLflow's scoring protocol."""
        form = form_of(request.headers)
        request_id = request_id_of(request.headers.get("x-request-id", ""))
        limit = self.config.max_body
        length = length_of(request)
        if form.flows and (length is None or length > limit):
            try:
                return await pour(self, request, form, request_id)
            except Refusal as refusal:
                return _refusal(refusal, request_id)
            except ClientDisconnect:
                return _refusal(_HUNG_UP, request_id)

        def decode(body: bytes) -> Rows:
            return form.read(body, self.board.primary.intake, limit)

        return await self._answer(request, "invocations", request_id, decode, form.write)

    async def infer(self, request: Request) -> Response:
        """Answer the Open Inference Protocol."""
        self.check_name(request.path_params["name"], request.path_params.get("version"))
        json_length = _json_length(request)
        if json_length is None:
            want_json(request.headers, missing_is_fine=True)
        request_id = request_id_of(request.headers.get("x-request-id", ""))
        question: inference.Question

        def decode(body: bytes) -> Rows:
            nonlocal question
            question = inference.Question(body, json_length, self.board.primary.intake)
            return question.rows

        def encode(reply: Reply, request_id: str) -> Response:
            one = reply.version
            body, length = inference.write_answer(question, reply.outcome, one.about, request_id)
            headers = {**one.headers, "x-request-id": request_id}
            if length is None:
                return Response(body, headers=headers, media_type="application/json")
            headers[inference.BINARY_HEADER] = str(length)
            return Response(body, headers=headers, media_type="application/octet-stream")

        return await self._answer(request, "v2", request_id, decode, encode)

    async def _answer(
        self,
        request: Request,
        protocol: str,
        request_id: str,
        decode: Callable[[bytes], Rows],
        encode: Callable[[Reply, str], Response],
    ) -> Response:
        try:
            with self.counting(protocol) as count:
                body = await read_body(request, self.config.max_body)
                count.started = time.perf_counter()
                caller = caller_of(request.headers)
                reply = await self.ask(
                    count, request_id, len(body), lambda: decode(body), caller=caller
                )
                return encode(reply, request_id)
        except Refusal as refusal:
            return _refusal(refusal, request_id)

    @contextlib.contextmanager
    def counting(self, protocol: str) -> Iterator[Count]:
        """Count what happens within as one request, refused or answered."""
        count = Count(self.board.primary.config.version, time.perf_counter())
        status = 500
        try:
            yield count
            status = 200
        except Refusal as refusal:
            status = refusal.status
            raise
        except ClientDisconnect:
            status = _HUNG_UP.status
            raise Refusal(status, _HUNG_UP.code, _HUNG_UP.message) from None
        except asyncio.CancelledError:
            status = _HUNG_UP.status  # a caller that waits no longer
            raise
        finally:
            seconds = time.perf_counter() - count.started
            self.metrics.request(protocol, status, count.version, seconds, count.rows)

    async def ask(
        self,
        count: Count,
        request_id: str,
        size: int,
        decode: Callable[[], Rows],
        *,
        counted: bool = False,
        caller: str = "",
    ) -> Reply:
        """Have rows checked, predicted and written down: what all protocols do.

        Parameters
        ----------
        count : Count
            Learns who answered, and how much.
        request_id : str
        size : int
            Bytes that `decode` reads; many are read beside the loop.
        decode : callable
            Gives the rows, checked against the signature.
        counted : bool
            What breaks the contract among them has been counted before.
        caller : str
            Who asks.

        Raises
        ------
        Refusal
            They are not answered; says why.
        """

        def take() -> tuple[Deployed, Rows]:
            while True:
                before = self.board.primary
                sent = decode()
                one = self.board.choose(sent, request_id)
                # What takes over meanwhile may ask for other columns.
                if self.board.primary is before:
                    return one, one.expectations.meet(sent, counted=counted)

        # A large body is decoded beside the loop, so that small ones need not wait for it.
        one, rows = await asyncio.to_thread(take) if size > _LARGE else take()
        while one.batcher.closed and one is not self.board.primary:
            # Another took over while a large body was read.
            one, rows = await asyncio.to_thread(take)
        count.version = one.config.version
        if caller:
            rows = replace(rows, caller=caller)
        outcome = await one.answer(request_id, rows)
        count.rows = rows.count
        self.board.shade(request_id, rows, outcome)
        return Reply(one, rows, outcome)

    async def live(self, request: Request) -> Response:
        """Say that the process runs."""
        return Response(b"{}", media_type="application/json")

    async def ready(self, request: Request) -> Response:
        """Say whether the next request would be answered: model loaded, log writable."""
        refusal = self.unready()
        if refusal is not None:
            return _refusal(refusal)
        return Response(b"{}", media_type="application/json")

    def unready(self) -> Refusal | None:
        """Why the next request would not be answered; None when it would."""
        if not self.board.primary.log.ready():
            return Refusal(503, "E-SERVE-122", "the traffic log cannot be written")
        if not self.board.primary.batcher.ready:
            return Refusal(503, "E-SERVE-123", "no process of the model runs")
        return None

    async def version(self, request: Request) -> Response:
        """Name the served version, as text like MLflow's."""
        return PlainTextResponse(self.board.primary.config.version)

    async def server(self, request: Request) -> Response:
        """Describe the server (V2)."""
        return Response(write_json(self.about_server()), media_type="application/json")

    def about_server(self) -> dict[str, Any]:
        """What V2 tells of a server."""
        from jupyter_mlops import __version__

        return {
            "name": "jupyter-mlops",
            "version": __version__,
            "extensions": ["binary_tensor_data"],
        }

    async def model(self, request: Request) -> Response:
        """Describe the model (V2)."""
        self.check_name(request.path_params["name"], request.path_params.get("version"))
        one = self.board.primary
        described = tensors.describe(one.intake, one.portrait, one.about)
        return Response(write_json(described), media_type="application/json")

    async def model_ready(self, request: Request) -> Response:
        """Say whether the model is ready (V2)."""
        self.check_name(request.path_params["name"], request.path_params.get("version"))
        return await self.ready(request)

    def check_name(self, name: str, version: str | None = None) -> None:
        """Refuse a question to another model, or to a version that is not served.

        Raises
        ------
        Refusal
            There is no such model here (404).
        """
        served = self.board.primary.config.version
        if name != self.config.endpoint or version not in (None, served):
            raise Refusal(
                404,
                "E-SERVE-151",
                f"this endpoint serves '{self.config.endpoint}', version {served}",
            )

    async def exposition(self, request: Request) -> Response:
        """Give the metrics in OpenMetrics text format."""
        await asyncio.to_thread(self.metrics.usage.look_at_gpus)
        text = self.metrics.exposition()
        return Response(text, headers={"content-type": metrics.CONTENT_TYPE})

    async def specification(self, request: Request) -> Response:
        """Give the OpenAPI document made from the signature."""
        one = self.board.primary
        example = read_model_file(Path(one.config.path)).example
        document = openapi.document(self.board.config, one.intake, one.portrait, example)
        return Response(write_json(document), media_type="application/json")


def _json_length(request: Request) -> int | None:
    given = request.headers.get(inference.BINARY_HEADER)
    if given is None:
        return None
    if not given.isdecimal() or len(given) > 12:
        raise HTTPException(400, "Inference-Header-Content-Length must be a whole number")
    return int(given)


def _refusal(refusal: Refusal, request_id: str = "") -> Response:
    return refusal_response(refusal.status, refusal.code, refusal.message, request_id)


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _refusal(error)


def _failed(*_: object) -> Response:
    """What nobody foresaw; the server's log gets the trace, the caller does not."""
    return refusal_response(500, "E-SERVE-190", "the endpoint failed; its log says why")


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
