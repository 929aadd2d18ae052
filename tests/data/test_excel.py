"""A sheet of a workbook is a table."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter

from jupyter_mlops.data import open_source
from jupyter_mlops.workspace.errors import Invalid, NotFound


def workbook(path: Path, **sheets: list[list[Any]]) -> str:
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd hh:mm"}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name.replace("_", " "))
            for place, row in enumerate(rows):
                sheet.write_row(place, 0, row)
    return str(path)


def test_a_sheet_is_read_with_its_types(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["n", "x", "text", "when", "mixed", "<b>'q'\n</b>"],
        [1, 0.5, "a", datetime(2013, 1, 1, 5), 7, True],
        [2, None, None, datetime(2013, 1, 2, 5), "seven", False],
    ]
    found = open_source(workbook(tmp_path / "x.xlsx", Only=rows)).scan().collect()
    assert found["n"].dtype == pl.Int64
    assert found["n"].to_list() == [1, 2]
    assert found["x"].to_list() == [0.5, None]
    assert found["text"].to_list() == ["a", None]
    assert found["when"].dt.date().to_list() == [date(2013, 1, 1), date(2013, 1, 2)]
    assert found["mixed"].to_list() == ["7", "seven"]
    assert found["<b>'q'\n</b>"].dtype == pl.Boolean


def test_one_of_several_sheets_is_named(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", Sheet_1=[["a"], [1]], Sheet_2=[["b"], [2]], Empty=[])
    with pytest.raises(Invalid) as caught:
        open_source(path).scan()
    assert "x.xlsx has 2 sheets: they are Sheet 1, Sheet 2; name one as" in str(caught.value)
    assert open_source(f"{path}#Sheet 2").scan().collect().to_dicts() == [{"b": 2}]
    assert open_source(f"file://{path}#Sheet%202").schema() == {"b": pl.Int64}
    with pytest.raises(NotFound, match=r"has no sheet 'Sheet 3': .*did you mean 'Sheet \d'"):
        open_source(f"{path}#Sheet 3").scan()
    with pytest.raises(Invalid, match=r"sheet 'Empty' of x\.xlsx is empty"):
        open_source(f"{path}#Empty").scan()
    lone = workbook(tmp_path / "y.xlsx", Empty=[], Full=[["a"], [1]])
    assert open_source(lone).scan().collect().to_dicts() == [{"a": 1}]


def test_bad_workbooks_are_one_sentence(tmp_path: Path) -> None:
    twice = workbook(tmp_path / "twice.xlsx", One=[["a", "b", "a"], [1, 2, 3]])
    with pytest.raises(Invalid, match="two columns of sheet 'One' are called 'a': columns 1 and 3"):
        open_source(twice).scan()
    (tmp_path / "broken.xlsx").write_bytes(b"PK")
    with pytest.raises(Invalid, match=r"broken\.xlsx can't be read as a workbook"):
        open_source(str(tmp_path / "broken.xlsx")).scan()
    with pytest.raises(Invalid, match=re.escape("means 2 workbooks: broken.xlsx, twice.xlsx")):
        open_source(str(tmp_path / "*.xlsx"))
    (tmp_path / "x.csv").write_text("a\n1\n")
    with pytest.raises(Invalid, match="'#Sheet 1' means nothing for such files"):
        open_source(f"{tmp_path}/x.csv#Sheet 1")
