"""How a written line becomes a call: the same words in a magic and in a shell."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_mlops.verbs.table import Parameter, Verb, all_verbs
from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = ["Line", "Text", "parse"]


class Text(str):
    """A word that is a value whatever it begins with: what a variable held is no flag."""

    __slots__ = ()


@dataclass
class Line:
    """A parsed line: the verb, its arguments by name, and what the face itself is told."""

    verb: Verb
    arguments: dict[str, Any] = field(default_factory=dict)
    output: str | None = None
    quiet: bool = False
    json: bool = False
    help: bool = False
    file: str | None = None

    def call(
        self, workspace: Any, body: str | None = None, namespace: dict[str, Any] | None = None
    ) -> Any:
        """Run the verb with the line's arguments.

        Parameters
        ----------
        workspace : Workspace or None
            What the verb works on; None for verbs that do without.
        body : str, optional
            The cell below the line. ``--file`` takes its place.
        namespace : dict, optional
            The kernel's variables.
        """
        __tracebackhide__ = True
        given = dict(self.arguments)
        if self.file is not None:
            if body is not None:
                raise Invalid(
                    f"`{self.verb.name}` has a cell body and --file {self.file}",
                    fix="give one of them",
                    code="E-LINE-006",
                )
            body = _content(self.file)
        place = self.verb.body
        if body is not None and place is None:
            raise Invalid(
                f"`{self.verb.name}` takes no cell body",
                fix=f"write %mlops {self.verb.name} with one % and the code in another cell",
                code="E-LINE-007",
            )
        if place is not None and body is not None:
            if not body.strip():
                raise Invalid(f"the body of `{self.verb.name}` is empty", code="E-LINE-008")
            given[place.name] = body
        if namespace is not None:
            given |= {
                one.name: namespace for one in self.verb.parameters if one.kind == "namespace"
            }
        return self.verb(workspace, **given)


def parse(words: Sequence[Any]) -> Line:
    """Read a line.

    Parameters
    ----------
    words : sequence
        The line's words. A word that isn't text is a value already, such as the frame
        that ``{frame}`` stands for, and is taken as it is.

    Raises
    ------
    Invalid
        The verb or a flag is unknown, a value is missing or doesn't fit.
    """
    verb, rest = _verb(list(words))
    line = Line(verb)
    flags = {one.option: one for one in verb.arguments if one.flag}
    positions = [one for one in verb.arguments if not one.flag]
    while rest:
        word = rest.pop(0)
        if isinstance(word, str) and word == "--":
            for value in rest:
                _place(line, positions, value)
            break
        if not _is_option(word):
            _place(line, positions, word)
            continue
        option, equals, attached = word.partition("=")
        if _face_option(line, option, attached if equals else None, rest):
            continue
        if option not in flags:
            known = [*flags, "--quiet", "--json", "--help", "-o"]
            known += ["--file"] if verb.body is not None else []
            raise Invalid(
                f"`{verb.name}` has no flag {option}",
                fix=closest(option, known) or f"usage: {verb.usage}",
                code="E-LINE-001",
            )
        flag = flags[option]
        if flag.kind == "switch" and not equals:
            line.arguments[flag.name] = True
            continue
        value = attached if equals else _next(rest, flag.option)
        line.arguments[flag.name] = _value(flag, value)
    return line


def _verb(words: list[Any]) -> tuple[Verb, list[Any]]:
    verbs = all_verbs()
    if not words or (isinstance(words[0], str) and words[0].startswith("-")):
        return verbs["status"], words
    for count in (2, 1):
        head = words[:count]
        if len(head) == count and all(isinstance(word, str) for word in head):
            found = verbs.get(" ".join(head))
            if found is not None:
                return found, words[count:]
    first = str(words[0])
    group = [name for name in verbs if name.split()[0] == first]
    second = str(words[1]) if len(words) > 1 else ""
    raise Invalid(
        f"`{first} {second}`".replace(" `", "`") + " is no command",
        f"`{first}` goes with {', '.join(name.split()[-1] for name in group)}" if group else "",
        closest(f"{first} {second}".strip(), verbs)
        or closest(first, {name.split()[0] for name in verbs})
        or "`%mlops help` lists the commands",
        code="E-LINE-002",
    )


def _face_option(line: Line, option: str, attached: str | None, rest: list[Any]) -> bool:
    if option in {"-h", "--help"}:
        line.help = True
    elif option in {"-q", "--quiet"}:
        line.quiet = True
    elif option == "--json":
        line.json = True
    elif option in {"-o", "--out"}:
        line.output = str(attached if attached is not None else _next(rest, option))
        if not line.output.isidentifier():
            raise Invalid(f"{line.output!r} can't name a variable", code="E-LINE-003")
    elif option == "--file" and line.verb.body is not None:
        line.file = str(attached if attached is not None else _next(rest, option))
    else:
        return False
    return True


def _place(line: Line, positions: list[Parameter], value: Any) -> None:
    if not positions:
        raise Invalid(
            f"`{line.verb.name}` has no place for {str(value)!r}",
            fix=f"usage: {line.verb.usage}",
            code="E-LINE-004",
        )
    parameter = positions[0]
    if parameter.kind == "rest":
        # Words come one by one; numbers and what variables hold are words of it too.
        earlier = line.arguments.get(parameter.name)
        line.arguments[parameter.name] = f"{earlier} {value}" if earlier else str(value)
        return
    positions.pop(0)
    line.arguments[parameter.name] = _value(parameter, value)


def _value(parameter: Parameter, value: Any) -> Any:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif parameter.kind == "text" and isinstance(value, int | float):
        # {month} may name a thing as well as "march" does.
        value = str(value)
    return parameter.parse(str(value)) if isinstance(value, str) else parameter.check(value)


def _next(rest: list[Any], option: str) -> Any:
    if not rest or (_is_option(rest[0]) and rest[0].startswith("--")):
        raise Invalid(f"{option} needs a value", code="E-LINE-005")
    return rest.pop(0)


def _is_option(word: Any) -> bool:
    return (
        isinstance(word, str)
        and not isinstance(word, Text)
        and word.startswith("-")
        and word != "-"
        and not _is_number(word)
    )


def _content(file: str) -> str:
    """The text of a file; of standard input for ``-``."""
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it isn't UTF-8 text"
        raise Invalid(f"--file {file} can't be read", reason, code="E-LINE-009") from None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
