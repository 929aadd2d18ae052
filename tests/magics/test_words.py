"""A line becomes words as in a shell, and expressions as in Python or not at all."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.magics.words import split
from jupyter_mlops.workspace import MLOpsError

FRAME = object()
NAMES: dict[str, Any] = {"x": 5, "name": "a b", "frame": FRAME, "flag": "--key", "d": {"k": "}"}}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("   ", []),
        ("data add flights", ["data", "add", "flights"]),
        ("a\tb  c", ["a", "b", "c"]),
        # quotes
        ("'a b' \"c d\"", ["a b", "c d"]),
        ("''", [""]),
        ("pre'mid dle'post", ["premid dlepost"]),
        (r"a\ b", ["a b"]),
        (r'"say \"hi\""', ['say "hi"']),
        (r"C:\data\x.csv", [r"C:\data\x.csv"]),
        # expressions
        ("{x}", [5]),
        ("{x + 1}", [6]),
        ("{frame}", [FRAME]),
        ("{name}", ["a b"]),
        ("run-{x}", ["run-5"]),
        ("{x}{x}", ["55"]),
        ("--key={x}", ["--key=5"]),
        ("{d['k']}", ["}"]),
        ("{ {'a': x}['a'] }", [5]),
        ("{[i for i in range(x)][1]}", [1]),
        ("{'a;b'}", ["a;b"]),
        ('"{x} of"', ["5 of"]),
        # what isn't expanded
        ("'{x}'", ["{x}"]),
        ("{{x}}", ["{x}"]),
        ("a{{b}}c", ["a{b}c"]),
        ("$x ${x} $5 10%", ["$x", "$5", "$5", "10%"]),
        ("s3://bucket/a;b?c=d#e", ["s3://bucket/a;b?c=d#e"]),
        ("'; x'", ["; x"]),
        ("~/data/*.csv", ["~/data/*.csv"]),
    ],
)
def test_words(line: str, words: list[Any]) -> None:
    assert split(line, NAMES) == words


def test_an_object_is_passed_as_it_is() -> None:
    assert split("profile {frame}", NAMES)[1] is FRAME


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("{fram}", "E-MAGIC-005", "nothing is called 'fram' in {fram}: did you mean 'frame'?"),
        ("{zzzz} {x}", "E-MAGIC-005", "define zzzz in a cell above"),
        ("{x} {zzzz}", "E-MAGIC-005", "'zzzz'"),
        ("{d['no']}", "E-MAGIC-006", "KeyError"),
        ("{1/0}", "E-MAGIC-006", "ZeroDivisionError: division by zero"),
        ("{x", "E-MAGIC-004", "is open"),
        ("{}", "E-MAGIC-004", "no Python expression"),
        ("{x y}", "E-MAGIC-004", "no Python expression"),
        ("{import os}", "E-MAGIC-004", "no Python expression"),
        ("a}", "E-MAGIC-002", "'}}'"),
        ("'open", "E-MAGIC-003", "never closed"),
        ('"open', "E-MAGIC-003", "never closed"),
        ("runs; print(1)", "E-MAGIC-001", "print(1)"),
        ("runs ; print(1)", "E-MAGIC-001", "print(1)"),
        ("runs;", "E-MAGIC-001", "';'"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(line: str, code: str, said: str) -> None:
    with pytest.raises(MLOpsError) as caught:
        split(line, NAMES)
    assert caught.value.code == code
    assert said in str(caught.value)


@given(st.lists(st.text(min_size=1), max_size=5))
def test_quoted_text_comes_out_as_it_went_in(texts: list[str]) -> None:
    plain = [text for text in texts if "'" not in text]
    assert split(" ".join(f"'{text}'" for text in plain), {}) == plain


@given(st.text())
def test_any_line_is_words_or_a_sentence(line: str) -> None:
    # Anything but a sentence of ours ends the test.
    with contextlib.suppress(MLOpsError):
        split(line, {})
