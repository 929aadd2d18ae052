"""An environment as a kernel that Jupyter's launcher offers."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from jupyter_mlops.experiments.environments.turns import environments_folder
from jupyter_mlops.experiments.environments.uv import surroundings_for
from jupyter_mlops.workspace import Unavailable, Workspace

__all__ = ["install_kernel", "kernel_name", "remove_kernel"]

#: By which Jupyter finds `jupyter_mlops.provisioning`.
PROVISIONER: Final = "mlops-gpu"
_SECONDS: Final = 60.0
#: ipykernel's own command, which then tells where it wrote the kernel.
_SAID: Final = " in "


def kernel_name(ws: Workspace, name: str) -> str:
    """What the kernel is called: workspaces may have environments of one name, and all see it."""
    mark = hashlib.sha256(f"{ws.root}\n{name}".encode()).hexdigest()[:8]
    return f"mlops-{name.lower()}-{mark}"


def install_kernel(
    ws: Workspace, name: str, python: Path, *, gpus: int = 0, gpu_memory: str = ""
) -> Path:
    """Have the environment's own ipykernel register itself.

    It goes where the Jupyter server that runs from our interpreter looks, or, where we may not
    write there, among the kernels of this user. Its kernels find this workspace.

    Parameters
    ----------
    gpus, gpu_memory : int, str
        What its kernels hold: whole GPUs, or memory of one. A kernel starts when it is given
        that.

    Returns
    -------
    Path
        The folder that holds its ``kernel.json``.
    """
    prefix = _prefix(ws)
    where = ["--prefix", str(prefix)] if prefix else ["--user"]
    command = [
        *(str(python), "-m", "ipykernel", "install", *where),
        *("--name", kernel_name(ws, name), "--display-name", f"{name} (jupyter-mlops)"),
        *("--env", "JUPYTER_MLOPS_WORKSPACE", str(ws.root)),
    ]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env=surroundings_for({}),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _refused(name, str(error)) from None
    folder = Path(done.stdout.strip().rpartition(_SAID)[2])
    if done.returncode != 0 or not (folder / "kernel.json").is_file():
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise _refused(name, lines[-1] if lines else f"it ended with status {done.returncode}")
    if gpus or gpu_memory:
        asked = {"gpu_memory": gpu_memory} if gpu_memory else {"gpus": gpus}
        file = folder / "kernel.json"
        spec = json.loads(file.read_text("utf-8"))
        spec.setdefault("metadata", {})["kernel_provisioner"] = {
            "provisioner_name": PROVISIONER,
            "config": asked,
        }
        file.write_text(json.dumps(spec, indent=1), "utf-8")
    return folder


def remove_kernel(folder: str, home: Path) -> bool:
    """Remove a kernel that starts an interpreter below `home`, and none but such a one."""
    if not folder:
        return False
    path = Path(folder)
    try:
        words = json.loads((path / "kernel.json").read_text("utf-8"))["argv"]
    except (OSError, ValueError, KeyError):
        return False  # it is gone already
    if not str(words[0]).startswith(f"{home}{os.sep}"):
        return False
    shutil.rmtree(path)
    return True


def _prefix(ws: Workspace) -> Path | None:
    prefix = Path(sys.prefix)
    if prefix.is_relative_to(environments_folder(ws).resolve()):
        return None  # we run in such an environment ourselves, and the server doesn't
    kernels = prefix / "share" / "jupyter" / "kernels"
    known = next(one for one in (kernels, *kernels.parents) if one.exists())
    return prefix if os.access(known, os.W_OK) else None


def _refused(name: str, why: str) -> Unavailable:
    return Unavailable(
        f"{name!r} can't be offered as a kernel",
        f"its ipykernel says: {why.rstrip('.')}",
        "check your rights in Jupyter's folders (`jupyter --paths`)",
        code="E-ENV-019",
    )
