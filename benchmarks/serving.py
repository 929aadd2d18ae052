"""Processor time a request of our endpoint, with everything on, against ``mlflow models serve``.

Usage: ``python benchmarks/serving.py [--rounds 3] [--requests 400] [--forest] [--peers PYTHON]``

With ``--forest`` a forest of 100 trees is served instead, to 64 callers. ``--peers`` names a Python
of an environment that has LitServe, BentoML and Ray Serve, which are asked then, too::

    uv venv /tmp/servers
    uv pip install --python /tmp/servers/bin/python litserve bentoml "ray[serve]" scikit-learn skops

They serve the same logistic regression of 20 columns at the same time and are asked in turns;
so is a bare server of Starlette, orjson and natural batching, which is as little as there could
be.
The figure is the processor time of the server's whole process tree divided by the requests,
the smallest over the rounds, which other programs of the machine disturb least. Ours checks a
token and the signature, counts, batches, and syncs each answer to the disk before it is given.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path

import psutil

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
TOKEN = "benchmark"
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"
# Callers at once, rows in a request, what ours is sent; the others are sent JSON.
LOADS = ((1, 1, JSON), (16, 1, JSON), (64, 1, JSON), (1, 1000, JSON), (1, 1000, ARROW))
PEERS = ("litserve", "bentoml", "ray")
Start = Callable[[Path, Path, int], "subprocess.Popen[bytes]"]


def save_model(folder: Path, *, forest: bool = False) -> Path:
    """Fit and save the model all serve."""
    import mlflow
    import numpy as np
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(2000, 20)), columns=[f"c{n}" for n in range(20)])
    kind = RandomForestClassifier(100, random_state=0) if forest else LogisticRegression()
    model = kind.fit(table, table.sum(axis=1) > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(
            model,
            folder / "model",
            signature=infer_signature(table, model.predict(table)),
            input_example=table.head(2),
            serialization_format="skops",
            skops_trusted_types=["sklearn.tree._tree.Tree"] if forest else None,
            pip_requirements=["scikit-learn"],
        )
    # As a registered model has it; those that know no contracts leave it alone.
    rule = {"type": "float", "null": {"max_fraction": 0.0}}
    rule["bounds"] = {"lo": -10.0, "hi": 10.0, "max_outside": 0.0}
    contract = {"columns": dict.fromkeys(table.columns, rule)}
    (folder / "model" / "contract.json").write_text(json.dumps(contract))
    return folder / "model"


def body(rows: int, server: str = "ours") -> bytes:
    """A request, the same for all; BentoML wants its own name for the rows."""
    columns = [f"c{n}" for n in range(20)]
    data = [[(row * 31 + n * 7) % 17 / 10 for n in range(20)] for row in range(rows)]
    if server == "bentoml":
        return json.dumps({"rows": data}).encode()
    return json.dumps({"dataframe_split": {"columns": columns, "data": data}}).encode()


def arrow_body(rows: int) -> bytes:
    """The same rows as an Arrow stream."""
    import pyarrow as pa

    split = json.loads(body(rows))["dataframe_split"]
    columns = zip(split["columns"], zip(*split["data"], strict=True), strict=True)
    batch = pa.RecordBatch.from_pydict({name: list(values) for name, values in columns})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def free_port() -> int:
    """A port nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_ours(model: Path, folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start our endpoint."""
    from jupyter_mlops.serving.config import EndpointConfig
    from jupyter_mlops.serving.modelfile import directory_digest

    EndpointConfig(
        endpoint="m",
        model="m",
        version="1",
        digest=directory_digest(model),
        path=str(model),
        traffic=str(folder / "traffic"),
        state=str(folder / "state.json"),
        token_sha256=hashlib.sha256(TOKEN.encode()).hexdigest(),
        port=port,
    ).write(folder / "config.json")
    command = ["-m", "jupyter_mlops.serving.process", "--config", str(folder / "config.json")]
    return subprocess.Popen([sys.executable, *command])


def start_mlflow(model: Path, folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start MLflow's scoring server."""
    command = ["-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local"]
    command += ["-h", "127.0.0.1", "-p", str(port)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (folder / "mlflow.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, *command], stdout=log, stderr=log, env=os.environ | {"PATH": path}
        )


def wait(port: int, process: subprocess.Popen[bytes], server: str = "ours") -> float:
    """Wait for a prediction; return the seconds it took."""
    begin = time.monotonic()
    headers = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}
    while True:
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body(1, server), headers
        )
        try:
            urllib.request.urlopen(asked).read()
            return time.monotonic() - begin
        except OSError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() - begin < 300, "the server did not come up"
            time.sleep(0.1)


def start_peer(python: str, peer: str) -> Start:
    """How another server is started."""

    def start(model: Path, folder: Path, port: int) -> subprocess.Popen[bytes]:
        command = [python, str(Path(__file__).with_name("peer_servers.py")), peer]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        with (folder / f"{peer}.log").open("wb") as log:
            return subprocess.Popen(
                [*command, str(model), str(port)], stdout=log, stderr=log, env=environment
            )

    return start


def start_bare(model: Path, folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the least that could answer: no token, no signature, no contract, no log."""
    command = [str(Path(__file__).with_name("bare_server.py")), str(model), str(port)]
    return subprocess.Popen([sys.executable, *command])


def tree(process: subprocess.Popen[bytes], folder: Path | None = None) -> list[psutil.Process]:
    """The server's processes, each once; ours names its model's in its state."""
    parent = psutil.Process(process.pid)
    found = {one.pid: one for one in (parent, *parent.children(recursive=True))}
    if folder is not None:
        state = json.loads((folder / "state.json").read_text())
        if state["pid"] == process.pid:
            # Forked from elsewhere they are no children of it; started by it they are.
            ours = [pid for one in state["versions"] for pid in one["processes"]]
            found |= {pid: psutil.Process(pid) for pid in ours}
    return list(found.values())


def processor_seconds(processes: list[psutil.Process]) -> float:
    """User and system time of processes so far."""
    return sum(sum(one.cpu_times()[:2]) for one in processes)


async def ask(
    port: int, content: bytes, callers: int, requests: int, kind: str = JSON
) -> list[float]:
    """Send requests over kept connections; return their seconds."""
    head = (
        f"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}"
        f"\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {len(content)}\r\n\r\n"
    ).encode()
    seconds: list[float] = []
    left = iter(range(requests))

    async def caller() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        for _ in left:
            begin = time.perf_counter()
            writer.write(head + content)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in answer[:20], answer[:200]
            lines = answer.lower().split(b"\r\n")
            if b"transfer-encoding: chunked" in lines:  # Ray Serve's
                await reader.readuntil(b"\r\n0\r\n\r\n")
            else:
                length = next(line for line in lines if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
            seconds.append(time.perf_counter() - begin)
        writer.close()

    await asyncio.gather(*(caller() for _ in range(callers)))
    return sorted(seconds)


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--forest", action="store_true", help="serve a forest of 100 trees")
    parser.add_argument("--peers", help="a Python that has LitServe, BentoML and Ray Serve")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = save_model(folder, forest=given.forest)
        starts: dict[str, Start] = {"ours": start_ours, "mlflow": start_mlflow}
        if not given.forest:
            starts["bare"] = start_bare  # it opens only what skops trusts by itself
        if given.peers:
            starts |= {one: start_peer(given.peers, one) for one in PEERS}
        ports = {server: free_port() for server in starts}
        processes = {}
        try:
            for server, start in starts.items():
                processes[server] = process = start(model, folder, ports[server])
                took = wait(ports[server], process, server)
                every = tree(process, folder)
                unique = sum(one.memory_full_info().uss for one in every) / 1e6
                memory = sum(one.memory_info().rss for one in every) / 1e6
                print(
                    f"{server}: first answer after {took:.1f} s and "
                    f"{processor_seconds(every):.1f} CPU s, {memory:.0f} MB, {unique:.0f} its own",
                    flush=True,
                )
            loads = ((64, 1, JSON),) if given.forest else LOADS
            measure(processes, ports, loads, given.rounds, given.requests, folder)
        finally:
            for process in processes.values():
                for one in tree(process):
                    one.terminate()
                process.wait(30)
    return 0


def measure(
    processes: dict[str, subprocess.Popen[bytes]],
    ports: dict[str, int],
    loads: tuple[tuple[int, int, str], ...],
    rounds: int,
    requests: int,
    folder: Path,
) -> None:
    """Ask all in turns and print a line for each."""
    print(
        f"{'callers':>8}{'rows':>7}{'sent':>7}  {'server':<10}{'µs':>8}{'of ours':>9}{'p50 ms':>9}"
    )
    for callers, rows, kind in loads:
        sent = arrow_body(rows) if kind == ARROW else body(rows)
        count = max(50, requests // 4) if rows > 1 else max(requests, callers * 10)
        best: dict[str, float] = {}
        middle: dict[str, float] = {}
        for _ in range(rounds):
            for server, process in processes.items():
                content = body(rows, server)
                every = tree(process, folder)
                before = processor_seconds(every)
                told = (
                    (sent, callers, count, kind) if server == "ours" else (content, callers, count)
                )
                took = asyncio.run(ask(ports[server], *told))
                used = (processor_seconds(every) - before) / count * 1e6
                best[server] = min(used, best.get(server, used))
                middle[server] = min(took[len(took) // 2] * 1e3, middle.get(server, 1e9))
        for server, used in best.items():
            print(
                f"{callers:>8}{rows:>7}{'Arrow' if kind == ARROW else 'JSON':>7}  {server:<10}"
                f"{used:>8.0f}{used / best['ours']:>9.2f}{middle[server]:>9.1f}",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
