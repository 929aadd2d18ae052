"""One table, five faces: each face has every verb, with the same arguments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from jupyter_mlops import cli, mlops
from jupyter_mlops.magics.completion import candidates
from jupyter_mlops.server import routes
from jupyter_mlops.server.routes_openapi import document
from jupyter_mlops.verbs import reference
from jupyter_mlops.verbs.help import show_help
from jupyter_mlops.verbs.line import parse
from jupyter_mlops.verbs.table import Verb, all_verbs
from jupyter_mlops.workspace import Invalid, NotFound, Workspace

VERBS = all_verbs()
HANDLERS = dict(routes.handlers())
DOCUMENT = document()
DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("one", VERBS.values(), ids=lambda one: one.slug)
class TestEveryVerb:
    def test_is_a_line_with_help_in_notebook_and_shell(
        self, one: Verb, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert parse([*one.name.split(), "--help"]).verb is one
        assert cli.main([*one.name.split(), "--help"]) == 0
        assert one.usage.split(" [")[0] in capsys.readouterr().out

    def test_is_a_python_call(self, one: Verb) -> None:
        call = mlops
        for word in one.name.split():
            assert word in dir(call)
            call = getattr(call, word)
        assert one.summary.split(".")[0] in (call.__doc__ or "")

    def test_is_completed(self, one: Verb) -> None:
        words = one.name.split()
        assert words[-1] in candidates(words[:-1], "", {})
        flags = candidates(words, "--", {})
        assert {argument.option for argument in one.arguments if argument.flag} <= set(flags)

    def test_is_a_route_and_described(self, one: Verb) -> None:
        found = HANDLERS[f"/mlops/api/verbs/{one.slug}"]
        described = DOCUMENT["paths"][f"/verbs/{one.slug}"]
        assert {method.upper() for method in described} == set(found.SUPPORTED_METHODS)
        assert ("get" in described) == (not one.writes and not one.isolated)
        body = described["post"]["requestBody"]["content"]["application/json"]["schema"]
        expected = {argument.name for argument in one.parameters if argument.kind != "namespace"}
        assert set(body["properties"]) == expected

    def test_is_listed(self, one: Verb) -> None:
        groups = show_help(Workspace.open).groups  # type: ignore[union-attr]
        assert one in [verb for verbs in groups.values() for verb in verbs]


def test_the_openapi_document_is_valid() -> None:
    OpenAPIV31SpecValidator(document("/user/x/")).validate()


def test_the_reference_is_up_to_date() -> None:
    again = "run python -m jupyter_mlops.verbs.reference docs/reference"
    assert (DOCS / "verbs.md").read_text("utf-8") == reference.verbs_page(), again
    assert (DOCS / "errors.md").read_text("utf-8") == reference.errors_page(), again


def test_a_code_has_one_kind_of_error() -> None:
    kinds: dict[str, set[str]] = {}
    for problem in reference.problems():
        kinds.setdefault(problem.code, set()).add(problem.kind)
    assert {code: found for code, found in kinds.items() if len(found) > 1} == {}


def test_python_calls_take_what_the_line_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("x,y\n1,2\n")
    added = mlops.data.add("a", Path("a.csv"), key="x")
    assert added.name == "a"
    assert mlops.audit.verify().intact
    with pytest.raises(NotFound):
        mlops.data.show("nosuch")
    with pytest.raises(Invalid, match="takes 2 arguments, 3 were given"):
        mlops.data.add("a", "b", "c")
    with pytest.raises(Invalid, match="is a group of commands"):
        mlops.data()
    with pytest.raises(AttributeError, match="did you mean 'data add'"):
        mlops.data.ad  # noqa: B018


def test_import_is_light() -> None:
    heavy = "pandas polars sklearn mlflow evidently sqlalchemy pydantic pyarrow matplotlib"
    code = (
        "import sys, jupyter_mlops.magics, jupyter_mlops.cli, jupyter_mlops.server.app\n"
        "from jupyter_mlops.verbs.table import all_verbs; all_verbs()\n"
        f"print([name for name in '{heavy}'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
