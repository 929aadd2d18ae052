"""Every command is a request, with the same arguments and the same errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from jupyter_mlops.server.routes_openapi import document
from jupyter_mlops.verbs.table import all_verbs
from jupyter_mlops.workspace import Workspace

Ask = Callable[..., Awaitable[Any]]


async def test_a_reading_verb_answers_with_its_view(ask: Ask, workspace: Workspace) -> None:
    status, view = await ask("verbs", "audit-verify")
    assert status == 200
    assert (view["kind"], view["line"]) == ("audit", "%mlops audit verify")
    assert await ask("verbs", "audit-verify", body={}) == (200, view)


async def test_looking_makes_no_workspace(ask: Ask, jp_root_dir: Path) -> None:
    for verb in ("status", "data-ls", "audit-verify", "doctor", "help"):
        assert (await ask("verbs", verb))[0] == 200
    status, problem = await ask("verbs", "data-show", params={"name": "x"})
    assert (status, problem["code"][:7]) == (404, "E-DATA-")
    assert not (jp_root_dir / ".mlops").exists()


async def test_a_writing_verb_makes_the_workspace(ask: Ask, jp_root_dir: Path) -> None:
    (jp_root_dir / "a.csv").write_text("x,y\n1,2\n")
    status, view = await ask("verbs", "data-add", body={"name": "a", "source": "a.csv"})
    assert (status, view["kind"]) == (200, "dataset"), view
    assert (jp_root_dir / ".mlops").is_dir()


async def test_a_writing_verb_is_not_asked_by_get(ask: Ask) -> None:
    status, problem = await ask("verbs", "data-add", params={"name": "a", "source": "a.csv"})
    assert (status, problem["code"]) == (405, "E-HTTP-405")


async def test_errors_say_what_why_and_how(ask: Ask, workspace: Workspace) -> None:
    for arguments, code in [
        ({"nmae": "x"}, "E-VERB-001"),
        ({}, "E-VERB-002"),
        ({"name": 3}, "E-VERB-003"),
    ]:
        status, problem = await ask("verbs", "data-show", body=arguments)
        assert (status, problem["code"]) == (400, code)
        wrong = problem.pop("fields", {})
        assert wrong == ({"name": "it takes text"} if code == "E-VERB-003" else {})
        assert set(problem) == {"code", "what", "why", "fix"}
    status, problem = await ask("verbs", "data-show", params={"name": "nosuch"})
    assert status == 404
    assert "nosuch" in problem["what"]


async def test_a_body_that_is_no_json_object_is_refused(ask: Ask) -> None:
    for body, code in [
        ("{", "E-SERVER-005"),
        ('{"name": NaN}', "E-SERVER-005"),
        ("[" * 100_000, "E-SERVER-005"),
        ("[]", "E-SERVER-006"),
    ]:
        status, problem = await ask("verbs", "data-show", body=body)
        assert (status, problem["code"]) == (400, code)
    html = {"Content-Type": "text/html"}
    assert (await ask("verbs", "data-show", body="{}", headers=html))[0] == 415


async def test_a_word_that_python_keeps_for_itself_is_written_plainly(
    ask: Ask, jp_root_dir: Path
) -> None:
    rows = "".join(f"{n},{n * n % 7},{n % 2}\n" for n in range(60))
    (jp_root_dir / "a.csv").write_text("x,z,y\n" + rows)
    given = {"source": "a.csv", "target": "y", "as": "pipeline"}
    status, view = await ask("verbs", "profile", body=given)
    assert status == 200, view
    assert "ColumnTransformer" in str(view["blocks"])
    assert not [(v.name, p.name) for v in all_verbs().values() for p in v.parameters
                if p.name.endswith("_")]  # fmt: skip
    profile = document()["paths"]["/verbs/profile"]["post"]["requestBody"]
    named = profile["content"]["application/json"]["schema"]["properties"]
    assert "as" in named
    assert "as_" not in named
