"""Workbooks of Excel and LibreOffice: one sheet is one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from jupyter_mlops.data.sources.files.faults import check_names
from jupyter_mlops.data.sources.opening import LazySource
from jupyter_mlops.data.sources.scratch import parsed, write
from jupyter_mlops.workspace.errors import Invalid, NotFound, closest

__all__ = ["ExcelFile"]


class ExcelFile(LazySource):
    """A sheet of a workbook (.xlsx, .xlsm, .xlsb, .xls, .ods); its first row names the columns.

    Parameters
    ----------
    uri : str
    path : Path
    sheet : str, optional
        Needed when more than one visible sheet holds cells.

    Raises
    ------
    Invalid
        It is no workbook, holds several sheets and none is named, or has no rows.
    NotFound
        It has no such sheet; names the closest.
    """

    def __init__(self, uri: str, path: Path, sheet: str | None = None) -> None:
        self.uri = uri
        self.paths = [path]
        self.sheet = sheet

    def scan(self) -> pl.LazyFrame:
        """The rows of the sheet."""
        path = self.paths[0]
        mark = (str(path), path.stat().st_mtime_ns, path.stat().st_size, self.sheet)
        return parsed(mark, self._parse)

    def _parse(self, target: Path) -> None:
        frame = self._frame(self.paths[0])
        write(lambda: frame.lazy(), target, self.uri, lambda error: self._damaged(error))

    def _frame(self, path: Path) -> pl.DataFrame:
        import fastexcel

        try:
            book = fastexcel.read_excel(str(path))
            sheet = self._chosen(book)
            # Names are looked at as they are: the reader would rename a second one in silence.
            names = book.load_sheet(sheet, header_row=None, n_rows=1, dtypes="string").to_polars()
            if not names.width:
                raise Invalid(
                    f"sheet {sheet!r} of {path.name} is empty",
                    fix="name another one",
                    code="E-FILE-003",
                )
            check_names([n for n in names.row(0) if n is not None], f"sheet {sheet!r}")
            frame: pl.DataFrame = book.load_sheet(sheet, schema_sample_rows=None).to_polars()
        except fastexcel.FastExcelError as error:
            raise self._damaged(error) from None
        return _with_integers(frame)

    def _damaged(self, error: Exception) -> Invalid:
        return Invalid(
            f"{self.paths[0].name} can't be read as a workbook",
            (str(error).strip().splitlines() or [type(error).__name__])[0],
            "open and save it in Excel or LibreOffice, without a password",
            code="E-FILE-004",
        )

    def _chosen(self, book: Any) -> str:
        names: list[str] = book.sheet_names
        path = self.paths[0]
        if self.sheet is not None:
            if self.sheet not in names:
                raise NotFound(
                    f"{path.name} has no sheet {self.sheet!r}",
                    f"its sheets are {', '.join(names[:12])}",
                    closest(self.sheet, names),
                    code="E-FILE-005",
                )
            return self.sheet
        if len(names) == 1:
            return names[0]
        full = []
        for name in names:
            sheet = book.load_sheet(name, header_row=None, dtypes="string")
            if sheet.total_height and sheet.visible == "visible":
                full.append(name)
        if len(full) == 1:
            return full[0]
        if not full:
            raise Invalid(
                f"no sheet of {path.name} holds cells",
                f"its sheets are {', '.join(names[:12])}",
                "check the workbook",
                code="E-FILE-003",
            )
        raise Invalid(
            f"{path.name} has {len(full)} sheets",
            f"they are {', '.join(full[:12])}",
            f"name one as '{self.uri}#{full[0]}'",
            code="E-FILE-006",
        )


def _with_integers(frame: pl.DataFrame) -> pl.DataFrame:
    """Tell whole numbers from others: in a cell both are floats."""
    floats = [frame[name] for name, dtype in frame.schema.items() if dtype.is_float()]
    known = [values for values in floats if values.count() and values.is_finite().all()]
    whole = [v.name for v in known if (v == v.floor()).all() and (v.abs() < 2**53).all()]
    return frame.with_columns(pl.col(whole).cast(pl.Int64))
