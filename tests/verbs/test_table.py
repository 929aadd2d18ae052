"""A function's signature and docstring are its arguments, checks, schema and help."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from jupyter_mlops.verbs.table import Body, Data, Namespace, Verb, all_verbs, find
from jupyter_mlops.workspace import Invalid


def cook(
    ws: object,
    dish: str,
    source: Data,
    body: Body,
    namespace: Namespace,
    *,
    minutes: int = 5,
    salt: float | None = None,
    hot: bool = False,
    style: Literal["soft", "hard"] = "soft",
    spices: list[str] | None = None,
) -> tuple[Any, ...]:
    """Cook a dish.

    Slowly.

    Parameters
    ----------
    dish : str
        What to
        cook.
    minutes : int
        How long.

    Examples
    --------
    >>> %%mlops cook egg {pan}
    """
    return dish, source, body, namespace, minutes, salt, hot, style, spices


COOK = Verb("cook", cook, writes=True, isolated=False)
GIVEN: dict[str, Any] = {"dish": "egg", "source": "pan", "body": "boil"}


def test_usage_and_help_come_from_the_function() -> None:
    assert COOK.usage == (
        "cook DISH SOURCE [--minutes MINUTES] [--salt SALT] [--hot] [--style soft|hard] "
        "[--spices SPICES]"
    )
    assert (COOK.summary, COOK.description) == ("Cook a dish.", "Slowly.")
    assert COOK.parameters[0].help == "What to cook."
    assert COOK.examples == ">>> %%mlops cook egg {pan}"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("minutes", np.int64(3), 3),
        ("salt", 1, 1.0),
        ("salt", np.float32(0.5), 0.5),
        ("spices", "a, b", ["a", "b"]),
        ("spices", ("a",), ["a"]),
    ],
)
def test_values_that_fit(name: str, value: Any, expected: Any) -> None:
    found = COOK.bind({**GIVEN, name: value})[name]
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ({"dihs": "x"}, "E-VERB-001", "did you mean 'dish'?"),
        ({"dish": 3}, "E-VERB-003", "DISH can't be 3: it takes text"),
        ({"dish": object()}, "E-VERB-003", "DISH can't be of type object: it takes text"),
        ({"minutes": "3"}, "E-VERB-003", "a whole number"),
        ({"minutes": True}, "E-VERB-003", "a whole number"),
        ({"minutes": 1.5}, "E-VERB-003", "a whole number"),
        ({"style": "sofd"}, "E-VERB-003", "did you mean 'soft'?"),
        ({"hot": 1}, "E-VERB-003", "true or false"),
        ({"spices": {"a": 1}}, "E-VERB-003", "separated by commas"),
        ({"dish": None}, "E-VERB-003", "DISH"),
    ],
)
def test_values_that_do_not_fit(given: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        COOK.bind({**GIVEN, **given})
    assert caught.value.code == code
    assert said in str(caught.value)


def test_null_is_left_out() -> None:
    assert COOK.bind({**GIVEN, "minutes": None, "spices": None}) == COOK.bind(GIVEN)


def test_what_is_missing_is_named() -> None:
    for name, said in [("dish", "needs DISH"), ("body", "needs a cell body")]:
        with pytest.raises(Invalid, match=said):
            COOK.bind({key: value for key, value in GIVEN.items() if key != name})
    assert COOK.bind(GIVEN)["namespace"] == {}


def test_text_becomes_the_value_it_means() -> None:
    parameters = {one.name: one for one in COOK.parameters}
    assert parameters["minutes"].parse("3") == 3
    assert parameters["salt"].parse("1e-3") == 0.001
    assert parameters["hot"].parse("false") is False
    for name, text in [("minutes", "3.5"), ("salt", "much"), ("hot", "yes"), ("style", "raw")]:
        with pytest.raises(Invalid):
            parameters[name].parse(text)


def test_schemas_say_type_choices_and_default() -> None:
    schemas = {one.name: one.schema() for one in COOK.parameters}
    assert schemas["minutes"] == {"type": "integer", "description": "How long.", "default": 5}
    assert schemas["style"]["enum"] == ["soft", "hard"]
    assert schemas["spices"]["items"] == {"type": "string"}


def test_a_verb_is_found_by_name_and_by_slug() -> None:
    assert find("data add") is find("data-add") is all_verbs()["data add"]
    with pytest.raises(Invalid, match="did you mean 'data add'"):
        find("data ad")


@pytest.mark.parametrize("one", all_verbs().values(), ids=lambda one: one.slug)
def test_every_verb_is_documented(one: Verb) -> None:
    assert one.summary.endswith(".")
    assert len(one.summary) <= 110
    for parameter in one.arguments:
        assert parameter.help, f"{one.name} doesn't say what {parameter.label} means"
    assert "%mlops" in one.examples
    assert len(one.name.split()) <= 2


def test_a_list_of_names_holds_names() -> None:
    for wrong in ([None], [["a"]], [{}], [False]):
        with pytest.raises(Invalid, match="names separated by commas"):
            find("data sample").bind({"source": "x", "columns": wrong})
    assert find("data sample").bind({"source": "x", "columns": (1, "b")})["columns"] == ["1", "b"]
