"""Statements a person writes: one SELECT, or one condition, and nothing behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from jupyter_mlops.workspace.errors import Invalid

__all__ = ["check_condition", "check_query", "is_query", "short"]

_READS: Final = {"select", "with", "values", "table", "from"}
_STATEMENTS: Final = {
    *_READS,
    *("insert", "update", "delete", "merge", "replace", "drop", "create", "alter", "truncate"),
    *("copy", "call", "do", "execute", "grant", "revoke", "set", "begin", "commit", "vacuum"),
    *("pragma", "attach", "load", "install", "explain", "show", "describe", "lock", "rename"),
}
# Texts, quoted names, comments, and PostgreSQL's $tag$ texts hide what looks like syntax.  An
# opened one without an end is a token too, so that it can be refused.
_TOKENS: Final = re.compile(
    r"""
      (?P<text>    (?<!\w)[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' )
    | (?P<name>    "(?:[^"]|"")*" | `(?:[^`]|``)*` )
    | (?P<dollar>  (?<![\w$])\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$ )
    | (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<open>    ['"`] | /\* )
    | (?P<mark>    [();] )
    """,
    re.VERBOSE | re.DOTALL,
)
# MySQL's comments that are run, /*! … */, count as opened and never closed.
_BACKSLASHES: Final = re.compile(
    r"""
      (?P<text>  '(?:[^'\\]|\\.|'')*' )
    | (?P<name>  "(?:[^"\\]|\\.|"")*" | `(?:[^`]|``)*` )
    | (?P<comment> --(?=\s|\Z)[^\n]* | \#[^\n]* | /\*(?!!|M!).*?\*/ )
    | (?P<open>  ['"`] | /\* )
    | (?P<mark>  [();] )
    """,
    re.VERBOSE | re.DOTALL,
)


def is_query(text: str) -> bool:
    """Whether a text is meant as a statement and not as the name of a table.

    Examples
    --------
    >>> is_query("SELECT 1"), is_query("public.orders"), is_query("DROP TABLE x")
    (True, False, True)
    """
    word = re.match(r"[\s(]*(\w+)(?=[\s(*'\"])", _without_comments(text))
    return word is not None and word[1].lower() in _STATEMENTS


def check_query(query: str, *, backslashes: bool = False) -> str:
    """The one SELECT in a text, without the semicolon at its end.

    Parameters
    ----------
    query : str
    backslashes : bool
        Whether a backslash escapes in texts, as in MySQL.

    Raises
    ------
    Invalid
        It changes something, or there are several statements.
    """
    word = re.match(r"[\s(]*(\w+)", _without_comments(query))
    if word is None or word[1].lower() not in _READS:
        said = word[1].upper() if word else "nothing"
        raise not_a_select(f"it begins with {said}" if word else "it is empty")
    ends = [place for mark, place in _marks(query, backslashes, "query") if mark == ";"]
    if not ends:
        return query
    if _without_comments(query[ends[0] :]).strip("; \t\r\n"):
        raise Invalid(
            "the query holds more than one statement",
            f"there is something behind the semicolon: {short(query[ends[0] + 1 :])}",
            "write one SELECT",
            code="E-DATA-204",
        )
    return query[: ends[0]]


def check_condition(condition: str, *, backslashes: bool = False) -> str:
    """The condition, once it is known to stay in the parentheses it will be put in.

    Raises
    ------
    Invalid
        It is empty, or it would end the statement or the parentheses around it.
    """
    if not _without_comments(condition).strip():
        raise Invalid(
            "the condition of --where is empty", fix="write one, or leave it out", code="E-DATA-205"
        )
    depth = 0
    for mark, _ in _marks(condition, backslashes, "condition"):
        depth += {"(": 1, ")": -1}.get(mark, 0)
        if mark == ";" or depth < 0:
            depth = -1
            break
    if depth:
        raise Invalid(
            f"{short(condition)!r} is more or less than one condition",
            "it holds a semicolon, or its parentheses don't match",
            'write it in SQL over the table\'s columns, for example "delay > 15"',
            code="E-DATA-206",
        )
    return condition


def not_a_select(why: str) -> Invalid:
    """The error of a query that isn't only reading."""
    return Invalid(
        "a source's query must be one SELECT that changes nothing",
        why,
        "write a SELECT, or change the database with its own tools",
        code="E-DATA-203",
    )


def short(text: str) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"


def _marks(text: str, backslashes: bool, kind: str) -> Iterator[tuple[str, int]]:
    """The semicolons and parentheses that are syntax."""
    for token in (_BACKSLASHES if backslashes else _TOKENS).finditer(text):
        if token["open"]:
            raise Invalid(
                f"the {kind} has no end to the {token['open']} in {short(text[token.start() :])}",
                fix="close it",
                code="E-DATA-207",
            )
        if token["mark"]:
            yield token["mark"], token.start()


def _without_comments(text: str) -> str:
    return re.sub(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)+", "", text, flags=re.DOTALL)
