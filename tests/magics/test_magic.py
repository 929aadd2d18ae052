"""What a cell with %mlops shows, returns, keeps and raises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from jupyter_mlops.verbs import audit
from jupyter_mlops.workspace import Audit, Workspace


def run(shell: InteractiveShell, cell: str) -> tuple[str, Any]:
    """What a cell prints and the value it shows."""
    with capture_output() as captured:
        result = shell.run_cell(cell, store_history=True)
    return captured.stdout + "".join(str(one) for one in captured.outputs), result


def shown(shell: InteractiveShell, cell: str) -> int:
    """How often a cell shows an audit's text."""
    return run(shell, cell)[0].count("Every event follows")


def test_a_result_is_returned_and_shown_once(shell: InteractiveShell) -> None:
    assert shown(shell, "%mlops audit verify") == 1
    assert isinstance(shell.user_ns["_"], Audit)
    assert shown(shell, "%mlops audit verify -o found") == 1
    assert isinstance(shell.user_ns["found"], Audit)
    assert shown(shell, "x = %mlops audit verify") == 0
    assert isinstance(shell.user_ns["x"], Audit)
    assert shown(shell, "for i in range(2):\n    y = %mlops audit verify") == 0


def test_quiet_shows_nothing_now_and_the_result_later(shell: InteractiveShell) -> None:
    assert shown(shell, "%mlops audit verify --quiet -o found") == 0
    assert shown(shell, "found") == 1
    assert shown(shell, "found") == 1


def test_json_is_one_line_for_a_log(shell: InteractiveShell) -> None:
    out, _ = run(shell, "%mlops audit verify --json")
    lines = [line for line in out.splitlines() if line.startswith("{")]
    assert len(lines) == 1
    assert json.loads(lines[0].partition("Out[")[0])["kind"] == "audit"
    assert "✓" not in out


def test_bare_mlops_is_the_status_and_leaves_nothing_behind(
    shell: InteractiveShell, folder: Path
) -> None:
    out, _ = run(shell, "%mlops")
    assert "What is running?" in out
    assert not (folder / ".mlops").exists()


def test_help_for_all_and_for_one(shell: InteractiveShell) -> None:
    assert "data add" in run(shell, "%mlops help")[0]
    for line in ("%mlops data add --help", "%mlops help data add"):
        assert "%mlops data add NAME SOURCE" in run(shell, line)[0]


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("%mlops data show nosuch", "E-DATA-"),
        ("%mlops aduit verify", "E-LINE-002"),
        ("%mlops audit verify --loud", "E-LINE-001"),
        ("%mlops audit verify; print(1)", "E-MAGIC-001"),
        ("%%mlops audit verify\nprint(1)", "E-LINE-007"),
        ("%mlops train late", "E-VERB-002"),
        ("%%mlops train late\n   \n", "E-LINE-008"),
        ("%mlops audit verify -o 1x", "E-LINE-003"),
        ("%mlops data show {nosuch}", "E-MAGIC-005"),
    ],
)
def test_errors_are_one_sentence(shell: InteractiveShell, cell: str, code: str) -> None:
    out, result = run(shell, cell)
    error = result.error_in_exec
    assert error is not None
    assert code in str(error)
    assert len(error._render_traceback_()) <= 3
    assert "Traceback" not in out


def test_a_full_traceback_is_a_setting_away(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_cell("%config MLOps.traceback = 'full'")
    shell.run_cell("%mlops data show nosuch")
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_neither_dollars_nor_bodies_are_expanded(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_mlops.verbs.line import Line

    seen: list[Any] = []

    def call(self: Line, workspace: object, body: str | None, namespace: object) -> None:
        seen.append((self.arguments, body))

    monkeypatch.setattr(Line, "call", call)
    shell.user_ns["x"] = 1
    shell.run_cell("%%mlops train $x\nf'{x} {missing} $x'\n")
    assert seen == [({"name": "$x"}, "f'{x} {missing} $x'\n")]


def test_an_interrupt_is_one_line(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Workspace) -> None:
        error = KeyboardInterrupt()
        error.add_note("`%mlops audit verify` goes on with it.")
        raise error

    monkeypatch.setattr(Workspace, "audit", interrupted)
    assert audit.audit_verify  # the verb calls the workspace's method
    out, result = run(shell, "%mlops audit verify")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert "`audit verify` was interrupted; `%mlops audit verify` goes on with it." in out
    assert "line" not in out


def test_loading_twice_is_harmless(shell: InteractiveShell) -> None:
    shell.run_line_magic("reload_ext", "jupyter_mlops")
    assert shown(shell, "%mlops audit verify") == 1
    names = [type(one).__name__ for one in shell.configurables]
    assert names.count("MLOps") == 1
    matchers = [getattr(one, "matcher_identifier", "") for one in shell.Completer.custom_matchers]
    assert matchers.count("mlops") == 1
