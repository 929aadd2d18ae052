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

FIRST = pd.Timestamp("2026-02-01", tz="UTC")
A_DAY = 60
#: Seconds between two requests of twenty rows each.
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
    days : list of DataFrame
        The simulated days so far, with their truth.
    onset : float or None
        When the first request was sent of the day on which another cause decides, and it rains
        more.
    """

    place: Place
    failures: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    slowest: float = 0.0
    days: list[pd.DataFrame] = field(default_factory=list)
    onset: float | None = None
    broken: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        served = serving.get(self.place.ws, self.place.name)
        self._client = httpx.Client(
            base_url=served.url,
            headers={"Authorization": f"Bearer {served.token_path.read_text().strip()}"},
            timeout=30,
        )
        self._turned, self._over = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._ask, self._tell)
        ]

    def turn(self) -> None:
        """Let the world be another one from the next day on."""
        self._turned.set()

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
        """Day after day, one request after the other."""
        while True:
            number, turned = len(self.days), self._turned.is_set()
            at = f"{FIRST + pd.Timedelta(number, 'D'):%Y-%m-%d}"
            day = deliveries(1, start=at, a_day=A_DAY, turned=turned, seed=1000 + number)
            day["rain"] += turned
            for start in range(0, A_DAY, 20):
                if self._over.wait(PAUSE):
                    return
                if turned and self.onset is None:
                    self.onset = time.monotonic()
                self._post(day.iloc[start : start + 20].drop(columns="late"))
            self.days.append(day)

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
            new = self.days[told:]
            if new:
                known = pd.concat(new)[["id", "late"]]
                mlops.feedback(self.place.name, known, truth="late")
                told += len(new)


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
    until(lambda: place.decisions and len(load.days) >= 10)
    looked = place.decisions[-1]
    until(lambda: not retraining.decision(place.ws, looked.ref).active)
    assert retraining.decision(place.ws, looked.ref).state == "unneeded"
    calm = len(load.days)

    load.turn()
    until(lambda: load.broken or any(one.state == "promoted" for one in place.decisions), 120)
    assert load.broken == []
    promoted = next(one for one in place.decisions if one.state == "promoted")
    mlops.retrain.stop(place.name)  # one challenger is enough
    challenger = str(place.champion)
    before = load.answers[challenger]
    until(lambda: place.serves == challenger and load.answers[challenger] > before + 200)
    assert load.onset is not None
    took = time.monotonic() - load.onset

    assert load.failures == []
    assert load.broken == []
    assert set(load.answers) == {"1", challenger}
    assert load.answers["1"] >= calm * A_DAY
    _reads_well(promoted, place, challenger)
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


def _reads_well(found: Decision, place: Place, challenger: str) -> None:
    """All that a person needs a year later, in the record itself."""
    assert found.actor == f"policy:{place.name}"
    assert found.champion == f"{place.name}@1"
    assert found.challenger == f"{place.name}@{challenger}"
    (condition,) = found.found["condition"]
    assert condition["verdict"] == "yes"
    (gate,) = found.found["gates"]
    assert gate["verdict"] == "pass"
    assert place.ws.artifacts.exists(found.found["notebook"])
    text = mimebundle(found)["text/plain"]
    for said in (
        f"{found.challenger} is champion and served by {place.name}",
        "log_loss < champion.log_loss",
        "Judged on",
    ):
        assert said in text, text
