"""The verb that says what is installed, reachable and running, and mends nothing by itself."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jupyter_mlops.verbs.table import verb
from jupyter_mlops.workspace.errors import MLOpsError, NotFound
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.verbs.place import Opener
    from jupyter_mlops.views.blocks import View
    from jupyter_mlops.workspace import Workspace

__all__ = ["Check", "Diagnosis"]

Level = Literal["info", "good", "warn", "bad"]
LOW_DISK = 1 << 30
NEEDED = ("mlflow", "evidently", "scikit-learn", "pandas", "polars", "sqlalchemy", "jupyter_server")
OPTIONAL = {
    "jupyterlab": "panels in JupyterLab: pip install jupyterlab",
    "notebook": "panels in Notebook 7: pip install notebook",
    "psycopg": "a store or tables in PostgreSQL: pip install jupyter_mlops[postgresql]",
}
# What each extra reads or does, and the package whose presence shows it.
EXTRAS = {
    "s3": ("s3fs", "s3://"),
    "gcs": ("gcsfs", "gs://"),
    "azure": ("adlfs", "az://"),
    "mysql": ("pymysql", "mysql:// and mariadb://"),
    "kafka": ("confluent-kafka", "kafka://"),
    "redis": ("redis", "redis://"),
    "nats": ("nats-py", "nats://"),
    "dask": ("dask", "Dask's frames"),
    "media": ("av", "sound and film"),
    "audio": ("soundfile", "peaks of FLAC, Ogg and MP3"),
    "cleanlab": ("cleanlab", "labels that may be wrong"),
    "pandera": ("pandera", "contracts for pandera"),
    "keyring": ("keyring", "secrets in the keyring"),
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, and what to do when it isn't well."""

    name: str
    level: Level
    found: str
    fix: str = ""


@dataclass(frozen=True)
class Diagnosis(Result):
    """Everything that was looked at."""

    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is broken."""
        return all(one.level != "bad" for one in self.checks)

    def as_view(self) -> View:
        from jupyter_mlops.views.blocks import Block, Column, Notice, Table, View

        wrong = [one for one in self.checks if one.level in {"warn", "bad"}]
        notices: list[Block] = [
            Notice(level=one.level, text=f"{one.name}: {one.found}", fix=one.fix) for one in wrong
        ]
        if not wrong:
            notices = [Notice(level="good", text="Everything that was looked at is well.")]
        words = {"good": "well", "info": "note", "warn": "look", "bad": "broken"}
        columns = [
            Column(key="name", label="What"),
            Column(key="state", label="State", kind="badge"),
            Column(key="found", label="Found"),
        ]
        rows = [
            {
                "name": one.name,
                "state": {"text": words[one.level], "level": one.level},
                "found": one.found,
            }
            for one in self.checks
        ]
        broken = sum(1 for one in self.checks if one.level == "bad")
        return View(
            kind="doctor",
            title="Doctor",
            subtitle=f"{broken} broken" if broken else "nothing broken",
            line="%mlops doctor",
            blocks=[*notices, Table(columns=columns, rows=rows)],
        )


@verb("doctor", anywhere=True)
def doctor(workspace: Opener) -> Diagnosis:
    """Look at what is installed, reachable and running, and say how to mend what isn't.

    Examples
    --------
    >>> %mlops doctor
    """
    checks = [*_installed(), *_front()]
    try:
        ws = workspace()
    except NotFound as error:
        checks.append(Check("workspace", "info", f"{error.what}; the first command makes it"))
    except MLOpsError as error:
        checks.append(_failed("workspace", error))
    else:
        checks += _of_workspace(ws)
    return Diagnosis(tuple(checks))


def _installed() -> Iterator[Check]:
    from jupyter_mlops import __version__

    yield Check("jupyter-mlops", "good", f"{__version__}, Python {platform.python_version()}")
    missing = [name for name in NEEDED if _version(name) is None]
    if missing:
        yield Check(
            "packages",
            "bad",
            f"{', '.join(missing)} not installed",
            "pip install --upgrade jupyter_mlops",
        )
    else:
        yield Check("packages", "good", ", ".join(f"{name} {_version(name)}" for name in NEEDED))
    absent = [purpose for name, purpose in OPTIONAL.items() if _version(name) is None]
    found = [f"{name} {_version(name)}" for name in OPTIONAL if _version(name) is not None]
    if shutil.which("git") is None:
        absent.append("git's state with each run: install git")
    yield Check("optional", "info", "; ".join([", ".join(found) or "none", *absent]))
    yield _extras()


def _extras() -> Check:
    """Which sources can be read, by what is installed: importing the clients takes seconds."""
    versions = {extra: _version(package) for extra, (package, _) in EXTRAS.items()}
    found = [f"{EXTRAS[one][0]} {number}" for one, number in versions.items() if number]
    missing = [extra for extra, number in versions.items() if number is None]
    text = ", ".join(found) or "none"
    if missing:
        lacks = ", ".join(EXTRAS[one][1] for one in missing)
        text = f'pip install "jupyter_mlops[{",".join(missing)}]" adds {lacks}; there: {text}'
    return Check("sources", "info" if missing else "good", text)


def _front() -> Iterator[Check]:
    """The two extensions of Jupyter, as Jupyter itself finds them."""
    yield _server_extension()
    yield _labextension()


def _server_extension() -> Check:
    if find_spec("jupyter_server") is None:
        return Check("server extension", "bad", "no Jupyter Server", "pip install jupyter_server")
    from jupyter_core.paths import jupyter_config_path
    from jupyter_server.extension.config import ExtensionConfigManager

    manager = ExtensionConfigManager(read_config_path=jupyter_config_path())
    extensions: dict[str, bool] = manager.get_jpserver_extensions()  # type: ignore[no-untyped-call]
    enabled = extensions.get("jupyter_mlops")
    if enabled:
        return Check("server extension", "good", "enabled")
    # A kernel's environment need not be the server's.
    return Check(
        "server extension",
        "warn" if enabled is None else "bad",
        "not enabled in this environment" if enabled is None else "disabled",
        "where Jupyter runs: jupyter server extension enable jupyter_mlops, then restart Jupyter",
    )


def _labextension() -> Check:
    from jupyter_core.paths import jupyter_path

    from jupyter_mlops import __version__

    for folder in jupyter_path("labextensions"):
        package = Path(folder) / "jupyter-mlops" / "package.json"
        if package.is_file():
            break
    else:
        return Check(
            "labextension",
            "warn",
            "not in this environment",
            "pip install --force-reinstall jupyter_mlops where JupyterLab runs",
        )
    try:
        found = json.loads(package.read_text("utf-8")).get("version", "?")
    except ValueError:
        found = "unreadable"
    if _lab_disabled():
        fix = "jupyter labextension enable jupyter-mlops, then reload the page"
        return Check("labextension", "bad", f"{found}, disabled", fix)
    if found.replace("-", "") != __version__.replace("-", "") and __version__ != "0.0.0":
        return Check(
            "labextension", "warn", f"{found}, but the package is {__version__}", "reinstall both"
        )
    return Check("labextension", "good", f"{found}, enabled")


def _lab_disabled() -> bool:
    from jupyter_core.paths import jupyter_config_path

    for folder in jupyter_config_path():
        page = Path(folder) / "labconfig" / "page_config.json"
        if page.is_file():
            disabled = json.loads(page.read_text("utf-8")).get("disabledExtensions", {})
            if (disabled.get("jupyter-mlops") if isinstance(disabled, dict) else None) is True:
                return True
            if isinstance(disabled, list) and "jupyter-mlops" in disabled:
                return True
    return False


def _of_workspace(ws: Workspace) -> Iterator[Check]:
    yield Check("workspace", "good", str(ws.root))
    yield _writable(ws)
    yield _disk(ws)
    for look in (_store, _audit, _tracking, _agent):
        yield _explained(look, ws)


def _explained(look: Callable[[Workspace], Check], ws: Workspace) -> Check:
    try:
        return look(ws)
    except MLOpsError as error:
        return _failed(look.__name__.strip("_"), error)


def _failed(name: str, error: MLOpsError) -> Check:
    why = f": {error.why}" if error.why else ""
    return Check(name, "bad", f"{error.what}{why} [{error.code}]", error.fix)


def _writable(ws: Workspace) -> Check:
    if os.access(ws.home, os.W_OK | os.X_OK):
        return Check("write access", "good", f"{ws.user} may write to {ws.home}")
    return Check("write access", "bad", f"{ws.home} is read-only for you", f"chmod u+w {ws.home}")


def _disk(ws: Workspace) -> Check:
    free = shutil.disk_usage(ws.home).free
    text = f"{free / (1 << 30):,.1f} GiB free"
    if free < LOW_DISK:
        return Check("disk", "warn", text, "free some space before data or traffic fill it")
    return Check("disk", "good", text)


def _store(ws: Workspace) -> Check:
    from jupyter_mlops.workspace.migrations import HEAD

    events = ws.events(limit=1, newest=True)
    count = events[0].seq if events else 0
    return Check("store", "good", f"{ws.store.place}, schema {HEAD}, {count:,} events")


def _audit(ws: Workspace) -> Check:
    audit = ws.audit()
    if audit.intact:
        return Check("audit", "good", f"{audit.events:,} events, each follows from the one before")
    return Check(
        "audit",
        "bad",
        f"event {audit.broken}: {audit.reason}",
        "restore the store from a backup taken before it was changed",
    )


def _tracking(ws: Workspace) -> Check:
    from jupyter_mlops.workspace.tracking import is_embedded, shown_uri, tracking_client

    if is_embedded(ws) and not (ws.home / "mlflow.db").exists():
        return Check("mlflow", "info", "embedded; the first run prepares it")
    tracking_client(ws).search_experiments(max_results=1)
    return Check("mlflow", "good", f"{'embedded' if is_embedded(ws) else shown_uri(ws)}")


def _agent(ws: Workspace) -> Check:
    from sqlalchemy import func, select

    from jupyter_mlops.agent import state
    from jupyter_mlops.serving.records import EndpointRecord

    found = state(ws)
    if found.running:
        return Check("agent", "good", f"process {found.pid} on {found.host}")
    query = select(func.count()).where(EndpointRecord.desired == "running")
    with ws.read() as session:
        waiting = session.scalar(query) or 0
    if waiting:
        return Check(
            "agent",
            "bad",
            f"not running, and {waiting} endpoints wait for it",
            f"jupyter mlops agent run --workspace {ws.root}",
        )
    return Check("agent", "info", "not running, and nothing needs it")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
