"""One route a verb, each with a handler class of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_mlops.server.answers import RESOURCE, MLOpsHandler
from jupyter_mlops.server.isolated import run_isolated
from jupyter_mlops.verbs.progress import Shown, shown_by
from jupyter_mlops.verbs.table import Verb, all_verbs
from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = ["VerbHandler", "handlers"]

# What Jupyter itself puts into query strings.
_JUPYTERS = {"token", "_xsrf", "no_track_activity"}
# A name that the browser makes up, under which it hears of its own verbs' progress.
_JOB = re.compile(r"[0-9a-f-]{36}")


class VerbHandler(MLOpsHandler):
    """Runs one verb with the arguments of the query or of the body."""

    verb: Verb
    _child: asyncio.Task[str] | None = None

    def on_connection_close(self) -> None:
        """Nobody waits for the answer any more: end the process that works on it."""
        if self._child is not None:
            self._child.cancel()
        super().on_connection_close()

    def query(self) -> dict[str, Any]:
        """The arguments of a GET, made from text."""
        known = {one.name: one for one in self.verb.arguments}
        given: dict[str, Any] = {}
        for name in self.request.query_arguments:
            if name in _JUPYTERS:
                continue
            if name not in known:
                raise Invalid(
                    f"`{self.verb.name}` takes no {name!r}",
                    fix=closest(name, known) or f"usage: {self.verb.usage}",
                    code="E-VERB-001",
                )
            texts = self.get_query_arguments(name)
            parameter = known[name]
            text = ",".join(texts) if parameter.kind == "list" else texts[-1]
            given[name] = parameter.parse(text)
        return given

    async def run(self, given: dict[str, Any]) -> str:
        """Run the verb; returns its view as JSON."""
        for one in self.verb.parameters:
            if one.kind == "namespace" and one.name in given:
                raise Invalid(f"`{self.verb.name}` takes no {one.name!r} here", code="E-VERB-007")
            if one.kind == "data" and given.get(one.name) is not None:
                if not isinstance(given[one.name], str):
                    raise Invalid(
                        f"{one.label} must be text",
                        fix="a dataset's name, a path or a URL",
                        code="E-VERB-008",
                    )
                given[one.name] = await self.in_thread(self.app.served.source, given[one.name])
            if one.kind == "file" and isinstance(given.get(one.name), str):
                given[one.name] = await self.in_thread(self.app.served.file, given[one.name])
        bound = self.verb.bind(given)
        if self.verb.isolated:
            child = run_isolated(self.verb, given, self.app.served.place(), self.actor)
            self._child = asyncio.create_task(child)
            return await self._child
        text: str = await self.in_thread(self._run, bound, self._told())
        return text

    def _told(self) -> Callable[[Shown], None] | None:
        """What tells the browser that asked how far its verb is, if it gave the job a name."""
        job = self.request.headers.get("X-MLOps-Job", "")
        if not _JOB.fullmatch(job):
            return None
        watcher, actor = self.app.watcher, self.actor

        def tell(shown: Shown) -> None:
            watcher.tell_progress(job, actor, shown.done, shown.total, round(shown.seconds, 2))

        return tell

    def _run(self, bound: dict[str, Any], tell: Callable[[Shown], None] | None = None) -> str:
        from jupyter_mlops.views import view

        served = self.app.served
        if self.verb.anywhere:
            first: Any = partial(served.open, self.actor, create=False)
        elif self.verb.writes:
            first = served.open(self.actor)
        else:
            first = served.look(self.actor)
        with shown_by(tell, partial=False) if tell is not None else nullcontext():
            result = self.verb(first, **bound)
        return view(result).model_dump_json()


def handlers(base: str) -> list[tuple[str, type[VerbHandler]]]:
    """The routes of all verbs."""
    return [(f"{base}/verbs/{verb.slug}", _handler(verb)) for verb in all_verbs().values()]


def _handler(verb: Verb) -> type[VerbHandler]:
    """A class for one verb.

    Its methods are decorated here, once for each class: `authorized` keeps the action
    and the resource it was made with.
    """
    action = "execute" if verb.isolated else "write" if verb.writes else "read"

    @web.authenticated
    @authorized(action, RESOURCE)  # type: ignore[untyped-decorator]
    async def post(self: VerbHandler) -> None:
        async def work() -> str:
            return await self.run(self.json_body())

        with suppress(asyncio.CancelledError):  # by on_connection_close
            await self.answer(work)

    @web.authenticated
    @authorized("read", RESOURCE)  # type: ignore[untyped-decorator]
    async def get(self: VerbHandler) -> None:
        async def work() -> str:
            return await self.run(self.query())

        await self.answer(work)

    body: dict[str, Any] = {
        "verb": verb,
        "post": post,
        "SUPPORTED_METHODS": ("POST",),
        "__doc__": verb.summary,
        "__module__": __name__,
    }
    if not verb.writes and not verb.isolated:
        body |= {"get": get, "SUPPORTED_METHODS": ("GET", "POST")}
    title = "".join(word.capitalize() for word in verb.slug.split("-"))
    return type(f"{title}Handler", (VerbHandler,), body)
