"""What is there at a glance, and what could be there: `%mlops` and `%mlops doctor`."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from jupyter_mlops import mlops
from jupyter_mlops.cli import main
from jupyter_mlops.verbs import doctor
from jupyter_mlops.views import mimebundle


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_contracts_and_splits_are_seen_beside_the_data() -> None:
    mlops.data.add("loans", pl.DataFrame({"id": range(200), "late": [0, 1] * 100}), key="id")
    mlops.contract("loans", target="late", save="loans")
    mlops.data.split("loans")
    entries = {one.ref: one.state for one in mlops().sections[0].entries}
    assert entries == {
        "contract:loans": "contract 1",
        "data:loans": "version 1, split in train, test",
        "data:loans-train": "version 1",
        "data:loans-test": "version 1",
    }
    assert "contract:loans" in mimebundle(mlops())["text/plain"]


def test_the_doctor_names_the_extras_that_are_missing_with_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = {"s3fs": None, "nats-py": None, "keyring": None}
    monkeypatch.setattr(doctor, "_version", lambda name: lacking.get(name, "1.0"))
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert 'pip install "jupyter_mlops[s3,nats,keyring]"' in said
    (row,) = (one for one in mlops.doctor().checks if one.name == "sources")
    assert "adds s3://, nats://, secrets in the keyring" in row.found
    assert "confluent-kafka 1.0" in row.found
    monkeypatch.setattr(doctor, "_version", lambda name: "1.0")
    assert {one.level for one in mlops.doctor().checks if one.name == "sources"} == {"good"}
