"""`jupyter mlops …`: text or JSON on standard output, one sentence on standard error."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_mlops.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_results_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify"]) == 0
    assert capsys.readouterr().out.startswith("Audit\n")


def test_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "audit"


def test_or_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify", "--quiet"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["data", "show", "nosuch"], 1, "nosuch"),
        (["data", "add", "x", "nosuch.csv"], 1, "nosuch.csv"),
        (["audi"], 2, "did you mean 'audit'?"),
        (["data", "ls", "--loud"], 2, "--loud"),
        (["data", "show"], 2, "needs NAME"),
        (["data", "ls", "-o", "x"], 2, "notebook's variable"),
        (["data", "ls", "--workspace"], 2, "needs a folder"),
        (["agent", "run", "now"], 2, "takes no 'now'"),
    ],
)
def test_failures_are_one_sentence_and_an_exit_code(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert said in captured.err
    assert captured.err.count("\n") == 1


def test_another_folder_is_named_anywhere_in_the_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    assert main(["--workspace", "a", "audit", "verify"]) == 0
    assert main(["audit", "verify", "--workspace=b"]) == 0
    assert (folder / "a" / ".mlops").is_dir()
    assert (folder / "b" / ".mlops").is_dir()
    assert not (folder / ".mlops").exists()


def test_a_dash_reads_the_body_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("  \n"))
    assert main(["train", "late", "-"]) == 2
    assert "body of `train` is empty" in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m jupyter_mlops.cli help | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from jupyter_mlops import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__
