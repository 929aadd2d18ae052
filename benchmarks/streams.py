"""Rows a second through an endpoint, from Redis and from a file, against a plain loop.

Usage: ``python benchmarks/streams.py [--rows 20000] [--plain 2000] [--rounds 3]``

The plain loop is what one writes by hand: read an entry, one HTTP call, write the answer,
acknowledge the entry; with the same client, endpoint and server. It does fewer rows, as a rate is
what is compared. Each round runs all of them one after the other; the best of each counts.
Ours keeps positions with the answers, so it gets each answer into the sink once; the loop doesn't.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / part) for part in ("", "agent", "serving"))]
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


def flow(ws, rows: int, source: str, sink: str, name: str) -> float:
    """Rows a second of a stream, its opening and its last commit included."""
    from jupyter_mlops.serving import streaming

    limits = streaming.Limits(until_idle=0.0)
    streaming.declare(ws, "delay", source, sink, name=name, limits=limits)
    began = time.perf_counter()
    ended = streaming.run(ws, name)
    seconds = time.perf_counter() - began
    assert ended.answered == rows, ended
    return rows / seconds


def one_by_one(ws, rows: int, read: Callable[[], list], write: Callable[[dict], None]) -> float:
    """Rows a second of a call a row."""
    from jupyter_mlops.serving import get
    from jupyter_mlops.serving.calling import open_client

    url = f"{get(ws, 'delay').url}/invocations"
    done, began = 0, time.perf_counter()
    with open_client(ws, "delay") as client:
        for record in read():
            answer = client.post(url, json={"dataframe_records": [record]})
            answer.raise_for_status()
            write(answer.json())
            done += 1
            if done == rows:
                break
    return done / (time.perf_counter() - began)


def redis_loop(ws, connection, stream: str, sink: str, rows: int) -> float:
    """The plain loop between two Redis streams, with a consumer group."""
    kinds = {"n": int, "hour": int, "distance": float, "carrier": str}
    connection.xgroup_create(stream, "plain", "0")
    last: list[bytes] = []

    def read():
        while found := connection.xreadgroup("plain", "one", {stream: ">"}, count=1):
            ((entry, fields),) = found[0][1]
            last[:] = [entry]
            yield {k.decode(): kinds[k.decode()](v.decode()) for k, v in fields.items()}

    def write(answer: dict) -> None:
        connection.xadd(sink, {"prediction": json.dumps(answer["predictions"][0])})
        connection.xack(stream, "plain", last[0])

    return one_by_one(ws, rows, read, write)


def file_loop(ws, source: Path, sink: Path, rows: int) -> float:
    """The plain loop between two files."""
    with source.open() as lines, sink.open("w") as answers:
        return one_by_one(
            ws,
            rows,
            lambda: map(json.loads, lines),
            lambda answer: print(json.dumps(answer["predictions"][0]), file=answers, flush=True),
        )


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--plain", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()

    import flowing
    import served
    from living import Version, end_all, up

    from jupyter_mlops.serving.modelfile import directory_digest
    from jupyter_mlops.workspace import Workspace
    from servers.redis import Redis

    program = shutil.which("redis-server")
    if program is None:
        sys.exit("redis-server isn't installed (Debian: apt install redis-server)")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "redis").mkdir()
        server = Redis(folder / "redis", Path(program))
        server.program.start()
        table = served.flights()
        model = served.save_model(folder / "model", table, served.late(table))
        ws = Workspace.open(folder / "project")
        try:
            up(ws, Version(model, directory_digest(model)))
            records = flowing.records(given.rows)
            given.plain = min(given.plain, given.rows)
            source = folder / "flights.ndjson"
            source.write_text("".join(json.dumps(one) + "\n" for one in records))
            best: dict[str, float] = {}
            with server.connect() as connection:
                for turn in range(given.rounds):
                    server.add(f"in{turn}", records)
                    uri = f"redis://127.0.0.1:{server.port}/0"
                    rates = {
                        "redis": flow(
                            ws, given.rows, f"{uri}/in{turn}", f"{uri}/out{turn}", f"r{turn}"
                        ),
                        "redis, a call a row": redis_loop(
                            ws, connection, f"in{turn}", f"plain{turn}", given.plain
                        ),
                        "file": flow(
                            ws, given.rows, str(source), str(folder / f"a{turn}.ndjson"), f"f{turn}"
                        ),
                        "file, a call a row": file_loop(
                            ws, source, folder / f"plain{turn}.ndjson", given.plain
                        ),
                    }
                    best = {name: max(rate, best.get(name, 0.0)) for name, rate in rates.items()}
        finally:
            end_all(folder)
            server.program.kill()
    for name, rate in best.items():
        print(f"{name:22} {rate:10,.0f} rows a second")
    for name in ("redis", "file"):
        print(f"{name:22} {best[name] / best[f'{name}, a call a row']:10.1f} times a call a row")


if __name__ == "__main__":
    main()
