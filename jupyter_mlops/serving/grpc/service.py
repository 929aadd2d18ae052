"""The gRPC side of an endpoint: the same questions, checks, batches and log as over HTTP."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn

import grpc
from google.protobuf.message import DecodeError

from jupyter_mlops.serving import tensors
from jupyter_mlops.serving.asking import TIME_TO_SEND, caller_of, request_id_of
from jupyter_mlops.serving.door import knows
from jupyter_mlops.serving.grpc.inferring import read_request, write_response
from jupyter_mlops.serving.grpc.messages import SERVICE, message
from jupyter_mlops.serving.refusals import Refusal
from jupyter_mlops.workspace.errors import Unavailable

if TYPE_CHECKING:
    from jupyter_mlops.serving.application import Endpoint

__all__ = ["Listener", "status_of"]

#: What a refusal's HTTP status is called here.
_STATUSES: Final = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
#: Asked by whoever watches the endpoint, without a token, as over HTTP.
_OPEN: Final = frozenset({"ServerLive", "ServerReady"})
_IDENTITY: Final = 1

Method = Callable[[bytes, Any, str], Awaitable[Any]]


def status_of(refusal: Refusal) -> grpc.StatusCode:
    """Return the gRPC status of a refusal: whatever is wrong with a request is its argument.

    Examples
    --------
    >>> status_of(Refusal(413, "E-SERVE-102", "the request holds 60,000 rows")).name
    'INVALID_ARGUMENT'
    """
    return _STATUSES.get(refusal.status, grpc.StatusCode.INVALID_ARGUMENT)


class Listener:
    """Answers `inference.GRPCInferenceService` on a port of 127.0.0.1.

    Parameters
    ----------
    endpoint : Endpoint
    port : int
        0 for a free one.

    Raises
    ------
    Unavailable
        Another program has the port.

    Notes
    -----
    A message may be as large as a body over HTTP. Compressed ones are refused: a small one could
    become larger than memory before its size is known. The token, and the sender's pace, are
    checked before a message is taken in, which is why all methods read their one message
    themselves.
    """

    def __init__(self, endpoint: Endpoint, port: int) -> None:
        self.endpoint = endpoint
        self._token = bytes.fromhex(endpoint.config.token_sha256)
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", endpoint.config.max_body),
                ("grpc.max_send_message_length", -1),
                ("grpc.compression_enabled_algorithms_bitset", _IDENTITY),
                # Nobody else may listen on the same port and take a part of the callers.
                ("grpc.so_reuseport", 0),
            ]
        )
        methods: dict[str, Method] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ServerMetadata": self._server_metadata,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._model_infer,
        }
        handlers = {
            name: grpc.stream_unary_rpc_method_handler(self._handler(name, method))
            for name, method in methods.items()
        }
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, handlers),)
        )
        try:
            self.port = int(self._server.add_insecure_port(f"127.0.0.1:{port}"))
        except RuntimeError:
            raise Unavailable(
                f"port {port} cannot be used for gRPC",
                "another program uses it",
                "choose another, or take a free one with `--grpc on`",
                code="E-SERVE-027",
            ) from None

    async def start(self) -> None:
        """Take calls from now on."""
        await self._server.start()

    async def stop(self, seconds: float) -> None:
        """Take no further calls, and finish those under way within so long."""
        await self._server.stop(seconds)

    def _handler(self, name: str, method: Method) -> Callable[[Any, Any], Awaitable[bytes]]:
        async def handle(_: Any, context: Any) -> bytes:
            given = dict(context.invocation_metadata() or ())
            request_id = request_id_of(given.get("x-request-id", ""))
            try:
                if name not in _OPEN and not knows(self._token, _bytes(given.get("authorization"))):
                    raise Refusal(
                        401,
                        "E-SERVE-142",
                        "send the endpoint's token as metadata: authorization: Bearer TOKEN",
                    )
                answer = await method(await _one_message(context), context, request_id)
            except Refusal as refusal:
                await _abort(context, refusal, request_id)
            except Exception:
                traceback.print_exc()
                sys.stderr.flush()
                failed = Refusal(500, "E-SERVE-190", "the endpoint failed; its log says why")
                await _abort(context, failed, request_id)
            content: bytes = answer.SerializeToString()
            return content

        return handle

    async def _server_live(self, content: bytes, context: Any, request_id: str) -> Any:
        return message("ServerLiveResponse")(live=True)

    async def _server_ready(self, content: bytes, context: Any, request_id: str) -> Any:
        return message("ServerReadyResponse")(ready=self.endpoint.unready() is None)

    async def _server_metadata(self, content: bytes, context: Any, request_id: str) -> Any:
        return message("ServerMetadataResponse")(**self.endpoint.about_server())

    async def _model_ready(self, content: bytes, context: Any, request_id: str) -> Any:
        self._named("ModelReadyRequest", content)
        return message("ModelReadyResponse")(ready=self.endpoint.unready() is None)

    async def _model_metadata(self, content: bytes, context: Any, request_id: str) -> Any:
        self._named("ModelMetadataRequest", content)
        one = self.endpoint.board.primary
        told = tensors.describe(one.intake, one.portrait, one.about)
        return message("ModelMetadataResponse")(**told)

    def _named(self, kind: str, content: bytes) -> None:
        asked = _parsed(kind, content)
        self.endpoint.check_name(asked.name, asked.version or None)

    async def _model_infer(self, content: bytes, context: Any, request_id: str) -> Any:
        request: Any = None

        def decode() -> Any:
            nonlocal request
            request = _parsed("ModelInferRequest", content)
            self.endpoint.check_name(request.model_name, request.model_version or None)
            return read_request(request, self.endpoint.board.primary.intake)

        with self.endpoint.counting("grpc") as count:
            said = dict(context.invocation_metadata() or ())
            caller = caller_of({k: v for k, v in said.items() if isinstance(v, str)})
            reply = await self.endpoint.ask(count, request_id, len(content), decode, caller=caller)
            one = reply.version
            response = write_response(request, reply.outcome, one.about, request_id)
        headers = {**one.headers, "x-request-id": request_id}
        context.set_trailing_metadata(tuple(headers.items()))
        return response


async def _one_message(context: Any) -> bytes:
    try:
        async with asyncio.timeout(TIME_TO_SEND):
            content = await context.read()
    except TimeoutError:
        raise Refusal(408, "E-SERVE-161", "the message did not arrive in time") from None
    if content is grpc.aio.EOF:
        raise Refusal(400, "E-SERVE-101", "the call holds no message")
    return bytes(content)


def _parsed(kind: str, content: bytes) -> Any:
    try:
        return message(kind).FromString(content)
    except DecodeError:
        raise Refusal(400, "E-SERVE-101", f"the message is no {kind}") from None


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


async def _abort(context: Any, refusal: Refusal, request_id: str) -> NoReturn:
    metadata = [("x-mlops-code", refusal.code), ("x-request-id", request_id)]
    if refusal.status in (429, 503):
        metadata.append(("grpc-retry-pushback-ms", "1000"))
    await context.abort(status_of(refusal), refusal.message, tuple(metadata))
    raise AssertionError("abort raises")
