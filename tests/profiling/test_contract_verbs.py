"""Contracts in a workspace: learnt, saved, edited, compared, checked, from every face."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from jupyter_mlops import profiling
from jupyter_mlops.data import add
from jupyter_mlops.profiling import contracts
from jupyter_mlops.profiling.contracts import CheckResult, Contract, keeping
from jupyter_mlops.verbs.line import parse
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.errors import Invalid, MLOpsError, NotFound


def table(rows: int = 400, seed: int = 0) -> pl.DataFrame:
    return pl.select(
        pl.int_range(rows).shuffle(seed).mod(40).cast(pl.Float64).alias("income"),
        pl.int_range(rows).mod(3).replace_strict({0: "a", 1: "b", 2: "c"}).alias("segment"),
        (pl.int_range(rows).mod(5) == 0).alias("late"),
    )


def run(ws: Workspace, line: list[Any], body: str | None = None) -> Any:
    return parse(line).call(ws, body)


@pytest.fixture
def loans(ws: Workspace) -> Contract:
    add(ws, "loans", table())
    made: Contract = run(ws, ["contract", "loans", "--target", "late", "--save", "loans"])
    return made


def test_a_saved_contract_is_read_back_and_the_same_content_is_the_same_version(
    ws: Workspace, loans: Contract
) -> None:
    assert loans.ref == "contract:loans@1"
    again = run(ws, ["contract", "loans", "--target", "late", "--save", "loans"])
    assert again.ref == "contract:loans@1"
    found = run(ws, ["contract", "show", "loans@1"])
    assert found.digest == loans.digest
    assert found.content() == loans.content()
    (event,) = ws.events(kind="contract.saved")
    assert event.inputs == ("data:loans@1",)
    assert event.outputs == ("contract:loans@1",)


def test_an_edit_is_a_new_version_tried_on_the_data_it_came_from(
    ws: Workspace, loans: Contract
) -> None:
    edit = ["contract", "edit", "loans", "income", "--min", "0", "--max", "30"]
    edited = run(ws, [*edit, "--max-outside", "0.01"])
    assert edited.ref == "contract:loans@2"
    assert edited.columns["income"].bounds.source == f"edited by {ws.user}"
    assert "90 of 400 values lie outside" in edited.notes[0]
    assert contracts.get(ws, "loans@1").digest == loans.digest
    assert run(ws, [*edit, "--max-outside", "0.01"]).ref == "contract:loans@2"
    events = ws.events(kind="contract.saved")
    assert events[-1].inputs == ("data:loans@1", "contract:loans@1")
    kept = run(ws, ["contract", "edit", "loans", "income", "--max", "100"])
    assert kept.notes == ["data:loans@1, which it was learnt from, keeps it."]


@pytest.mark.parametrize(
    "body",
    [
        "columns:\n  income: {null: {max_fraction: 0.5}}\n  segment: {domain: null}\n",
        '{"columns": {"income": {"null": {"max_fraction": 0.5}}, "segment": {"domain": null}}}',
    ],
)
def test_the_text_in_a_cell_edits_too(ws: Workspace, loans: Contract, body: str) -> None:
    edited = run(ws, ["contract", "edit", "loans"], body)
    assert edited.columns["income"].null.max_fraction == 0.5
    assert edited.columns["income"].null.source == f"edited by {ws.user}"
    assert edited.columns["segment"].domain is None
    # The whole text that is shown, changed nowhere, changes nothing.
    same = run(ws, ["contract", "edit", "loans"], edited.text())
    assert same.ref == edited.ref


def test_a_check_says_what_is_broken_with_a_line_that_mends_it(
    ws: Workspace, loans: Contract
) -> None:
    strange = table().with_columns(pl.lit("z").alias("segment"))
    result: CheckResult = run(ws, ["contract", "loans", "--check", strange])
    assert not result.ok
    (one,) = result.violations
    assert (one.column, one.rule, one.rows, one.examples[0]) == ("segment", "domain", 400, (0, "z"))
    assert one.edit == "%mlops contract edit loans segment --allow z"
    run(ws, shlex.split(one.edit)[1:])
    assert run(ws, ["contract", "loans", "--check", strange]).ok
    assert not run(ws, ["contract", "loans@1", "--check", strange]).ok
    with pytest.raises(Invalid, match=r"breaks contract:loans@1: column 'segment': 400 of 400"):
        run(ws, ["contract", "contract:loans@1", "--check", strange, "--strict"])


def test_every_proposed_edit_is_a_line_that_runs(ws: Workspace, loans: Contract) -> None:
    spoilt = table().with_columns(
        pl.lit(None, pl.Float64).alias("income"), pl.lit("much longer").alias("segment")
    )
    for frame in (spoilt.drop("late"), table().with_columns(pl.lit("x").alias("income"))):
        found = run(ws, ["contract", "loans", "--check", frame]).violations
        assert found
        for one in found:
            run(ws, shlex.split(one.edit)[1:])
        assert not run(ws, ["contract", "loans", "--check", frame]).violations


def test_data_without_a_contract_is_a_contract_for_other_data(ws: Workspace) -> None:
    result = run(ws, ["contract", table(), "--target", "late", "--check", table(seed=1)])
    assert result.ok
    requests = table().drop("late")
    line = ["contract", table(), "--target", "late", "--check", requests]
    assert not run(ws, line).ok
    assert run(ws, [*line, "--environment", "serving"]).ok


def test_a_name_means_the_data_to_learn_from_and_the_contract_to_check_by(
    ws: Workspace, loans: Contract
) -> None:
    run(ws, ["contract", "edit", "loans", "segment", "--forbid", "c"])
    assert run(ws, ["contract", "loans"]).ref is None
    assert run(ws, ["contract", "contract:loans@1"]).ref == "contract:loans@1"
    checked = run(ws, ["contract", "loans", "--check", "loans"])
    assert (checked.contract.ref, checked.data_ref) == ("contract:loans@2", "data:loans@1")
    contracts.save(ws, loans, "alone")
    assert run(ws, ["contract", "alone"]).ref == "contract:alone@1"


def test_contracts_are_listed_compared_and_carried_to_another_name(
    ws: Workspace, loans: Contract, tmp_path: Path
) -> None:
    run(ws, ["contract", "edit", "loans", "income", "--max-missing", "0.2"])
    (listed,) = run(ws, ["contract", "ls"])
    assert listed.ref == "contract:loans@2"
    (change,) = run(ws, ["contract", "diff", "loans@1", "loans"]).changes
    assert (change.column, change.rule, change.looser) == ("income", "null", True)
    file = str(tmp_path / "loans.json")
    told = run(ws, ["contract", "export", "loans", file, "--to", "json-schema"])
    assert run(ws, ["contract", "import", "copy", file]).digest == listed.digest
    for result in (loans, told, run(ws, ["contract", "diff", "loans@1", "loans"])):
        assert len(mimebundle(result)["text/plain"].splitlines()) <= 15


def test_mistakes_are_told_with_the_way_out(ws: Workspace, loans: Contract) -> None:
    for line, said in {
        "contract show lons": "did you mean 'loans'",
        "contract show loans@9": "has no version 9",
        "contract edit loans incme --max 3": "did you mean 'income'",
        "contract edit loans income": "nothing is said",
        "contract edit loans": "takes a column with flags, or a cell body",
        "contract edit loans segment --max-outside 2": "less than or equal to 1",
        "contract loans --check loans --environment moon": "has no environment 'moon'",
    }.items():
        with pytest.raises(MLOpsError, match=said):
            run(ws, line.split())
    with pytest.raises(Invalid, match="line 1"):
        run(ws, ["contract", "edit", "loans"], "columns: {income: [}")
    with pytest.raises(NotFound, match="no column 'incme'"):
        run(ws, ["contract", "edit", "loans"], "columns: {incme: {null: null}}")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("segment --pattern [", "can't be used: '\\['"),
        ("segment --pattern (?=x)", "look-around"),
        ("segment --min 1", "it is of type text"),
        ("income --since 2024-01-01", "with --min and --max"),
        ("at --min 3", "with --since and --until"),
        ("at --since 2024-13-01", "it is no time"),
    ],
)
def test_a_rule_that_no_check_could_use_is_never_kept(ws: Workspace, line: str, said: str) -> None:
    timed = table().with_columns(at=pl.datetime(2024, 1, 1) + pl.duration(hours=pl.int_range(400)))
    run(ws, ["contract", timed, "--save", "timed"])
    with pytest.raises(Invalid, match=said):
        run(ws, ["contract", "edit", "timed", *line.split()])
    assert run(ws, ["contract", "show", "timed"]).version == 1


def test_a_time_of_the_day_is_a_bound(ws: Workspace) -> None:
    clock = pl.DataFrame({"at": [time(n % 24) for n in range(240)]})
    run(ws, ["contract", clock, "--save", "clock"])
    edited = run(ws, ["contract", "edit", "clock", "at", "--since", "06:00"])
    assert edited.notes == ["Not tried: the frame it was learnt from isn't kept."]
    checked = run(ws, ["contract", "clock", "--check", clock])
    assert [(one.rule, one.rows) for one in checked.violations] == [("bounds", 60)]


def test_no_contract_is_learnt_from_a_pass_that_was_stopped(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(ws, "loans", table())

    def stopped(*given: Any, **named: Any) -> Any:
        return replace(profiling.profile(table().lazy()), complete=False)

    monkeypatch.setattr(keeping, "make", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(ws, ["contract", "loans", "--save", "loans"])
    assert list(run(ws, ["contract", "ls"])) == []
