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


@pytest.fixture
def kept(folder: Path, shell: InteractiveShell) -> None:
    import polars as pl

    shell.user_ns["frame"] = pl.DataFrame(
        {"delay": [3, 5], "late": [0, 1], "flight number": [1, 2], "tail": ["a", "b"]}
    )
    for line in ("data add flights {frame}", "contract flights --save punctual"):
        shell.run_line_magic("mlops", line + " --quiet")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%mlops contract show pu", "%mlops contract show punctual"),
        ("%mlops contract show punctual@", "%mlops contract show punctual@1"),
        ("%mlops contract diff pu", "%mlops contract diff punctual"),
        ("%mlops contract pu", "%mlops contract punctual"),
        ("%mlops contract edit punctual de", "%mlops contract edit punctual delay"),
        ("%%mlops train late --contract ", "%%mlops train late --contract punctual"),
        ("%mlops data diff fl", "%mlops data diff flights"),
        ("%mlops data split fl", "%mlops data split flights"),
        ("%mlops data split flights --stratify ", "%mlops data split flights --stratify late"),
        ("%mlops profile flights --target la", "%mlops profile flights --target late"),
        ("%mlops profile {frame} --target la", "%mlops profile {frame} --target late"),
        ("%mlops profile flights@1 --target fl", ""),
        (
            '%mlops profile flights --target "fl',
            '%mlops profile flights --target "flight number"',
        ),
        (
            "%mlops data sample flights --columns delay,la",
            "%mlops data sample flights --columns delay,late",
        ),
        ("%mlops profile nothing --target la", ""),
    ],
)
def test_contracts_and_columns(
    shell: InteractiveShell, kept: None, line: str, offered: str
) -> None:
    found = complete(shell, line)
    assert offered in found if offered else not any("mlops" in one for one in found if one > line)
