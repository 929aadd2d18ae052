"""The labeler's scripts, as the front end's build puts them into ``built/``.

One holds the labeler and every answer that is picked or written. What draws on images, sounds,
films and texts comes in scripts of its own; a labeler asks for the one it needs, so that a
notebook, which keeps the first for every widget it saves, stays small.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jupyter_mlops.workspace.errors import NotFound, Unavailable, closest

__all__ = ["PADS", "pad", "script", "style"]

BUILT = Path(__file__).with_name("built")
PADS = ("film", "shapes", "spans", "waves")


@cache
def script() -> str:
    """The labeler's script, a module that anywidget takes.

    Raises
    ------
    Unavailable
        The front end isn't built.
    """
    return _read("labeler.js").decode()


@cache
def style() -> str:
    """The labeler's style sheet."""
    return _read("labeler.css").decode()


def pad(name: str) -> bytes:
    """The script that one kind of answers is drawn with, as it is sent to a browser.

    Raises
    ------
    NotFound
        No answer has a script of that name.
    Unavailable
        The front end isn't built.
    """
    if name not in PADS:
        raise NotFound(
            f"no labeler has a script {name!r}",
            f"there are {', '.join(PADS)}",
            closest(name, PADS),
            code="E-LABEL-207",
        )
    return _read(f"pads/{name}.js")


def _read(name: str) -> bytes:
    path = BUILT / name
    if not path.is_file():
        raise Unavailable(
            "the labeler isn't built",
            f"there is no {path}",
            "run `jlpm build:labelers` in the checkout",
            code="E-LABEL-208",
        )
    return path.read_bytes()
