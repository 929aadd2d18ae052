"""What each kind of SQL database needs to be read: an address, statements, and a reading."""

from __future__ import annotations

from jupyter_mlops.data.sources.sql.address import Address
from jupyter_mlops.data.sources.sql.reading import Column, Fault, Mismatch, Reading, TableName
from jupyter_mlops.data.sources.sql.statements import check_condition, check_query, is_query

__all__ = [
    "Address",
    "Column",
    "Fault",
    "Mismatch",
    "Reading",
    "TableName",
    "check_condition",
    "check_query",
    "is_query",
]
