"""How the text behind ``%mlops`` becomes words: quotes as in a shell, ``{expr}`` as in Python.

IPython's own expansion is off: it leaves a whole line as it is when one name is missing,
and replaces ``$5`` wherever a variable happens to be called so. Here ``{expr}`` is
evaluated or the line fails, ``{{`` and ``}}`` are braces, and ``$`` is a dollar.
"""

from __future__ import annotations

import builtins
import warnings
from collections.abc import Mapping
from types import CodeType
from typing import Any

from jupyter_mlops.verbs.line import Text
from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = ["split"]


def split(line: str, namespace: Mapping[str, Any]) -> list[Any]:
    """Split a line into words.

    Parameters
    ----------
    line : str
        What stands behind ``%mlops``.
    namespace : mapping
        The names that expressions may use.

    Returns
    -------
    list
        Text, but for a word that is one ``{expr}`` and nothing else: that is the
        object itself.

    Raises
    ------
    Invalid
        A quote or brace isn't closed, an expression fails, or something follows a ``;``.

    Examples
    --------
    >>> split("data add flights 'my file.csv' --key {key}", {"key": "id"})
    ['data', 'add', 'flights', 'my file.csv', '--key', 'id']
    """
    reader = _Reader(line, namespace)
    words = []
    while reader.skip_space():
        words.append(reader.word())
    return words


class _Reader:
    def __init__(self, line: str, namespace: Mapping[str, Any]) -> None:
        self.line = line
        self.at = 0
        self.namespace = namespace

    def skip_space(self) -> bool:
        while self.at < len(self.line) and self.line[self.at].isspace():
            self.at += 1
        return self.at < len(self.line)

    def word(self) -> Any:
        start = self.at
        text = ""
        expanded_first = False
        while self.at < len(self.line) and not self.line[self.at].isspace():
            character = self.line[self.at]
            if character == "'":
                text += self._single()
            elif character == '"':
                text += self._double()
            elif character == "{" and not self._doubled("{"):
                first = self.at == start
                value = self._expression()
                if first and (self.at == len(self.line) or self.line[self.at].isspace()):
                    return Text(value) if isinstance(value, str) else value
                expanded_first = expanded_first or first
                text += str(value)
            elif character == ";" and self._ends_word():
                raise Invalid(
                    "a line after %mlops ends with it",
                    f"{self.line[self.at :].strip()[:40]!r} would be one more argument",
                    "put what follows on a line of its own, or the ';' in quotes",
                    code="E-MAGIC-001",
                )
            else:
                text += self._plain("\\ '\"")
        # What a variable holds is a value even if it begins with a dash.
        return Text(text) if expanded_first else text

    def _single(self) -> str:
        end = self.line.find("'", self.at + 1)
        if end < 0:
            raise self._unclosed("'")
        text = self.line[self.at + 1 : end]
        self.at = end + 1
        return text

    def _double(self) -> str:
        begin = self.at
        self.at += 1
        text = ""
        while self.at < len(self.line):
            character = self.line[self.at]
            if character == '"':
                self.at += 1
                return text
            if character == "{" and not self._doubled("{"):
                text += str(self._expression())
            else:
                text += self._plain('\\"')
        self.at = begin
        raise self._unclosed('"')

    def _plain(self, escapable: str) -> str:
        """One character, an escaped one, or a doubled brace."""
        character = self.line[self.at]
        following = self.line[self.at + 1 : self.at + 2]
        if character == "\\" and following and following in escapable:
            self.at += 2
            return following
        if character in "{}" and following == character:
            self.at += 2
            return character
        if character == "}":
            raise Invalid(
                "a '}' has no '{' before it",
                fix="write '}}' for a brace that is text",
                code="E-MAGIC-002",
            )
        self.at += 1
        return character

    def _doubled(self, brace: str) -> bool:
        return self.line.startswith(brace * 2, self.at)

    def _ends_word(self) -> bool:
        return self.at + 1 == len(self.line) or self.line[self.at + 1].isspace()

    def _unclosed(self, mark: str) -> Invalid:
        rest = self.line[self.at : self.at + 30]
        return Invalid(
            f"the {mark} in {rest!r} is never closed",
            fix=f"close it, or put it in {chr(34) if mark == chr(39) else chr(39)} quotes",
            code="E-MAGIC-003",
        )

    def _expression(self) -> Any:
        """Evaluate up to the first ``}`` that makes what stands before it an expression."""
        end = self.at
        while True:
            end = self.line.find("}", end + 1)
            if end < 0:
                raise self._no_expression()
            source = self.line[self.at + 1 : end].strip()
            code = _compiled(source)
            if code is not None:
                self.at = end + 1
                return _evaluate(source, code, self.namespace)

    def _no_expression(self) -> Invalid:
        rest = self.line[self.at : self.at + 40]
        closed = "}" in self.line[self.at :]
        return Invalid(
            f"{rest!r} is no Python expression" if closed else f"the '{{' in {rest!r} is open",
            fix="write {expression}, or '{{' and '}}' for braces that are text",
            code="E-MAGIC-004",
        )


def _compiled(source: str) -> CodeType | None:
    try:
        with warnings.catch_warnings():
            # Half of an expression may look odd to the compiler.
            warnings.simplefilter("ignore")
            return compile(source, "<%mlops>", "eval")
    except (SyntaxError, ValueError):
        return None


def _evaluate(source: str, code: CodeType, namespace: Mapping[str, Any]) -> Any:
    scope = namespace if isinstance(namespace, dict) else dict(namespace)
    try:
        return eval(code, scope)  # noqa: S307  a person's own expression in their own kernel
    except NameError as error:
        name = error.name or str(error)
        raise Invalid(
            f"nothing is called {name!r} in {{{source}}}",
            fix=closest(name, {*namespace, *vars(builtins)}) or f"define {name} in a cell above",
            code="E-MAGIC-005",
        ) from None
    except Exception as error:
        raise Invalid(
            f"{{{source}}} can't be evaluated",
            f"{type(error).__name__}: {error}".splitlines()[0][:200],
            code="E-MAGIC-006",
        ) from error
