"""One view, three renderings: short text, harmless HTML, small JSON, whatever the content is."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Chart,
    Code,
    Column,
    Distribution,
    Explorer,
    Fact,
    Facts,
    Field,
    Finding,
    Findings,
    Form,
    Frame,
    Heat,
    HeatColumn,
    HeatRow,
    Notice,
    Preview,
    Progress,
    Series,
    Table,
    View,
)
from jupyter_mlops.views.cells import cell_text, magic_line, number_text, percent_text, spark_text
from jupyter_mlops.views.html import render_html
from jupyter_mlops.views.text import LINES, render_text

# What JupyterLab's sanitizer and GitHub keep of a page.
KEPT = set("div p strong span em small br table thead tbody tr th td pre code ul li img".split())  # noqa: SIM905
ATTRIBUTES = {"style", "src", "alt"}


class Page(HTMLParser):
    """Collects what isn't harmless, and the text that a person sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in KEPT:
            self.bad.append(tag)
        for name, value in attrs:
            data = name == "src" and str(value).startswith("data:image/png;base64,")
            if name not in ATTRIBUTES or (name == "src" and not data) or "url(" in str(value):
                self.bad.append(f"{name}={value}")

    def handle_data(self, data: str) -> None:
        self.text += data


words = st.text(max_size=300)
columns = st.sampled_from(["text", "number", "percent", "time", "ref", "bar", "spark", "badge"])


def cells(kind: str) -> st.SearchStrategy[Any]:
    """Values that a cell of that kind may have."""
    numbers = st.floats() | st.integers(-(10**12), 10**12)
    values: dict[str, st.SearchStrategy[Any]] = {
        "number": numbers,
        "percent": st.floats(0, 2),
        "bar": st.floats(0, 1),
        "spark": st.lists(st.floats(0, 1e6), max_size=20),
        "badge": st.fixed_dictionaries(
            {"text": words, "level": st.sampled_from(["info", "good", "warn", "bad"])}
        ),
    }
    return st.none() | values.get(kind, words)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    kinds = draw(st.lists(columns, min_size=1, max_size=6))
    rows = draw(st.integers(0, 30))
    heads = [
        Column(key=f"c{at}", label=draw(words), kind=kind)  # type: ignore[arg-type]
        for at, kind in enumerate(kinds)
    ]
    row = st.fixed_dictionaries({one.key: cells(one.kind) for one in heads})
    made = draw(row)
    return Table(
        title=draw(words),
        columns=heads,
        rows=[made] * rows,
        total=draw(st.none() | st.integers(rows, 10**6)),
    )


actions = st.builds(Action, label=words, verb=words, args=st.just({"x": 1}))
blocks: st.SearchStrategy[Block] = st.one_of(
    st.builds(Facts, items=st.lists(st.builds(Fact, label=words, value=words), max_size=8)),
    st.builds(Notice, text=words, fix=words),
    st.builds(Code, text=words),
    st.builds(Frame, title=words, path=words),
    st.builds(Chart, title=words, spec=st.just({}), alt=words),
    st.builds(
        Actions,
        items=st.lists(
            st.builds(Action, label=words, verb=words, args=st.just({"x": 1})), max_size=3
        ),
    ),
    st.integers(1, 5).flatmap(
        lambda n: st.builds(
            Preview,
            columns=st.lists(words, min_size=n, max_size=n),
            rows=st.lists(st.lists(words, min_size=n, max_size=n), max_size=20),
        )
    ),
    tables(),
    tables().map(
        lambda one: Explorer(
            columns=one.columns, rows=one.rows, total=one.total or len(one.rows), title=one.title
        )
    ),
    st.builds(
        Findings,
        title=words,
        items=st.lists(
            st.builds(Finding, level=st.just("bad"), subject=words, finding=words, evidence=words),
            max_size=8,
        ),
    ),
    st.integers(1, 30).flatmap(
        lambda n: st.builds(
            Distribution,
            labels=st.one_of(st.just([]), st.lists(words, min_size=n, max_size=n)),
            ends=st.one_of(st.just([]), st.tuples(words, words).map(list)),
            series=st.lists(
                st.builds(
                    Series, label=words, shares=st.lists(st.floats(0, 1), min_size=n, max_size=n)
                ),
                min_size=1,
                max_size=2,
            ),
        )
    ),
    st.integers(0, 8).flatmap(
        lambda n: st.builds(
            Heat,
            title=words,
            columns=st.lists(st.builds(HeatColumn, label=words), min_size=n, max_size=n),
            rows=st.lists(
                st.builds(
                    HeatRow,
                    label=words,
                    levels=st.lists(
                        st.none() | st.sampled_from(["info", "good", "warn", "bad"]),
                        min_size=n,
                        max_size=n,
                    ),
                    values=st.lists(st.none() | st.floats(), min_size=n, max_size=n),
                ),
                max_size=20,
            ),
            note=words,
        )
    ),
    st.builds(Progress, done=st.integers(0, 10**9), total=st.none() | st.integers(0, 10**9)),
    st.builds(Form, title=words, submit=words, verb=words, fields=st.just([])),
)
views = st.builds(
    View, kind=st.just("run"), title=words, subtitle=words, blocks=st.lists(blocks, max_size=7)
)


@given(views)
def test_any_view_has_three_renderings(view: View) -> None:
    text = render_text(view)
    assert len(text.split("\n")) <= LINES
    assert all(len(line) <= 200 for line in text.split("\n"))
    assert Page(render_html(view)).bad == []
    json.loads(view.model_dump_json(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    "attack",
    [
        "<script>window.__pwned = 1</script>",
        '"><img src=x onerror=window.__pwned=1>',
        "<svg/onload=alert(1)>",
        "javascript:alert(1)",
        "</td></table><iframe src=//evil>",
        "'+alert(1)+'",
    ],
)
def test_names_of_columns_classes_and_files_are_text(attack: str) -> None:
    column = Column(key="x", label=attack, kind="badge")
    badge = {"text": attack, "level": "bad"}
    view = View(
        kind="run",
        title=attack,
        subtitle=attack,
        blocks=[
            Facts(items=[Fact(label=attack, value=attack)]),
            Table(title=attack, columns=[column], rows=[{"x": badge}]),
            Table(title=attack, columns=[column], rows=[], empty=attack),
            Preview(columns=[attack], rows=[[attack]]),
            Chart(title=attack, spec={}, alt=attack, png="iVBOR"),
            Explorer(title=attack, columns=[column], rows=[{"x": badge}], total=1),
            Findings(items=[Finding(level="bad", subject=attack, finding=attack, evidence=attack)]),
            Distribution(title=attack, labels=[attack], series=[Series(label=attack, shares=[1])]),
            Distribution(ends=[attack, attack], series=[Series(label="", shares=[1, 2])]),
            Form(submit=attack, verb="run", fields=[Field(name="x", label=attack)]),
            Code(text=attack),
            Notice(text=attack, fix=attack),
            Actions(items=[Action(label=attack, verb="report", args={"ref": attack})]),
        ],
    )
    page = Page(render_html(view))
    assert page.bad == []
    assert page.text.count(attack) >= 14


def test_what_is_wrong_comes_before_what_is_long() -> None:
    rows = [{"x": n} for n in range(100)]
    table = Table(columns=[Column(key="x", label="X", kind="number")], rows=rows, total=4000)
    wrong = Notice(level="bad", text="The store is broken.", fix="Mend it.")
    lines = render_text(View(kind="run", title="T", blocks=[table, wrong])).split("\n")
    assert lines[1] == "✗ The store is broken. → Mend it."
    assert lines[-1] == f"… {4000 - (len(lines) - 4):,} more"


def test_short_columns_stay_whole_beside_long_ones() -> None:
    heads = [Column(key="a", label="A"), Column(key="b", label="B")]
    rows = [{"a": "short", "b": "x" * 300}]
    line = render_text(View(kind="run", title="T", blocks=[Table(columns=heads, rows=rows)]))
    assert "short  xxx" in line
    assert line.endswith("…")
    assert len(line.split("\n")[-1]) <= 110


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (0.000012345, "1.234e-05"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (12.0, "12"),
        (0.5, "0.5"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number_text(value) == text


def test_other_cells() -> None:
    assert [percent_text(one) for one in (0.0, 0.0004, 0.0245, 1.0)] == [
        "0 %",
        "<0.1 %",
        "2.5 %",
        "100 %",
    ]
    assert spark_text([0, 1, 2]) == "▁▅█"
    time = Column(key="t", label="T", kind="time")
    assert cell_text(time, "2013-01-31T23:59:59+00:00") == "2013-01-31 23:59"
    assert cell_text(time, None) == "–"
    assert magic_line(Action(label="Stop", verb="data-show", args={"name": "x"})) == (
        "%mlops data show x"
    )
