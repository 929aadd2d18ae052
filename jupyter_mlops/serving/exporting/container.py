"""A build context for a container: this server, the model, and what they need."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import jupyter_mlops
from jupyter_mlops.models.formats import hazard
from jupyter_mlops.serving.bundle import FILE, PORT
from jupyter_mlops.serving.exporting.pins import Lock
from jupyter_mlops.serving.exporting.target import Target

__all__ = ["START", "USER", "write_container", "write_server"]

USER: Final = 10001
START: Final = ("python", "-m", "jupyter_mlops.serving.bundle", "--bundle", "/bundle")
#: The rooms that a serving process imports.
_ROOMS: Final = ("models", "serving", "workspace")
#: And of another room, what tells of GPUs.
_FILES: Final = tuple(
    f"experiments/{name}" for name in ("__init__.py", "gpus/__init__.py", "gpus/devices.py")
)


def write_server(folder: Path, target: Target) -> None:
    """Copy the server's code, the model, and the file that says what is served."""
    package = Path(jupyter_mlops.__file__).parent
    place = folder / "server" / "jupyter_mlops"
    place.mkdir(parents=True)
    shutil.copy(package / "__init__.py", place)
    for room in _ROOMS:
        shutil.copytree(package / room, place / room, ignore=_only_code)
    for name in _FILES:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package / name, place / name)
    # Its version, as an installed package would tell it.
    told = folder / "server" / f"jupyter_mlops-{jupyter_mlops.__version__}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: jupyter_mlops\nVersion: {jupyter_mlops.__version__}\n"
    )
    shutil.copytree(target.path, folder / "model")
    content = {
        "format": 1,
        "endpoint": target.endpoint,
        "model": target.name,
        "version": str(target.version),
        "digest": target.digest,
        "contract": "observe",
        "pickles": bool(hazard(target.path)),
    }
    (folder / FILE).write_text(json.dumps(content, indent=1) + "\n")


def write_container(folder: Path, target: Target, lock: Lock, python: str) -> None:
    """Write the whole build context."""
    write_server(folder, target)
    (folder / "requirements.txt").write_text(lock.text)
    (folder / "Containerfile").write_text(_containerfile(target, lock, python))
    (folder / ".containerignore").write_text("README.md\n")


def _containerfile(target: Target, lock: Lock, python: str) -> str:
    release = re.match(r"\d+\.\d+(\.\d+)?", python)
    hashes = "--require-hashes " if lock.hashed else ""
    label = f'org.opencontainers.image.title="{target.endpoint}" \\\n' \
        f'      org.opencontainers.image.version="{target.version}" \\\n' \
        f'      io.jupyter-mlops.model.digest="{target.digest}"'  # fmt: skip
    probe = (
        "import urllib.request as u; "
        f"u.urlopen('http://127.0.0.1:{PORT}/v2/health/live', timeout=2)"
    )
    start = json.dumps(list(START))
    return f"""\
FROM docker.io/library/python:{release[0] if release else "3.11"}-slim

LABEL {label}

ENV PYTHONUNBUFFERED=1 \\
    PYTHONDONTWRITEBYTECODE=1 \\
    PYTHONPATH=/bundle/server

COPY requirements.txt /bundle/requirements.txt
RUN pip install --no-cache-dir --no-deps {hashes}-r /bundle/requirements.txt

COPY server /bundle/server
COPY model /bundle/model
COPY {FILE} /bundle/{FILE}

# Nobody in particular, who may write the traffic log and nothing else.
RUN mkdir /traffic && chown {USER}:{USER} /traffic
USER {USER}:{USER}
VOLUME ["/traffic"]
EXPOSE {PORT}

HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \\
    CMD ["python", "-c", "{probe}"]
ENTRYPOINT {start}
"""


def _only_code(_folder: str, names: list[str]) -> Iterable[str]:
    return [name for name in names if name == "__pycache__" or name.endswith(".pyc")]
