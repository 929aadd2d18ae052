"""The verb that lists the verbs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import Parameter, Verb, all_verbs, find, verb
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.verbs.place import Opener
    from jupyter_mlops.views.blocks import View

__all__ = ["Commands", "Help", "help_on"]

CHAPTERS = (
    "Data",
    "Labeling",
    "Experiments",
    "Models",
    "Serving",
    "Monitoring",
    "Workspace",
)
"""In the order of a model's life; what belongs to none of them is the workspace's."""
_CHAPTERS = {
    "profiling": "Data",
    "contracts": "Data",
    "environments": "Experiments",
    "alerts": "Monitoring",
}


@dataclass(frozen=True)
class Commands(Result):
    """Every command, by the part of the work it belongs to."""

    groups: dict[str, tuple[Verb, ...]]

    def as_view(self) -> View:
        from jupyter_mlops.views.blocks import Column, Fact, Facts, Notice, Table, View

        facts = Facts(
            items=[
                Fact(label=group, value=", ".join(one.name for one in verbs))
                for group, verbs in self.groups.items()
            ]
        )
        columns = [
            Column(key="usage", label="Command"),
            Column(key="summary", label="What it does"),
        ]
        rows = [
            {"usage": signature(one), "summary": one.summary}
            for verbs in self.groups.values()
            for one in verbs
        ]
        notice = Notice(text="`%mlops COMMAND --help` explains a command and its flags.")
        return View(
            kind="help",
            title="jupyter-mlops",
            subtitle=f"{len(rows)} commands",
            line="%mlops help",
            blocks=[notice, facts, Table(columns=columns, rows=rows)],
        )


@dataclass(frozen=True)
class Help(Result):
    """One command: what it does, what it takes, how it is written."""

    verb: Verb

    def as_view(self) -> View:
        from jupyter_mlops.views.blocks import Block, Code, Column, Notice, Table, View

        verb = self.verb
        blocks: list[Block] = []
        if verb.description:
            blocks.append(Notice(text=" ".join(verb.description.split())))
        columns = [
            Column(key="name", label="Argument"),
            Column(key="help", label="What it means"),
        ]
        rows = [{"name": _written(one), "help": _meaning(one)} for one in verb.arguments]
        if rows:
            blocks.append(Table(columns=columns, rows=rows))
        if verb.examples:
            lines = [line.removeprefix(">>> ") for line in verb.examples.splitlines()]
            blocks.append(Code(title="Examples", language="ipython", text="\n".join(lines)))
        return View(
            kind="help",
            title=signature(verb),
            subtitle=verb.summary,
            line=f"%mlops {verb.name} --help",
            blocks=blocks,
        )


@verb("help", anywhere=True)
def show_help(
    _: Opener, command: str | None = None, subcommand: str | None = None
) -> Commands | Help:
    """List the commands, or explain one.

    Parameters
    ----------
    command : str, optional
        A command, or the first of its two words.
    subcommand : str, optional
        The second word.

    Examples
    --------
    >>> %mlops help
    >>> %mlops help data add
    """
    if command is not None and (subcommand is not None or command in all_verbs()):
        return help_on(find(f"{command} {subcommand or ''}".strip()))
    chosen: dict[str, list[Verb]] = {}
    for one in all_verbs().values():
        if command is None or one.name.split()[0] == command:
            chosen.setdefault(chapter(one), []).append(one)
    if not chosen:
        find(str(command))
    return Commands({name: tuple(chosen[name]) for name in CHAPTERS if name in chosen})


def help_on(verb: Verb) -> Help:
    """The explanation of one command."""
    return Help(verb)


def signature(verb: Verb) -> str:
    """How the command is written in a notebook."""
    body = verb.body
    return f"{'%%' if body is not None and body.required else '%'}mlops {verb.usage}"


def chapter(verb: Verb) -> str:
    """The part of the work a command belongs to: its module."""
    module = verb.function.__module__.rpartition(".")[2]
    name = _CHAPTERS.get(module, module.capitalize())
    return name if name in CHAPTERS else CHAPTERS[-1]


def _written(one: Parameter) -> str:
    return one.label if one.required else f"[{one.label}]"


def _meaning(one: Parameter) -> str:
    words = [one.help or one.kind]
    if one.choices:
        words.append(f"One of {', '.join(one.choices)}.")
    if not one.required and one.default not in (None, False, ""):
        words.append(f"Default: {one.default}.")
    return " ".join(words)
