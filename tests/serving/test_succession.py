"""A version takes over when it can, and gives way by itself when it shouldn't have."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import served
from test_versions import ask, declare, state, until

from jupyter_mlops import serving
from jupyter_mlops.serving import breaches
from jupyter_mlops.serving.config import Deployment
from jupyter_mlops.serving.deployed import Tally
from jupyter_mlops.serving.judging import complaint
from jupyter_mlops.serving.modelfile import directory_digest
from jupyter_mlops.workspace import Conflict, Workspace


@dataclass(frozen=True)
class Version:
    """A registered version, as far as serving cares."""

    folder: Path
    version: int = 1
    name: str = "delay"
    run_id: str = "r" * 32

    @property
    def digest(self) -> str:
        return directory_digest(self.folder)

    @property
    def ref(self) -> str:
        return f"model:{self.name}@{self.version}"

    def path(self, ws: Workspace) -> Path:
        return self.folder


def spoilt(model: Path, folder: Path, carrier: str) -> Path:
    """A copy of a model with another carrier in its input example."""
    copy = Path(shutil.copytree(model, folder))
    example = copy / "serving_input_example.json"
    example.write_text(re.sub('"(AA|UA|DL)"', carrier, example.read_text()))
    return copy


def bounded(model: Path, folder: Path, *, least: float) -> Path:
    """A copy of a model with a contract."""
    copy = Path(shutil.copytree(model, folder))
    terms = {"type": "float", "bounds": {"lo": least, "max_outside": 0}}
    (copy / "contract.json").write_text(json.dumps({"columns": {"distance": terms}}))
    return copy


def test_a_version_that_fails_on_its_own_example_doesnt_take_over(
    model: Path, other: Path, tmp_path: Path
) -> None:
    strange = [
        # A carrier that its encoder never saw, and one that is a number.
        spoilt(other, tmp_path / "raises", '"ZZ"'),
        spoilt(model, tmp_path / "misfit", "7"),
    ]
    with served.running(served.config(model, tmp_path), tmp_path) as endpoint:
        reasons = []
        for generation, path in enumerate(strange, start=2):
            config = served.config(path, tmp_path, version="4", generation=generation)
            declare(endpoint, config)
            told = until(
                lambda n=generation: (
                    (found := state(endpoint)["failed"]) and found["generation"] == n and found
                )
            )
            assert told["error"]["code"] == "E-SERVE-058"
            reasons.append(told["error"]["why"])
            assert ask(endpoint).json()["model"]["version"] == "3"
        assert reasons[0] == "it raised ValueError on its input example"
        assert "expected string, found an integer" in reasons[1]
        canary = Deployment(
            "delay", "5", directory_digest(strange[0]), str(strange[0]), "off",
            "canary", 0.5,
        )  # fmt: skip
        declare(endpoint, replace(endpoint.config, beside=[canary], generation=9))
        until(lambda: state(endpoint)["failed"]["generation"] == 9)
        assert {ask(endpoint).json()["model"]["version"] for _ in range(10)} == {"3"}


def test_a_version_with_columns_that_nobody_sends_is_refused_unless_told_otherwise(
    model: Path, tmp_path: Path
) -> None:
    table = served.flights()
    narrow = Version(
        served.save_model(tmp_path / "narrow", table.drop(columns="hour"), served.late(table)), 2
    )
    words = Version(
        served.save_model(tmp_path / "words", table.astype({"hour": str}), served.late(table)), 3
    )
    wide = Version(model)
    ws = Workspace.open(tmp_path / "ws")
    serving.declare(ws, narrow)
    with pytest.raises(Conflict, match=r"delay@1 asks for what callers .* takes column 'hour'"):
        serving.declare(ws, wide)
    assert serving.get(ws, "delay").version == "2"
    assert serving.declare(ws, wide, other_columns=True) == 2
    with pytest.raises(Conflict, match="column 'hour' as string instead of long"):
        serving.declare(ws, words)
    # What is no longer asked for is ignored, and an endpoint that stopped has no callers.
    assert serving.declare(ws, narrow) == 3
    serving.retire(ws, "delay")
    assert serving.declare(ws, words) == 4


@pytest.mark.parametrize("role", ["canary", "primary"])
def test_a_version_whose_contract_the_rows_break_is_withdrawn(
    model: Path, tmp_path: Path, role: str
) -> None:
    strict = bounded(model, tmp_path / "strict", least=500)
    first = served.config(bounded(model, tmp_path / "lax", least=0), tmp_path)
    with served.running(first, tmp_path) as endpoint:
        if role == "canary":
            digest = directory_digest(strict)
            one = Deployment("delay", "4", digest, str(strict), "observe", "canary", 0.5)
            declare(endpoint, replace(first, beside=[one], generation=2))
        else:
            declare(endpoint, replace(served.config(strict, tmp_path, version="4"), generation=2))
        until(lambda: state(endpoint)["generation"] == 2)
        for _ in range(90):
            assert ask(endpoint, distance=100.0).status_code == 200
        told = until(lambda: state(endpoint)["withdrawn"])
        assert (told["version"], told["role"]) == ("4", role)
        assert "rows break its contract's bounds of column 'distance'" in told["reason"]
        assert {ask(endpoint).json()["model"]["version"] for _ in range(10)} == {"3"}


def test_what_breaks_the_contract_is_counted_by_column_over_restarts(
    model: Path, tmp_path: Path
) -> None:
    config = served.config(bounded(model, tmp_path / "m", least=500), tmp_path)
    folder = tmp_path / "traffic"
    for rows in (1, 2):
        with served.running(config, tmp_path) as endpoint:
            assert ask(endpoint, distance=-4711.0).status_code == 200
        (found,) = breaches.read(folder)
        assert (found.version, found.column, found.rule) == ("3", "distance", "bounds")
        assert found.rows == rows
    assert found.first < found.last
    assert "4711" not in (folder / breaches.FILE).read_text()


def test_a_slower_version_is_complained_of_and_one_as_fast_is_not() -> None:
    fast, slow = Tally(), Tally()
    for tally, seconds in ((fast, 0.002), (slow, 0.02)):
        for _ in range(250):
            tally.add(seconds, None)
    assert complaint(slow, fast) == (
        "it takes 20.0 ms, at most 20.0 for 99 %, against 2.0 and 2.0 ms"
    )
    assert complaint(fast, slow) == complaint(fast, fast) == ""
