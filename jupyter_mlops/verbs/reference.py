"""The reference documentation, written from the command table and from the code's errors.

``python -m jupyter_mlops.verbs.reference docs/reference`` writes it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jupyter_mlops.verbs.help import CHAPTERS, chapter, signature
from jupyter_mlops.verbs.table import Parameter, Verb, all_verbs

__all__ = ["Problem", "errors_page", "main", "problems", "verbs_page"]

PACKAGE = Path(__file__).parents[1]
_CLASSES = ("MLOpsError", "Invalid", "Denied", "NotFound", "Conflict", "Unavailable")
_STATUS = {"Invalid": 400, "Denied": 403, "NotFound": 404, "Conflict": 409, "Unavailable": 503}


@dataclass(frozen=True)
class Problem:
    """A place in the code that raises an error with a code."""

    code: str
    kind: str
    what: str
    place: str


def verbs_page() -> str:
    """The page of all commands, as Markdown."""
    parts = [
        "# Commands",
        "",
        "Each command is a line magic (`%mlops …`), a shell command (`jupyter mlops …`), a Python",
        "call (`mlops.….…()`) and a request (`/mlops/api/verbs/…`). Commands with a cell body are",
        "written `%%mlops …`; the shell takes the body with `--file FILE`, or `-` for standard",
        "input. All of them take `-o NAME`, `--quiet`, `--json` and `--help`.",
        "",
        "This page is made from the code by `python -m jupyter_mlops.verbs.reference`.",
    ]
    chapters: dict[str, list[Verb]] = {}
    for one in all_verbs().values():
        chapters.setdefault(chapter(one), []).append(one)
    for name in CHAPTERS:
        parts += ["", f"## {name}"]
        for one in chapters.get(name, []):
            parts += ["", *_verb(one)]
    return "\n".join(parts) + "\n"


def _verb(one: Verb) -> Iterator[str]:
    yield f"### {one.name}"
    yield ""
    yield one.summary
    yield ""
    yield f"```\n{signature(one)}\n```"
    if one.description:
        yield ""
        yield " ".join(one.description.split())
    rows = [_row(parameter) for parameter in one.arguments]
    if rows:
        yield ""
        yield "| argument | meaning | default |"
        yield "|---|---|---|"
        yield from rows
    yield ""
    yield f"- Python: `mlops.{one.name.replace(' ', '.')}(…)`"
    method = "POST" if one.writes or one.isolated else "GET or POST"
    yield f"- Request: {method} `/mlops/api/verbs/{one.slug}`"
    if one.examples:
        lines = [line.removeprefix(">>> ") for line in one.examples.splitlines()]
        yield ""
        yield "```\n" + "\n".join(lines).rstrip() + "\n```"


def _row(one: Parameter) -> str:
    help = one.help + (f" One of {', '.join(one.choices)}." if one.choices else "")
    default = "" if one.required or one.default in (None, False) else f"`{one.default}`"
    cells = [f"`{one.label}`", help, "required" if one.required else default]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def problems() -> list[Problem]:
    """Every error with a code in the package, by its code."""
    found: list[Problem] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                found += _problem(node, place)
    return sorted(found, key=lambda one: (one.code, one.place, one.what))


def _problem(call: ast.Call, place: str) -> Iterator[Problem]:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    code = next((word.value for word in call.keywords if word.arg == "code"), None)
    if name not in _CLASSES or not isinstance(code, ast.Constant) or not call.args:
        return
    yield Problem(str(code.value), name, _sentence(call.args[0]), place)


def _sentence(node: ast.expr) -> str:
    """The message with what it fills in shown as ``…``."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
        )
    if isinstance(node, ast.BinOp):
        return _sentence(node.left) + _sentence(node.right)
    return "…"


def errors_page() -> str:
    """The page of all error codes, as Markdown."""
    parts = [
        "# Errors",
        "",
        "Every error says what was wrong, why, and what to do about it, and carries a code that",
        "means the same in a notebook, in a shell and in a request. In a shell the exit code is 2",
        "for a line that makes no sense and 1 otherwise.",
        "",
        "This page is made from the code by `python -m jupyter_mlops.verbs.reference`.",
        "",
        "| code | HTTP | what | raised in |",
        "|---|---|---|---|",
    ]
    for one in problems():
        what = one.what.replace("|", "\\|").replace("`", "'")
        parts.append(f"| {one.code} | {_STATUS.get(one.kind, 500)} | {what} | {one.place} |")
    return "\n".join(parts) + "\n"


def main(folder: str = "docs/reference") -> None:
    """Write both pages."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    (target / "verbs.md").write_text(verbs_page(), "utf-8")
    (target / "errors.md").write_text(errors_page(), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
