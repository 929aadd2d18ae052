"""Tab behind %mlops offers commands, flags, choices and the names of records."""

from __future__ import annotations

from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from jupyter_mlops.workspace import Workspace


def complete(shell: InteractiveShell, line: str) -> list[str]:
    """The lines that the completer offers."""
    with provisionalcompleter():
        found = list(shell.Completer.completions(line, len(line)))
    return [line[: one.start] + one.text for one in found]


@pytest.fixture
def records(folder: Path) -> None:
    with Workspace.open(folder).write() as tx:
        tx.emit("dataset.added", "data:flights@1")
        tx.emit("endpoint.declared", "endpoint:delay")
        tx.emit("model.registered", "model:delay@7")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%mlops au", "%mlops audit"),
        ("%mlops audit ", "%mlops audit verify"),
        ("%%mlops tr", "%%mlops train"),
        ("x = %mlops da", "x = %mlops data"),
        ("%mlops data add flights x.csv --k", "%mlops data add flights x.csv --key"),
        ("%mlops data show --j", "%mlops data show --json"),
        ("%mlops help da", "%mlops help da"),
    ],
)
def test_commands_and_flags(shell: InteractiveShell, line: str, offered: str) -> None:
    if line != offered:
        assert offered in complete(shell, line)
    else:
        assert all("(" not in one for one in complete(shell, line))


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%mlops data sample fl", "%mlops data sample flights"),
        ("%mlops data sample flights@", "%mlops data sample flights@1"),
        ("%mlops stop de", "%mlops stop delay"),
        ("%mlops serve de", "%mlops serve delay"),
        ("%%mlops train late --data fl", "%%mlops train late --data flights"),
    ],
)
def test_names_of_records(shell: InteractiveShell, records: None, line: str, offered: str) -> None:
    assert offered in complete(shell, line)


def test_frames_of_the_notebook(shell: InteractiveShell) -> None:
    import pandas as pd

    shell.user_ns["late"] = pd.DataFrame()
    assert "%mlops data sample {late}" in complete(shell, "%mlops data sample ")


def test_no_workspace_is_made_by_a_tab(shell: InteractiveShell, folder: Path) -> None:
    complete(shell, "%mlops data sample ")
    assert not (folder / ".mlops").exists()


def test_other_lines_are_left_alone(shell: InteractiveShell) -> None:
    for line in ("mlops audi", "print('%mlops au", "%mlopsx au", "# %mlops au"):
        assert not any(one.endswith("audit") for one in complete(shell, line))
