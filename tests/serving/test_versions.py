"""Several versions behind one endpoint, and models that misbehave."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import misbehaving
import numpy as np
import pytest
import served
from test_durability import logged_ids

from jupyter_mlops.serving import batching
from jupyter_mlops.serving.config import Deployment, EndpointConfig
from jupyter_mlops.serving.intake import Rows
from jupyter_mlops.serving.modelfile import directory_digest
from jupyter_mlops.serving.process import build
from jupyter_mlops.serving.refusals import Refusal

ROW = {"hour": 7, "distance": 812.0, "carrier": "UA"}


def beside(path: Path, version: str, role: str, weight: float = 0.0) -> Deployment:
    return Deployment("delay", version, directory_digest(path), str(path), "off", role, weight)


def declare(endpoint: served.Running, config: EndpointConfig) -> None:
    """What the agent does when something else is declared."""
    config = replace(config, port=endpoint.state["port"])
    config.write(Path(config.state).with_name("config.json"))
    endpoint.process.send_signal(signal.SIGHUP)


def until(what: Any, seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return found


def state(endpoint: served.Running) -> dict[str, Any]:
    return served.read_state(Path(endpoint.config.state).parent)


def ask(endpoint: served.Running, **row: Any) -> httpx.Response:
    return endpoint.post("/invocations", json={"dataframe_records": [{**ROW, **row}]})


@pytest.fixture
def nasty(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An endpoint whose model ends its process, or hangs, on some rows."""

    monkeypatch.setattr(batching, "start", misbehaving.start)
    monkeypatch.setattr("jupyter_mlops.serving.deployed.start", misbehaving.start)
    endpoint = build(served.config(model, tmp_path, predict_seconds=1.0))
    yield endpoint.board.primary.batcher
    endpoint.board.close()


def rows(distance: float) -> Rows:
    columns = {
        "hour": np.array([7]),
        "distance": np.array([distance]),
        "carrier": np.array(["UA"], dtype=object),
    }
    return Rows(1, columns)


@pytest.mark.parametrize(
    ("bad", "status"), [(misbehaving.EXITS, 503), (misbehaving.HANGS, 504)], ids=["exits", "hangs"]
)
def test_a_row_that_ends_or_hangs_the_model_harms_no_neighbour(
    nasty: Any, bad: float, status: int
) -> None:
    async def answers(*distances: float) -> list[Any]:
        asked = (nasty.answer(str(n), rows(d)) for n, d in enumerate(distances))
        return await asyncio.gather(*asked, return_exceptions=True)

    async def all_of_it() -> None:
        first, second, third = await answers(1.0, bad, 3.0)
        assert isinstance(second, Refusal)
        assert second.status == status
        assert first.answer.prediction.tolist() == [1.0]
        assert third.answer.prediction.tolist() == [3.0]
        begun = time.monotonic()
        (after,) = await answers(4.0)
        assert after.answer.prediction.tolist() == [4.0]
        assert time.monotonic() - begun < 30
        assert nasty.failed is None

    asyncio.run(all_of_it())


def test_a_killed_model_is_replaced_and_what_was_answered_is_logged(
    model: Path, tmp_path: Path
) -> None:
    answered: set[str] = set()
    statuses: set[int] = set()
    chance = random.Random(3)
    with served.running(served.config(model, tmp_path, replicas=2), tmp_path) as endpoint:
        stopping = threading.Event()

        def call() -> None:
            with httpx.Client(base_url=endpoint.url, headers=served.AUTH, timeout=60) as caller:
                while not stopping.is_set():
                    answer = caller.post("/invocations", json={"dataframe_records": [ROW]})
                    statuses.add(answer.status_code)
                    if answer.status_code == 200:
                        answered.update(answer.json()["prediction_ids"])

        callers = [threading.Thread(target=call) for _ in range(4)]
        for one in callers:
            one.start()
        killed = set()
        for _ in range(4):
            time.sleep(0.2 + 0.3 * chance.random())
            pids = until(lambda: set(state(endpoint)["versions"][0]["processes"]) - killed)
            victim = chance.choice(sorted(pids))
            killed.add(victim)
            os.kill(victim, signal.SIGKILL)
            begun = time.monotonic()
            assert until(lambda: ask(endpoint).status_code == 200)
            assert time.monotonic() - begun < 30
        stopping.set()
        for one in callers:
            one.join()
    # The one request that was with the model when it was killed may be told so.
    assert statuses <= {200, 503}
    assert len(answered) > 100
    assert answered <= logged_ids(tmp_path)


def test_versions_take_turns_under_load_and_nobody_is_refused(
    model: Path, other: Path, tmp_path: Path
) -> None:
    first = served.config(model, tmp_path)
    second = served.config(other, tmp_path, version="4")
    wrong: list[Any] = []
    versions: list[str] = []
    with served.running(first, tmp_path) as endpoint:
        right = ask(endpoint).json()["predictions"]
        stopping = threading.Event()

        def call() -> None:
            with httpx.Client(base_url=endpoint.url, headers=served.AUTH, timeout=60) as caller:
                while not stopping.is_set():
                    answer = caller.post("/invocations", json={"dataframe_records": [ROW]})
                    if answer.status_code != 200:
                        wrong.append(answer.text)
                        continue
                    told = answer.json()
                    version = told["model"]["version"]
                    versions.append(version)
                    expected = right if version == "3" else [not right[0]]
                    if told["predictions"] != expected:
                        wrong.append(told)

        callers = [threading.Thread(target=call) for _ in range(4)]
        for one in callers:
            one.start()
        for generation in range(2, 8):
            config = second if generation % 2 == 0 else first
            declare(endpoint, replace(config, generation=generation))
            until(lambda: state(endpoint)["generation"] == generation)  # noqa: B023
            # Generations may follow each other faster than a busy machine answers: each gets an
            # answer more than were under way.
            enough = len(versions) + len(callers)
            until(lambda: len(versions) > enough or wrong)  # noqa: B023
        stopping.set()
        for one in callers:
            one.join()
    assert wrong == []
    assert set(versions) == {"3", "4"}


def test_what_a_version_logged_still_counts_when_it_is_retired(
    model: Path, other: Path, tmp_path: Path
) -> None:
    first = served.config(model, tmp_path, contract="off")
    with served.running(first, tmp_path) as endpoint:
        body = {"inputs": served.flights(2000).to_dict(orient="list")}
        assert endpoint.post("/invocations", json=body).status_code == 200
        before = until(lambda: state(endpoint).get("log_bytes"))
        assert before > 50_000
        for generation, (path, version) in enumerate([(other, "4"), (model, "5")], start=2):
            wanted = served.config(path, tmp_path, version=version, contract="off")
            declare(endpoint, replace(wanted, generation=generation))
            until(lambda version=version: state(endpoint)["version"] == version)
        # The first is gone now, and the endpoint goes on counting.
        until(lambda: "3" not in [one["version"] for one in state(endpoint)["versions"]])
        seen = state(endpoint)["at"]
        until(lambda: state(endpoint)["at"] > seen)
        assert ask(endpoint).status_code == 200
        until(lambda: state(endpoint)["log_bytes"] > before)
        assert endpoint.process.poll() is None


def test_a_canary_answers_its_share_and_the_same_key_gets_the_same_version(
    model: Path, other: Path, tmp_path: Path
) -> None:
    config = served.config(
        model, tmp_path, key="flight", beside=[beside(other, "4", "canary", 0.25)]
    )
    with served.running(config, tmp_path) as endpoint:
        versions = {}
        for number in range(200):
            told = ask(endpoint, flight=f"AA{number}").json()
            versions[number] = told["model"]["version"]
        share = sum(one == "4" for one in versions.values()) / 200
        assert 0.15 < share < 0.35
        for number in range(0, 200, 20):
            again = ask(endpoint, flight=f"AA{number}")
            assert again.json()["model"]["version"] == versions[number]
            assert again.headers["x-mlops-version"] == versions[number]
        # The canary becomes the version served: its process is the same.
        roles = {
            one["role"]: one["processes"] for one in until(lambda: state(endpoint)["versions"])
        }
        declare(endpoint, replace(served.config(other, tmp_path, version="4", contract="off"),
                                  key="flight", generation=2))  # fmt: skip
        until(lambda: state(endpoint)["generation"] == 2)
        assert state(endpoint)["versions"][0]["processes"] == roles["canary"]


def test_a_canary_that_fails_more_often_is_withdrawn(
    model: Path, other: Path, tmp_path: Path
) -> None:
    config = served.config(model, tmp_path, beside=[beside(other, "4", "canary", 0.5)])
    with served.running(config, tmp_path) as endpoint:
        statuses = [ask(endpoint, carrier="ZZ").status_code for _ in range(120)]
        assert set(statuses) == {200, 422}
        told = until(lambda: state(endpoint)["withdrawn"])
        assert (told["version"], told["role"]) == ("4", "canary")
        assert "requests failed, against 0 of" in told["reason"]
        assert {ask(endpoint, carrier="ZZ").status_code for _ in range(20)} == {200}


def test_a_new_version_that_fails_gives_way_to_the_one_before(
    model: Path, other: Path, tmp_path: Path
) -> None:
    config = served.config(model, tmp_path)
    with served.running(config, tmp_path) as endpoint:
        assert {ask(endpoint, carrier="ZZ").status_code for _ in range(60)} == {200}
        declare(endpoint, replace(served.config(other, tmp_path, version="4"), generation=2))
        until(lambda: state(endpoint)["generation"] == 2)
        for _ in range(40):
            ask(endpoint, carrier="ZZ")
        told = until(lambda: state(endpoint)["withdrawn"])
        assert (told["version"], told["role"]) == ("4", "primary")
        assert ask(endpoint, carrier="ZZ").json()["model"]["version"] == "3"


def test_a_shadow_is_compared_and_never_heard(model: Path, other: Path, tmp_path: Path) -> None:
    config = served.config(model, tmp_path, beside=[beside(other, "4", "shadow")])
    with served.running(config, tmp_path) as endpoint:
        body = {"inputs": served.flights(50).to_dict(orient="list")}
        told = endpoint.post("/invocations", json=body).json()
        assert told["model"]["version"] == "3"
        compared = until(
            lambda: [o["shadow"] for o in state(endpoint)["versions"] if o["role"] == "shadow"
                     and o["shadow"]["rows"] == 50]
        )[0]  # fmt: skip
        assert compared["same"] < 0.2
        assert compared["mean_difference"] > 0.1
    assert logged_ids(tmp_path) == set(told["prediction_ids"])
    assert list((tmp_path / "traffic" / "shadow" / "hot").iterdir())


def test_a_canary_of_other_columns_is_refused_and_nothing_changes(
    model: Path, tmp_path: Path
) -> None:
    table = served.flights()
    narrow = served.save_model(tmp_path / "narrow", table.drop(columns="hour"), served.late(table))
    with served.running(served.config(model, tmp_path), tmp_path) as endpoint:
        wanted = replace(endpoint.config, beside=[beside(narrow, "5", "canary", 0.5)], generation=2)
        declare(endpoint, wanted)
        told = until(lambda: state(endpoint)["failed"])
        assert told["error"]["code"] == "E-SERVE-026"
        assert "they differ in hour" in told["error"]["why"]
        assert ask(endpoint).json()["model"]["version"] == "3"
        assert state(endpoint)["generation"] == 1


def test_a_model_that_never_stays_up_ends_its_endpoint_with_the_reason(
    model: Path, tmp_path: Path
) -> None:
    import shutil

    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    with served.running(served.config(copy, tmp_path), tmp_path) as endpoint:
        (copy / "model.skops").write_bytes(b"something else")
        os.kill(state(endpoint)["versions"][0]["processes"][0], signal.SIGKILL)
        assert endpoint.process.wait(60) == 78
        told = state(endpoint)
        assert not told["ready"]
        assert told["error"]["code"] == "E-SERVE-010"
