"""Nobody without a token, nobody without permission, no page of somebody else's site."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.utils import JupyterServerAuthWarning
from tornado.httpclient import HTTPClientError, HTTPResponse
from tornado.web import Application, RequestHandler

from jupyter_mlops.server.routes import handlers
from jupyter_mlops.verbs.table import all_verbs
from jupyter_mlops.workspace import Workspace

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
Fetch = Callable[..., Awaitable[HTTPResponse]]


class Guard(Authorizer):
    """Denies the actions it is told to, and notes what it was asked. Its check is async."""

    denied: frozenset[str] = frozenset()
    asked: list[tuple[str, str, str]]

    async def is_authorized(  # type: ignore[override]
        self, handler: Any, user: Any, action: str, resource: str
    ) -> bool:
        if "/mlops/" in handler.request.path:
            Guard.asked.append((handler.request.path, action, resource))
            return action not in Guard.denied
        return True


@pytest.fixture
def guard() -> Iterator[type[Guard]]:
    Guard.asked, Guard.denied = [], frozenset()
    yield Guard
    Guard.denied = frozenset()


@pytest.fixture
def jp_server_config(jp_server_config: dict[str, Any], guard: type[Guard]) -> dict[str, Any]:
    jp_server_config["ServerApp"]["authorizer_class"] = guard
    return jp_server_config


def routes(app: Application) -> list[tuple[str, type[RequestHandler]]]:
    """Every path of ours in the server's own router, with its handler."""
    found = []
    for group in app.default_router.rules + app.wildcard_router.rules:
        for rule in getattr(group.target, "rules", [group]):
            pattern = getattr(getattr(rule.matcher, "regex", None), "pattern", "")
            handler = rule.target
            ours = isinstance(handler, type) and handler.__module__.startswith("jupyter_mlops")
            if ours or "/mlops/" in pattern:
                found.append((_example(rule.matcher), handler))
    return found


def _example(matcher: Any) -> str:
    """A path that a pattern matches."""
    pattern = matcher.regex.pattern.rstrip("$").replace("\\.", ".")
    groups = re.compile(r"\((?:[^()\[]|\[[^\]]*\])*\)")
    for word in ("1", "claim"):
        for other in ("1", "claim"):
            words = iter((word, other))
            path = groups.sub(lambda _, words=words: next(words), pattern)  # type: ignore[misc]
            if matcher.regex.match(path):
                return str(path)
    raise AssertionError(f"no example fits {matcher.regex.pattern}")


async def ask(fetch: Fetch, base: str, path: str, method: str, **options: Any) -> int:
    body = {"body": "{}"} if method in {"POST", "PUT", "PATCH"} else {}
    parts = path.removeprefix(base).strip("/").split("/")
    headers = {"Content-Type": "application/json", **options.pop("headers", {})}
    options |= {"raise_error": False, "allow_nonstandard_methods": True}
    answer = await fetch(*parts, method=method, headers=headers, **body, **options)
    return answer.code


def test_the_router_holds_all_our_routes(jp_web_app: Application) -> None:
    assert len(routes(jp_web_app)) == len(handlers()) > len(all_verbs())


async def test_without_a_token_every_route_and_method_is_refused(
    jp_fetch: Fetch, jp_web_app: Application, jp_base_url: str, guard: type[Guard]
) -> None:
    for path, handler in routes(jp_web_app):
        for method in METHODS:
            for token in ("", "token wrong"):
                headers = {"Authorization": token}
                status = await ask(jp_fetch, jp_base_url, path, method, headers=headers)
                refusals = {401, 403} if method in handler.SUPPORTED_METHODS else {405}
                assert status in refusals, (path, method, status)
    assert guard.asked == []


async def test_without_permission_every_route_and_method_is_refused(
    jp_fetch: Fetch, jp_web_app: Application, jp_base_url: str, guard: type[Guard]
) -> None:
    guard.denied = frozenset({"read", "write", "execute"})
    for path, handler in routes(jp_web_app):
        for method in handler.SUPPORTED_METHODS:
            guard.asked.clear()
            assert await ask(jp_fetch, jp_base_url, path, method) == 403, (path, method)
            assert [resource for _, _, resource in guard.asked] == ["mlops"]


@pytest.mark.parametrize("denied", ["read", "write", "execute"])
async def test_each_permission_is_asked_for_where_it_belongs(
    jp_fetch: Fetch, jp_base_url: str, guard: type[Guard], denied: str
) -> None:
    guard.denied = frozenset({denied})
    for verb in all_verbs().values():
        needed = "execute" if verb.isolated else "write" if verb.writes else "read"
        path = f"{jp_base_url}mlops/api/verbs/{verb.slug}"
        if needed == denied:
            assert await ask(jp_fetch, jp_base_url, path, "POST") == 403, verb.name
    path = f"{jp_base_url}mlops/api/verbs/help"
    assert await ask(jp_fetch, jp_base_url, path, "POST") == (403 if denied == "read" else 200)


def test_jupyter_finds_no_route_of_ours_open(jp_web_app: Application) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", JupyterServerAuthWarning)
        jp_web_app.add_handlers(".*$", [(f"/again{path}", one) for path, one in handlers()])


async def test_a_cookie_alone_changes_nothing(
    jp_fetch: Fetch, jp_base_url: str, jp_serverapp: Any, workspace: Workspace
) -> None:
    path = f"{jp_base_url}mlops/api/verbs/audit-verify"
    cookies = await _log_in(jp_fetch, jp_serverapp.identity_provider.token)
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())

    async def post(**headers: str) -> int:
        headers |= {"Authorization": "", "Cookie": cookie}
        return await ask(jp_fetch, jp_base_url, path, "POST", headers=headers)

    assert await post() == 403
    assert await post(**{"Sec-Fetch-Mode": "no-cors"}) == 403
    assert await post(**{"X-XSRFToken": "wrong"}) == 403
    assert await post(**{"X-XSRFToken": cookies["_xsrf"]}) == 200


async def _log_in(fetch: Fetch, token: str) -> dict[str, str]:
    """The cookies a browser has after it opened the login page and a page with the token."""
    cookies = {}
    for page, query in [("login", {}), ("tree", {"token": token})]:
        answer = await fetch(
            page,
            params=query,
            headers={"Authorization": ""},
            follow_redirects=False,
            raise_error=False,
        )
        for line in answer.headers.get_list("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            cookies[name] = value
    return cookies


async def test_answers_run_no_script_and_leak_no_trace(
    jp_fetch: Fetch, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Workspace) -> None:
        raise RuntimeError("secret of the house")

    answer = await jp_fetch("mlops", "api", "verbs", "help")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    monkeypatch.setattr(Workspace, "audit", broken)
    with pytest.raises(HTTPClientError) as caught:
        await jp_fetch("mlops", "api", "verbs", "audit-verify")
    assert caught.value.response is not None
    body = json.loads(caught.value.response.body)
    assert (caught.value.code, body["code"]) == (500, "E-SERVER-001")
    assert "secret" not in json.dumps(body)
