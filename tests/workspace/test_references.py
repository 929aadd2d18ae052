"""References: written by people, read by every room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.workspace import Invalid, Reference, check_name
from jupyter_mlops.workspace.references import KINDS, NAME

NAMES = st.from_regex(NAME, fullmatch=True)


@given(st.sampled_from(KINDS), NAMES, st.none() | NAMES)
def test_what_is_written_is_what_was_read(kind: str, name: str, version: str | None) -> None:
    reference = Reference(kind, name, version)
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(f"  {reference} ") == reference
    bare = name if version is None else f"{name}@{version}"
    assert Reference.parse(bare, kind=kind) == reference


@given(st.text(max_size=200))
def test_any_text_is_a_reference_or_one_sentence(text: str) -> None:
    try:
        found = Reference.parse(text, kind="data")
    except Invalid as error:
        assert error.code.startswith("E-REF-")
        assert "\n" not in str(error)
    else:
        assert Reference.parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("flights", None, "E-REF-002"),
        ("dta:flights", None, "did you mean 'data'.*E-REF-003"),
        ("model:delay", "data", "E-REF-004"),
        ("data:", None, "E-REF-001"),
        ("data:a b", None, "E-REF-001"),
        ("data:flights@", None, "E-REF-001"),
        ("data:flights@1@2", None, "E-REF-001"),
        ("data:../../etc/passwd", None, "E-REF-001"),
        ("data:a\nb", None, "E-REF-001"),
    ],
)
def test_what_is_none_says_why(text: str, kind: str | None, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        Reference.parse(text, kind=kind)


def test_digits_are_a_version_and_the_rest_is_an_alias() -> None:
    assert Reference.parse("model:delay@7").number == 7
    assert Reference.parse("model:delay@champion").number is None
    assert Reference.parse("model:delay").number is None


def test_names_fit_a_file_and_a_url() -> None:
    assert check_name("delay-2013_v1.0", "model") == "delay-2013_v1.0"
    for wrong in ("", ".hidden", "-flag", "a/b", "ä", "a" * 129, "a\n"):
        with pytest.raises(Invalid, match="can't name a model"):
            check_name(wrong, "model")
