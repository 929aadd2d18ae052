"""A profile in a cell: small and harmless whatever the data, readable, and open to detail."""

from __future__ import annotations

import base64
import copy
import dataclasses
import io
import json
import re
from typing import Any

import nbformat
import numpy as np
import polars as pl
import pytest
from PIL import Image

from jupyter_mlops import data, profiling
from jupyter_mlops.profiling.associations import Association
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import heat, mimebundle
from jupyter_mlops.views.text import LINES
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.errors import Invalid, NotFound

from .test_renderings import Page

LIMIT = 200_000


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("views"))


def saved_size(result: Any) -> int:
    """What a result takes in a notebook file, all renderings together."""
    output = nbformat.v4.new_output("execute_result", data=mimebundle(result), execution_count=1)
    cell = nbformat.v4.new_code_cell("x", outputs=[output], execution_count=1)
    document = nbformat.v4.new_notebook(cells=[cell])
    return len(nbformat.writes(document).encode())


def view_of(result: Any) -> dict[str, Any]:
    """The JSON that the front end draws."""
    bundle = mimebundle(result)
    view: dict[str, Any] = next(bundle[mime] for mime in bundle if mime.endswith("+json"))
    return view


def block(view: dict[str, Any], kind: str) -> dict[str, Any]:
    """The first block of a kind."""
    found: dict[str, Any] = next(one for one in view["blocks"] if one["type"] == kind)
    return found


def wide(columns: int, rows: int = 300) -> pl.LazyFrame:
    """A table of many columns, the last of them bad in several ways."""
    numbers = np.random.default_rng(0).normal(size=(rows, columns))
    frame = pl.DataFrame({f"measurement_{at:05}": numbers[:, at] for at in range(columns - 3)})
    return frame.with_columns(
        constant=pl.lit("always"),
        holes=pl.when(pl.int_range(rows) % 3 > 0).then(None).otherwise(pl.int_range(rows)),
        y=pl.Series((numbers[:, 0] > 0).astype(int)),
    ).lazy()


@pytest.fixture(scope="module")
def broad(ws: Workspace) -> profiling.Profile:
    """A profile of 400 columns, kept in the workspace."""
    made: profiling.Profile = find("profile")(ws, source=wide(400, 60).collect())
    return made


HOSTILE = {
    "<script>alert('x')</script>" * 40: ["a", "b"] * 200,
    "\"quotes\"\n'and' breaks\r\n\u2028" * 30: ["x\ny", None] * 200,
    "постоянный 🙂" * 50: ['"' * 500, "<&>" * 300] * 200,
    "`code` {braces} $math$ %percent": ["\x00\x07", "\\"] * 200,
    "huge": ["z" * 3_000_000, "q"] + ["z"] * 398,
    "": [1.5, float("nan")] * 200,
}


def test_ten_thousand_columns_fit_into_a_cell(broad: profiling.Profile) -> None:
    broad = copy.copy(broad)
    plain = [one for name, one in broad.columns.items() if name.startswith("measurement")]
    names = {f"measurement_{at:05}": plain[at % len(plain)] for at in range(9_997)}
    columns = {name: dataclasses.replace(one, name=name) for name, one in names.items()}
    broad.columns = columns | {name: broad.columns[name] for name in ("constant", "holes", "y")}
    assert saved_size(broad) < LIMIT
    text = mimebundle(broad)["text/plain"]
    assert len(text.splitlines()) <= LINES
    assert "10,000 columns" in text
    shown = block(view_of(broad), "explorer")
    assert shown["total"] == 10_000
    # What is wrong comes before what is merely there.
    assert {"constant", "holes"} <= {row["name"] for row in shown["rows"][:5]}
    assert shown["names"].startswith("measurement_00000\nmeasurement_00001\n")
    assert shown["pages"]["verb"] == "profile-columns"
    assert shown["pages"]["args"] == {"ref": f"profile:{broad.id}", "sort": "interest"}


def test_hostile_names_and_huge_values_stay_small_and_harmless(ws: Workspace) -> None:
    frame = pl.DataFrame({f"{name}{at}": HOSTILE[name] for at in range(14) for name in HOSTILE})
    made = find("profile")(ws, source=frame)
    assert saved_size(made) < LIMIT
    assert Page(mimebundle(made)["text/html"]).bad == []
    assert len(mimebundle(made)["text/plain"].splitlines()) <= LINES
    assert saved_size(find("profile")(ws, source=frame, against=frame.head(300))) < LIMIT


def test_every_column_is_reached_by_page_search_and_order(
    ws: Workspace, broad: profiling.Profile
) -> None:
    ref = f"profile:{broad.id}"
    page = find("profile columns")(ws, ref=ref, search="MEASUREMENT T_0012", page=2, size=4)
    assert page.total == 10
    assert page.names == [f"measurement_0012{at}" for at in range(4, 8)]
    worst = find("profile columns")(ws, ref=ref, sort="missing", descending=True, size=1)
    assert worst.names == ["holes"]
    by_finding = find("profile columns")(ws, ref=ref, search="constant")
    assert by_finding.names == ["constant"]
    shown = block(view_of(page), "explorer")
    assert [row["name"] for row in shown["rows"]] == page.names
    with pytest.raises(Invalid, match="page 0"):
        find("profile columns")(ws, ref=ref, page=0)


def test_a_column_opens_by_name_and_by_place(ws: Workspace, broad: profiling.Profile) -> None:
    ref = f"profile:{broad.id}"
    by_name = view_of(find("profile column")(ws, ref=ref, name="holes"))
    place = list(broad.columns).index("holes")
    assert by_name == view_of(find("profile column")(ws, ref=ref, position=place))
    facts = {one["label"]: one for one in block(by_name, "facts")["items"]}
    assert (facts["Missing"]["value"], facts["Missing"]["hint"]) == ("66.7 %", "40 rows")
    assert (facts["Min"]["value"], facts["Max"]["value"]) == ("0", "57")
    found = block(by_name, "findings")["items"]
    assert found[0]["finding"] == "missing"
    assert found[0]["code"]
    with pytest.raises(NotFound, match="holes"):
        find("profile column")(ws, ref=ref, name="hole")


def test_a_small_table_holds_every_column_opened(ws: Workspace) -> None:
    draw = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"x": draw.normal(5, 1, 4000), "k": draw.choice(["a", "b"], 4000, p=[0.9, 0.1])}
    )
    shown = block(view_of(find("profile")(ws, source=frame)), "explorer")
    assert (shown["total"], shown["names"]) == (len(shown["rows"]), "")
    x, k = (shown["details"][row["key"]] for row in shown["rows"])
    (drawn,) = (one for one in k if one["type"] == "distribution")
    assert drawn["labels"] == ["a", "b"]
    assert drawn["series"][0]["shares"] == pytest.approx([0.9, 0.1], abs=0.02)
    (drawn,) = (one for one in x if one["type"] == "distribution")
    assert [end.split()[0] for end in drawn["ends"]] == ["≤", "≥"]
    quantiles = {one["label"]: float(one["value"]) for one in x[2]["items"]}
    assert quantiles["95 %"] == pytest.approx(6.64, abs=0.1)


def test_two_tables_are_drawn_over_each_other_the_most_different_first(ws: Workspace) -> None:
    draw = np.random.default_rng(0)
    here = pl.DataFrame({"same": draw.normal(size=3000), "moved": draw.normal(4, 1, 3000)})
    there = pl.DataFrame({"same": draw.normal(size=3000), "moved": draw.normal(0, 1, 3000)})
    data.add(ws, "here", here)
    data.add(ws, "there", there)
    view = view_of(find("profile")(ws, source="here", against="there"))
    shown = block(view, "explorer")
    assert [row["name"] for row in shown["rows"]] == ["moved", "same"]
    spread = shown["rows"][0]["spread"]
    mine, theirs = (np.array(spread[side]) for side in ("values", "against"))
    assert sum(mine) == pytest.approx(100, abs=1)
    assert np.minimum(mine, theirs).sum() < 10
    assert np.argmax(mine) > np.argmax(theirs)
    series = next(
        one for one in shown["details"][shown["rows"][0]["key"]] if one["type"] == "distribution"
    )["series"]
    assert [one["label"] for one in series] == ["here@1", "there@1"]
    html = mimebundle(find("profile")(ws, source="here", against="there"))["text/html"]
    assert html.count("<img") == 2
    again = find("profile columns")(
        ws, ref=shown["detail"]["args"]["ref"], against=shown["detail"]["args"]["against"],
        sort="distance",
    )  # fmt: skip
    assert again.names == ["same", "moved"]


def test_the_saved_text_and_pictures_name_their_ends(ws: Workspace) -> None:
    frame = pl.DataFrame({"hour": list(range(24)) * 50, "month": ["jan", "feb"] * 600})
    bundle = mimebundle(find("profile")(ws, source=frame))
    row = next(line for line in bundle["text/plain"].splitlines() if line.startswith("hour"))
    assert "0 ▇" in row.replace("█", "▇")
    assert "23" in row
    assert "0 … 23" in bundle["text/html"]
    assert json.loads(json.dumps(bundle)) == bundle


def test_a_datasets_name_means_its_newest_profile(ws: Workspace) -> None:
    first = pl.DataFrame({"x": range(50), "y": [0, 1] * 25})
    data.add(ws, "named", first)
    show = find("profile show")
    with pytest.raises(NotFound, match=r"named has no profile yet.*mlops profile named"):
        show(ws, ref="named")
    made = find("profile")(ws, source="named")
    aimed = find("profile")(ws, source="named", target="y")
    assert show(ws, ref="named").id == aimed.id
    assert show(ws, ref="data:named@1").target == "y"
    data.add(ws, "named", first.head(40))
    assert show(ws, ref="named").data_ref == "data:named@1"
    newest = find("profile")(ws, source="named")
    for name in ("named", "named@2", "data:named", f"profile:{newest.id}"):
        assert show(ws, ref=name).id == newest.id
    assert show(ws, ref="named@1").id == aimed.id
    assert find("profile columns")(ws, ref="named", size=1).total == 2
    assert find("profile column")(ws, ref="named", name="x").profile.rows == 40
    # The same rows under another name have the same profile.
    data.add(ws, "other", first)
    assert (show(ws, ref="other").id, show(ws, ref="other").label) == (aimed.id, "data:other@1")
    assert show(ws, ref=made.id).target is None
    with pytest.raises(NotFound, match=r"there is no profile 'name'.*did you mean 'named'"):
        show(ws, ref="name")


def test_columns_that_go_together_are_a_picture_with_its_words() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=1000)
    noise = rng.normal(size=(30, 1000)) * 0.4
    frame = pl.DataFrame({f"c{at} <b>\n": x + noise[at] for at in range(28)})
    frame = frame.with_columns(**{"größe": -x + noise[28] / 9, "\u65e5\u672c": x + noise[29]})
    result = profiling.profile(frame.lazy())
    chart = block(view_of(result), "chart")
    assert re.fullmatch(r"190 pairs of 20 columns .* with .* −?0\.\d\d", chart["alt"])
    drawn = Image.open(io.BytesIO(base64.b64decode(chart["png"]))).convert("RGBA")
    dots = np.asarray(drawn).reshape(-1, 4).astype(int)
    seen = [
        int(((np.abs(dots[:, :3] - hue) < 12).all(axis=1) & (dots[:, 3] > 250)).sum())
        for hue in ((47, 128, 196), (213, 94, 0))
    ]
    # Blue, orange, and a ground that is the page's own, dark or light.
    assert min(seen) > 1000
    assert (dots[:, 3] == 0).mean() > 0.4
    html = mimebundle(result)["text/html"]
    assert Page(html).bad == []
    assert f'src="data:image/png;base64,{chart["png"]}" alt="190 pairs of 20 columns' in html
    assert len(chart["png"]) < 8_000
    assert saved_size(result) < LIMIT
    # Two columns are one pair: a line says it.
    few = profiling.profile(frame.select(a=pl.nth(0), b=pl.nth(1)).lazy())
    assert "chart" not in {one["type"] for one in view_of(few)["blocks"]}


def test_a_name_without_signs_in_the_font_is_the_place_of_its_column() -> None:
    pairs = [Association("a", "\u65e5\u672c", "pearson", 0.9, 0.1, 99),
             Association("größe", "a", "pearson", -0.8, 0.1, 99)]  # fmt: skip
    order = ["a", "größe", "\u65e5\u672c"]
    assert [heat._drawable(name, order) for name in order] == ["a", "größe", "column 3"]
    chart = heat.heat_chart(pairs, order)
    assert chart is not None
    assert '["a", "\\u65e5\\u672c", "gr\\u00f6\\u00dfe"]' in chart.spec["transform"][0]["calculate"]
    assert chart.spec["data"]["values"] == "row,column,value\n1,0,0.9\n2,0,-0.8\n2,1,0"
