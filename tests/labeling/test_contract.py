"""Rows that break a contract are not put before people."""

from __future__ import annotations

import polars as pl
import pytest

from jupyter_mlops.data import add
from jupyter_mlops.profiling import contracts
from jupyter_mlops.verbs.table import find
from jupyter_mlops.workspace import Invalid, Workspace


def test_rows_that_break_the_contract_make_no_task(ws: Workspace) -> None:
    remarks = pl.DataFrame(
        {"remark": [f"remark {n}" for n in range(300)], "late": [True, False, False] * 100}
    )
    learnt = contracts.learn(ws, add(ws, "remarks", remarks), target="late")
    contracts.save(ws, learnt, "remarks")
    label = {"kind": "text", "column": "remark", "classes": ["a", "b"], "contract": "remarks"}
    fresh = remarks.drop("late").with_columns(pl.lit("no").alias("remark"))
    with pytest.raises(Invalid, match="breaks contract:remarks@1: column 'remark'"):
        find("label")(ws, task="t", data=fresh, **label)
    assert not find("label status")(ws).tasks
    # Without the label, as rows that wait for one are.
    find("label")(ws, task="t", data=remarks.drop("late").head(20), **label)
    assert [one.name for one in find("label status")(ws).tasks] == ["t"]
    with pytest.raises(Invalid, match="needs the rows to check"):
        find("label")(ws, task="t", contract="remarks")
