"""Contracts as JSON Schema and pandera: other software enforces them, and they come back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
import yaml  # type: ignore[import-untyped]
from pandera.errors import SchemaErrors
from pandera.io import polars_io

from jupyter_mlops.profiling import profile
from jupyter_mlops.profiling.contracts import Contract, infer
from jupyter_mlops.profiling.contracts.exporting import read, write
from jupyter_mlops.profiling.contracts.jsonschema import to_json_schema
from jupyter_mlops.profiling.contracts.pandera import to_pandera
from jupyter_mlops.workspace.errors import Conflict, Invalid
from profiling.test_contracts import population


@pytest.fixture(scope="module")
def contract() -> Contract:
    seen = population(0, 5000).with_row_index("id")
    made = infer(profile(seen.lazy(), target="flag"), seen.lazy())
    made = made.column("count", lo=0, hi=40, max_outside=0, by="ada")
    return made.model_copy(update={"name": "people", "version": 3})


@pytest.mark.parametrize("to", ["json", "json-schema", "pandera"])
def test_a_contract_comes_back_from_a_file_as_it_was(
    contract: Contract, tmp_path: Path, to: Any
) -> None:
    told = write(contract, str(tmp_path / "file"), to)
    back = read(told.file)
    assert back.digest == contract.digest
    assert (back.name, back.version) == ("people", 3)
    assert bool(told.lost) is (to != "json")


def test_json_schema_accepts_honest_records_and_refuses_others(contract: Contract) -> None:
    schema = to_json_schema(contract)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    honest = json.loads(population(7, 400).with_row_index("id").write_json())
    accepted = [validator.is_valid(one) for one in honest]
    # One column of a record in a thousand may lie outside, by the contract itself.
    assert sum(accepted) >= 390
    good = honest[accepted.index(True)]
    for column, value in {
        "count": -1,
        "city": "Atlantis",
        "normal": 1e9,
        "mail": "nobody",
        "exact": "3",
        "text": "x" * 999,
    }.items():
        assert not validator.is_valid(good | {column: value}), column
    assert not validator.is_valid({key: one for key, one in good.items() if key != "flag"})
    serving = jsonschema.Draft202012Validator(to_json_schema(contract, "serving"))
    assert serving.is_valid({key: one for key, one in good.items() if key != "flag"})


def test_pandera_accepts_honest_tables_and_refuses_others(
    contract: Contract, tmp_path: Path
) -> None:
    schema = to_pandera(contract)
    honest = population(7, 5000).with_row_index("id")
    schema.validate(honest)
    path = write(contract, str(tmp_path / "people.yaml"), "pandera").file
    again = polars_io.from_yaml(path)
    again.validate(honest)
    spoilt = honest.with_columns(city=pl.lit("Atlantis"), count=pl.lit(-1))
    for one in (schema, again):
        with pytest.raises(SchemaErrors) as caught:
            one.validate(spoilt, lazy=True)
        assert {"city", "count"} <= set(caught.value.failure_cases["column"])


def test_what_is_edited_in_a_file_is_edited_in_the_contract(
    contract: Contract, tmp_path: Path
) -> None:
    schema = to_json_schema(contract)
    schema["properties"]["normal"]["maximum"] = 99
    del schema["properties"]["mail"]["pattern"]
    schema["required"].remove("wild")
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(schema), "utf-8")
    back = read(str(path))
    assert back.columns["normal"].bounds is not None
    assert back.columns["normal"].bounds.hi == 99
    assert back.columns["mail"].pattern is None
    assert not back.columns["wild"].required
    told = write(contract, str(tmp_path / "p.yaml"), "pandera")
    body = yaml.safe_load(Path(told.file).read_text("utf-8"))
    body["columns"]["normal"]["share_in_range"]["max_value"] = 77
    Path(told.file).write_text(yaml.safe_dump(body), "utf-8")
    bounds = read(told.file).columns["normal"].bounds
    assert bounds is not None
    assert (bounds.hi, bounds.source) == (77, "pandera")


def test_schemas_that_others_wrote_become_contracts(tmp_path: Path) -> None:
    path = tmp_path / "foreign.json"
    record = {
        "type": "object",
        "required": ["age"],
        "properties": {
            "age": {"type": "integer", "minimum": 0, "maximum": 120},
            "name": {"type": ["string", "null"], "maxLength": 20},
            "day": {"type": "string", "format": "date"},
        },
    }
    path.write_text(json.dumps(record), "utf-8")
    made = read(str(path))
    assert [one.type for one in made.columns.values()] == ["integer", "text", "date"]
    assert [one.required for one in made.columns.values()] == [True, False, False]
    assert made.columns["age"].null is not None
    assert made.columns["name"].length is not None
    import pandera.polars as pa

    schema = pa.DataFrameSchema(
        {"x": pa.Column(int, pa.Check.in_range(1, 9)), "s": pa.Column(str, pa.Check.isin(["a"]))}
    )
    (tmp_path / "foreign.yaml").write_text(polars_io.to_yaml(schema), "utf-8")
    found = read(str(tmp_path / "foreign.yaml")).columns
    assert found["x"].bounds is not None
    assert (found["x"].bounds.lo, found["x"].bounds.hi) == (1, 9)
    assert found["s"].domain is not None
    assert found["s"].domain.values == ["a"]


@pytest.mark.parametrize("text", ["{", "just words", "{}}", '{"columns": {"a": {"typ": 1}}}'])
def test_files_that_hold_no_contract_are_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, "utf-8")
    with pytest.raises(Invalid):
        read(str(path))
    with pytest.raises(Invalid, match="can't be read"):
        read(str(tmp_path / "missing.json"))


def test_only_contracts_are_written_over(contract: Contract, tmp_path: Path) -> None:
    precious = tmp_path / "loans.csv"
    precious.write_text("a,b\n1,2\n")
    with pytest.raises(Conflict, match="is there already and holds no contract"):
        write(contract, str(precious))
    assert precious.read_text() == "a,b\n1,2\n"
    file = tmp_path / "loans.json"
    for to in ("json", "json-schema"):
        write(contract, str(file), to)
        assert read(str(file)).digest == contract.digest
