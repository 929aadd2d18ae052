from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

sys.path.insert(0, str(Path(__file__).parent))

import served

from jupyter_mlops.serving.process import build, take_port
from jupyter_mlops.serving.shortway import http_for


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of flights: hour (long), distance (double), carrier (string)."""
    table = served.flights()
    return served.save_model(tmp_path_factory.mktemp("model") / "m", table, served.late(table))


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version that was taught the opposite, and knows no other carriers."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    table = served.flights(seed=9)
    folder = tmp_path_factory.mktemp("other") / "m"
    encoder = OneHotEncoder(handle_unknown="error")
    return served.save_model(
        folder, table, ~served.late(table), LogisticRegression(C=0.1), encoder=encoder
    )


@pytest.fixture(scope="session")
def client(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[served.Client]:
    """The endpoint on a real port, in a thread of the test's own process."""
    endpoint = build(served.config(model, tmp_path_factory.mktemp("endpoint")))
    listener = take_port(0)
    port = listener.getsockname()[1]
    application = endpoint.application(port)
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            http=http_for(endpoint, application),
            lifespan="off",
            log_config=None,
            # A connection that a test left open must not hold up the end.
            timeout_graceful_shutdown=2,
        )
    )
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True
    )
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with served.Client(f"http://127.0.0.1:{port}", endpoint) as client:
        yield client
    server.should_exit = True
    thread.join(60)
    endpoint.board.close()


@pytest.fixture(scope="session")
def endpoint(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[served.Running]:
    """An endpoint process with a key and a time column."""
    folder = tmp_path_factory.mktemp("running")
    with served.running(served.config(model, folder, key="flight", time="when"), folder) as it:
        yield it
