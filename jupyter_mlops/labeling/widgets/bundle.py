"""The labeler's script as one module: what anywidget takes, made of the modules in ``front/``."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

__all__ = ["ORDER", "script", "style"]

FRONT = Path(__file__).with_name("front")
# Each module comes after those it imports from.
ORDER = ("keys", "outbox", "session", "transport", "queue", "stage", "labeler")
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


@cache
def script() -> str:
    """The modules joined: imports between them dropped, comments and indentation too.

    A notebook keeps the script once for every widget it saves, so it must stay small.
    """
    sources = [(FRONT / f"{name}.js").read_text("utf-8") for name in ORDER]
    joined = "\n".join(_EXPORT.sub("", _IMPORT.sub("", source)) for source in sources)
    lines = (line.strip() for line in joined.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/**")))


@cache
def style() -> str:
    """The labeler's style sheet."""
    return (FRONT / "labeler.css").read_text("utf-8")
