"""A line's words become a call, or an error that says what to write instead."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.verbs.line import Text, parse
from jupyter_mlops.workspace import Invalid


@pytest.mark.parametrize(
    ("words", "verb", "arguments"),
    [
        ([], "status", {}),
        (["data", "ls"], "data ls", {}),
        (["data", "add", "a", "b.csv"], "data add", {"name": "a", "source": "b.csv"}),
        (["data", "add", "--key=id", "a"], "data add", {"name": "a", "key": "id"}),
        (["data", "add", "a", "--key", "id"], "data add", {"name": "a", "key": "id"}),
        (["data", "add", "--", "-a", "-b"], "data add", {"name": "-a", "source": "-b"}),
        (["data", "add", "a", Text("--key")], "data add", {"name": "a", "source": "--key"}),
        (["data", "add", "a", Path("x.csv")], "data add", {"name": "a", "source": "x.csv"}),
        (["data", "add", 2013, "x"], "data add", {"name": "2013", "source": "x"}),
    ],
)
def test_lines(words: list[Any], verb: str, arguments: dict[str, Any]) -> None:
    line = parse(words)
    assert (line.verb.name, line.arguments) == (verb, arguments)


def test_what_the_faces_are_told() -> None:
    line = parse(["audit", "verify", "-o", "x", "--quiet", "--json"])
    assert (line.output, line.quiet, line.json, line.help) == ("x", True, True, False)
    assert parse(["data", "add", "--help"]).help


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["audi"], "E-LINE-002", "did you mean 'audit'?"),
        (["data", "shwo"], "E-LINE-002", "did you mean 'data show'?"),
        (["data"], "E-LINE-002", "`data` goes with"),
        (["data", "add", "--kye", "x"], "E-LINE-001", "did you mean '--key'?"),
        (["data", "ls", "x"], "E-LINE-004", "no place for 'x'"),
        (["data", "add", "--key"], "E-LINE-005", "--key needs a value"),
        (["data", "add", "--key", "--time"], "E-LINE-005", "--key needs a value"),
        (["audit", "verify", "-o", "a b"], "E-LINE-003", "can't name a variable"),
    ],
)
def test_lines_that_make_no_sense(words: list[Any], code: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(words)
    assert caught.value.code == code
    assert said in str(caught.value)


def test_a_body_comes_from_a_file_or_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    line = parse(["train", "late", "--file", str(tmp_path / "body.py")])
    monkeypatch.setattr(type(line.verb), "__call__", lambda *_, body, **__: seen.append(body))
    (tmp_path / "body.py").write_text("x = 1")
    line.call(None)
    monkeypatch.setattr("sys.stdin", io.StringIO("y = 2"))
    parse(["train", "late", "--file=-"]).call(None)
    assert seen == ["x = 1", "y = 2"]


def test_bodies_that_make_no_sense(tmp_path: Path) -> None:
    for words, body, code in [
        (["train", "late", "--file", str(tmp_path / "nosuch")], None, "E-LINE-009"),
        (["train", "late", "--file", "x"], "y", "E-LINE-006"),
        (["data", "ls"], "x", "E-LINE-007"),
        (["train", "late"], " \n", "E-LINE-008"),
    ]:
        with pytest.raises(Invalid) as caught:
            parse(words).call(None, body)
        assert caught.value.code == code
