"""The notebook about data reads from real servers and ends in a model under a contract."""

from __future__ import annotations

import json

import nbformat
import pytest
from papermilled import run, shown

# Days of each month: enough for every step to have something to say.
DAYS = 2


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> nbformat.NotebookNode:
    """The notebook, executed by papermill."""
    return run("data.ipynb", tmp_path_factory.mktemp("data"), days=DAYS)


def test_each_place_gives_a_dataset_that_knows_where_it_came_from(
    executed: nbformat.NotebookNode,
) -> None:
    assert "Only rows where: day <= 2" in shown(executed, "%mlops data add flights")
    assert "Server: PostgreSQL" in shown(executed, "%mlops data add planes")
    assert "Objects: 12 under airports/weather" in shown(executed, "%mlops data add weather")
    stream = shown(executed, "%mlops data add departures")
    assert "2,000 rows" in stream
    assert "Offsets:" in stream


def test_passwords_are_in_no_cell_and_no_output(executed: nbformat.NotebookNode) -> None:
    assert "correct horse" not in nbformat.writes(executed)


def test_the_query_the_join_and_the_split_name_their_inputs(
    executed: nbformat.NotebookNode,
) -> None:
    assert "Made from: flights@1" in shown(executed, "%%mlops data query planned")
    assert "the last of weather@1 before time_hour" in shown(executed, "%mlops data asof planned")
    assert "No flight_id is in two parts" in shown(executed, "%mlops data split")


def test_what_is_known_too_late_is_named(executed: nbformat.NotebookNode) -> None:
    assert "dep_delay" in shown(executed, "%mlops profile delays-train --target late")


def test_honest_rows_keep_the_contract_and_changed_ones_break_it(
    executed: nbformat.NotebookNode,
) -> None:
    assert "Verdict: keeps it" in shown(executed, "%mlops contract plan --check asked-weather")
    changed = shown(executed, "%mlops contract plan --check changed")
    assert "Verdict: breaks it" in changed
    assert "--allow UAL" in changed
    assert "Column 'distance'" in changed


def test_the_model_is_registered_with_its_contract(executed: nbformat.NotebookNode) -> None:
    assert "late@1" in shown(executed, "%mlops register late late")
    assert "contract:plan@2" in json.dumps(
        [one.get("outputs", []) for one in executed.cells if "register" in one.source]
    )
