"""The Python call that the tour shows beside a magic is one that exists, argument by argument."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

from jupyter_mlops.verbs.table import all_verbs

TOURS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def calls(path: Path) -> list[str]:
    """The calls in the sentences of a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.findall(r"`(mlops\.[^`]+\))`", text)


def called(function: str) -> str:
    """The verb that a function is; Python keeps `import` for itself, so it is `import_`."""
    return function.removeprefix("mlops.").replace(".", " ").removesuffix("_")


def used(path: Path) -> set[str]:
    """The verbs of the magics in a notebook."""
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    names = sorted(all_verbs(), key=len, reverse=True)
    lines = re.findall(r"%mlops ([^\n]+)", code)
    return {name for line in lines for name in names if f"{line} ".startswith(f"{name} ")}


@pytest.mark.parametrize("path", TOURS, ids=lambda path: path.stem)
def test_each_call_names_a_verb_and_its_parameters(path: Path) -> None:
    found = calls(path)
    assert found, "the tour shows no Python call"
    for text in found:
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call), text
        name = called(ast.unparse(call.func))
        verb = all_verbs()[name]
        known = {one.keyword for one in verb.parameters}
        places = [one for one in verb.parameters if not one.flag]
        assert {word.arg for word in call.keywords} <= known, text
        assert len(call.args) <= len(places), text


@pytest.mark.parametrize("path", TOURS, ids=lambda path: path.stem)
def test_every_magic_of_the_tour_has_its_call(path: Path) -> None:
    shown = {called(text.split("(")[0]) for text in calls(path)}
    longest = {name for name in used(path) if name not in {"data", "label"} or name in shown}
    assert longest - shown == set()
