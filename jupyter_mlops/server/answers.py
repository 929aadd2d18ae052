"""What all our routes share: who asks, JSON in, JSON out, and errors that say what to do."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from http.client import responses
from typing import TYPE_CHECKING, Any, NoReturn, cast

from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from tornado.ioloop import IOLoop
from tornado.web import HTTPError

from jupyter_mlops.workspace.errors import Invalid, MLOpsError

if TYPE_CHECKING:
    from jupyter_mlops.server.app import MLOpsApp

__all__ = ["RESOURCE", "MLOpsHandler"]

RESOURCE = "mlops"
"""What an Authorizer is asked about: actions read, write and execute on this."""


class MLOpsHandler(ExtensionHandlerMixin, APIHandler):
    """A route of ours.

    Each subclass decorates its own methods with `tornado.web.authenticated` and
    `authorized`, and lists them in `SUPPORTED_METHODS`: all others are refused before
    anything is looked at.
    """

    SUPPORTED_METHODS: tuple[str, ...] = ("GET",)
    auth_resource = RESOURCE

    @property
    def app(self) -> MLOpsApp:
        """The extension."""
        return cast("MLOpsApp", self.extensionapp)

    @property
    def actor(self) -> str:
        """Who acts, for the log; empty when the token says nothing about a person."""
        user = self.current_user
        # A server with a plain token invents a moon's name for each browser.
        if user is None or user.name.startswith("Anonymous "):
            return ""
        return str(user.username)

    def json_body(self) -> dict[str, Any]:
        """The request's body, an object.

        Raises
        ------
        Invalid
            It is something else.
        """
        kind = self.request.headers.get("Content-Type", "application/json")
        if kind.partition(";")[0].strip().lower() != "application/json":
            raise HTTPError(415, "the body must be application/json")
        if len(self.request.body) > self.app.body_limit:
            raise HTTPError(413, f"a body holds at most {self.app.body_limit:,} bytes")
        if not self.request.body.strip():
            return {}
        try:
            body = json.loads(self.request.body, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            reason = str(error) or type(error).__name__
            raise Invalid("the body isn't JSON", reason[:200], code="E-SERVER-005") from None
        if not isinstance(body, dict):
            raise Invalid("the body isn't a JSON object", code="E-SERVER-006")
        return body

    async def in_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run what may block outside the event loop."""
        call = partial(function, *args, **kwargs)
        return await IOLoop.current().run_in_executor(self.app.executor, call)

    async def answer(self, work: Callable[[], Awaitable[str]]) -> None:
        """Send the JSON text that `work` makes, or the error it ends with."""
        try:
            text = await work()
        except MLOpsError as error:
            self.refuse(error)
        else:
            await self.finish(text)

    def refuse(self, error: MLOpsError) -> None:
        """Answer with an error and its status."""
        self.set_status(error.status)
        self.finish(json.dumps(error.as_dict()))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Errors that aren't ours: a code, a sentence, and never a traceback."""
        _, raised, _ = kwargs.get("exc_info", (None, None, None))
        body = {
            "code": f"E-HTTP-{status_code}",
            "what": responses.get(status_code, "error").lower(),
            "why": "",
            "fix": "",
        }
        if isinstance(raised, HTTPError):
            body["why"] = raised.log_message or raised.reason or ""
        elif raised is not None:
            body |= self._unexpected(raised)
        if status_code == 405:
            self.set_header("Allow", ", ".join(self.SUPPORTED_METHODS))
        self.finish(json.dumps(body))

    def _unexpected(self, raised: BaseException) -> dict[str, str]:
        from jupyter_mlops.workspace.records import new_id

        mark = new_id()[-12:]
        self.log.error("mlops %s: %s", mark, self.request.path, exc_info=raised)
        return {
            "code": "E-SERVER-001",
            "what": "the server failed",
            "why": f"its log says how, at {mark}",
            "fix": "",
        }


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
