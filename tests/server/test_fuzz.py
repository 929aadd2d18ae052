"""Somebody else's fuzzer reads our OpenAPI document and attacks a live server with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from jupyter_mlops.verbs.table import all_verbs

TOKEN = "0123456789abcdef"
# Each request of these imports MLflow, or does to the machine what is asked; other tests ask them.
COSTLY = {
    "register", "models", "compare", "serve", "call", "drift", "endpoints", "doctor",
    "train", "experiment", "experiment resume", "verify", "report", "cluster start",
    "env create", "env lock", "env check",
}  # fmt: skip
ISOLATED = {one.name for one in all_verbs().values() if one.isolated}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a Jupyter Server with the extension, below a prefix."""
    root = tmp_path_factory.mktemp("root")
    (root / "a.csv").write_text("x,y\n1,2\n")
    home = tmp_path_factory.mktemp("home")
    environment = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home),
        "JUPYTER_DATA_DIR": str(home),
        "JUPYTER_RUNTIME_DIR": str(home),
    }
    arguments = [
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        "--port=0",
        f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={root}",
        "--ServerApp.base_url=/user/a@b/",
        "--ServerApp.jpserver_extensions={'jupyter_mlops': True}",
        "--ServerApp.allow_unauthenticated_access=False",
        "--MLOpsApp.start_agent=False",
    ]
    log = home / "log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "jupyter_server", *arguments]
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=out, stderr=out)
    try:
        yield _address(log, process)
    finally:
        process.terminate()
        process.wait(60)
    assert "Traceback" not in log.read_text("utf-8", "replace")


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    import time

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+/user/a(%40|@)b/", log.read_text("utf-8"))
        if found:
            return found.group()
        time.sleep(0.1)
    raise AssertionError(log.read_text("utf-8"))


def attack(server: str, folder: Path, *options: str) -> None:
    """Let the fuzzer go through some paths, and show what it found."""
    document = f"{server}mlops/api/openapi.json"
    headers = {"Authorization": f"token {TOKEN}"}
    assert httpx.get(document, headers=headers, timeout=60).status_code == 200
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        document,
        f"--header=Authorization: token {TOKEN}",
        "--checks=not_a_server_error,status_code_conformance,content_type_conformance,"
        "response_schema_conformance,unsupported_method",
        "--seed=1",
        "--request-timeout=60",
        "--suppress-health-check=all",
        "--no-color",
        *options,
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=840)
    assert done.returncode == 0, done.stdout[:9000] + done.stderr[-2000:]


def paths(names: set[str]) -> str:
    """A pattern of the paths of some verbs."""
    return f"/verbs/({'|'.join(sorted(names)).replace(' ', '-')})$"


# Every verb has its turn: a minute or two, on a machine that does nothing else.
@pytest.mark.timeout(900)
def test_schemathesis_finds_nothing(server: str, tmp_path: Path) -> None:
    attack(
        server,
        tmp_path,
        f"--exclude-path-regex={paths(COSTLY | ISOLATED)}",
        "--phases=examples,coverage,fuzzing",
        "--max-examples=8",
    )


# Each request that is well formed starts a process, which imports for seconds.
@pytest.mark.timeout(900)
def test_schemathesis_finds_nothing_in_verbs_that_have_a_process(
    server: str, tmp_path: Path
) -> None:
    attack(
        server,
        tmp_path,
        f"--include-path-regex={paths(ISOLATED - COSTLY)}",
        "--phases=fuzzing",
        "--max-examples=3",
    )
