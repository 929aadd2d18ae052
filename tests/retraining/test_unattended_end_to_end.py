"""From the first row that drifted to the challenger that answers, with nobody looking.

Only the agent works here. Requests come over HTTP all the time, each day's truth comes a day
later, and a policy that needs no person decides.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pandas as pd
import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "agent")]

from living import until
from world import Place, deliveries

from jupyter_mlops import mlops, retraining, serving
from jupyter_mlops.retraining import Decision
from jupyter_mlops.views import mimebundle

DAYS = 400
A_DAY = 60
#: From this day on another cause decides, and it rains more.
TURNS = 12
PAUSE = 0.05
WORSE = "loss > champion_at_promotion.loss + 0.05 (95%)"


@dataclass
class Load:
    """Callers of an endpoint that never stop, and the truth that follows them.

    Attributes
    ----------
    failures : list of str
        Every request that wasn't answered with as many predictions as it had rows.
    answers : Counter of str
        Rows by the version that answered them.
    day : int
        How far the simulated days are.
    """

    place: Place
    failures: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    slowest: float = 0.0
    day: int = 0
    broken: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        served = serving.get(self.place.ws, self.place.name)
        self._client = httpx.Client(
            base_url=served.url,
            headers={"Authorization": f"Bearer {served.token_path.read_text().strip()}"},
            timeout=30,
        )
        before = deliveries(TURNS, start="2026-02-01", a_day=A_DAY, seed=2)
        after = deliveries(DAYS - TURNS, start="2026-02-13", a_day=A_DAY, turned=True, seed=3)
        rows = pd.concat([before, after.assign(rain=after["rain"] + 1)])
        self._days = [day for _, day in rows.groupby(rows["at"].dt.date)]
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._ask, self._tell)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)
        self._client.close()

    def _guarded(self, work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            self.broken.append(error)

    def _ask(self) -> None:
        """One request after the other, twenty rows each."""
        for number, day in enumerate(self._days):
            self.day = number
            for start in range(0, A_DAY, 20):
                if self._over.wait(PAUSE):
                    return
                self._post(day.iloc[start : start + 20].drop(columns="late"))
        raise AssertionError("there are no more days")

    def _post(self, rows: pd.DataFrame) -> None:
        records = rows.assign(at=rows["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
        begun = time.perf_counter()
        self.requests += 1
        try:
            answer = self._client.post(
                "/invocations", json={"dataframe_records": records.to_dict("records")}
            )
            answer.raise_for_status()
            body = answer.json()
            assert len(body["predictions"]) == len(rows)
            self.answers[str(answer.headers["x-mlops-version"])] += len(rows)
        except (httpx.HTTPError, AssertionError, KeyError) as error:
            self.failures.append(f"request {self.requests}: {error!r}")
        self.slowest = max(self.slowest, time.perf_counter() - begun)

    def _tell(self) -> None:
        """The truth of all days that are over, again and again."""
        told = 0
        while not self._over.wait(0.5):
            over = self.day
            if over > told:
                known = pd.concat(self._days[told:over])
                mlops.feedback(self.place.name, known[["id", "late"]], truth="late")
                told = over


@pytest.fixture
def load(place: Place) -> Iterator[Load]:
    with Load(place) as load:
        yield load


def test_drift_onset_to_challenger_serving_unattended(load: Load, place: Place) -> None:
    mlops.retrain(
        place.name,
        notebook="train.ipynb",
        when=WORSE,
        every="2s",
        over="10d",
        window="20d",
        approve="auto",
    )
    # While the world stays as it was, it looks and trains nothing.
    until(lambda: place.decisions, 60)
    looked = place.decisions[-1]
    until(lambda: not retraining.decision(place.ws, looked.ref).active, 60)
    until(lambda: load.day >= TURNS, 60)
    onset = time.monotonic()

    until(lambda: place.champion != 1 or load.broken, 120)
    assert load.broken == []
    promoted = next(one for one in place.decisions if one.state == "promoted")
    challenger = str(place.champion)
    before = load.answers[challenger]
    until(lambda: place.serves == challenger and load.answers[challenger] > before + 200, 60)
    took = time.monotonic() - onset
    mlops.retrain.stop(place.name)

    assert load.failures == []
    assert load.broken == []
    assert set(load.answers) == {"1", *map(str, range(2, int(challenger) + 1))}
    assert load.answers["1"] >= TURNS * A_DAY
    _reads_well(promoted, place)
    answered = load.answers.total()
    health = mlops.endpoint.health(place.name)
    assert health.versions == sorted(load.answers)
    assert health.rows >= answered  # the requests go on
    (moved,) = (one for one in health.happenings if one.what == "promoted")
    assert moved.ref == promoted.ref
    print(
        f"\nserving {challenger} {took:.1f} s after the onset, with {load.requests:,} requests, "
        f"none failed, the slowest {1000 * load.slowest:.0f} ms"
    )


def _reads_well(found: Decision, place: Place) -> None:
    """All that a person needs a year later, in the record itself."""
    assert found.actor == f"policy:{place.name}"
    assert (found.champion, found.challenger) == (f"{place.name}@1", f"{place.name}@2")
    (condition,) = found.found["condition"]
    assert condition["verdict"] == "yes"
    (gate,) = found.found["gates"]
    assert gate["verdict"] == "pass"
    assert place.ws.artifacts.exists(found.found["notebook"])
    text = mimebundle(found)["text/plain"]
    for said in (
        f"{place.name}@2 is champion and served by {place.name}",
        "log_loss < champion.log_loss",
        "Judged on",
    ):
        assert said in text, text
