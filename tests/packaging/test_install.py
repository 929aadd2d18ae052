"""The wheel and the sdist install where there is no Node, and Jupyter finds both extensions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
UV = shutil.which("uv") or str(CHECKOUT / ".uv" / "bin" / "uv")


def run(*command: str | Path, **variables: str) -> str:
    """What a command prints; fails with that when the command does."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd="/",
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--quiet", "--out-dir", folder, CHECKOUT)
    return folder


@pytest.fixture(scope="session")
def no_node(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH whose node, npm and yarn fail when they are called."""
    folder = tmp_path_factory.mktemp("no-node")
    for name in ("node", "npm", "npx", "yarn", "jlpm", "corepack"):
        script = folder / name
        script.write_text(f"#!/bin/sh\necho {name} was called >&2\nexit 97\n")
        script.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def environment(folder: Path, package: Path, path: str) -> Path:
    """An environment that holds the package; the rest it sees in this one."""
    run(UV, "venv", "--quiet", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    purelib = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    run(UV, "pip", "install", "--quiet", "--no-deps", "--python", python, package, PATH=path)
    # Ours comes first on the path, so that the installed package is what is tested.
    Path(purelib, "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.mark.parametrize("pattern", ["*.whl", "*.tar.gz"])
def test_it_installs_without_node_and_jupyter_finds_it(
    packages: Path, no_node: str, tmp_path: Path, pattern: str
) -> None:
    (package,) = packages.glob(pattern)
    python = environment(tmp_path / "venv", package, no_node)
    where = run(python, "-c", "import jupyter_mlops; print(jupyter_mlops.__file__)").strip()
    assert Path(where).is_relative_to(tmp_path)
    private = {"HOME": str(tmp_path), "PATH": no_node, "JUPYTER_PATH": ""}
    shown = run(python, "-m", "jupyterlab.labextensions", "list", **private)
    ours = next(line for line in shown.splitlines() if "jupyter-mlops v" in line)
    assert "enabled" in ours
    assert "OK" in ours
    assert str(tmp_path / "venv") in shown
    shown = run(python, "-m", "jupyter_server.extension.serverextension", "list", **private)
    lines = shown.splitlines()
    assert any("jupyter_mlops" in line and "OK" in line for line in lines)
    assert any("jupyter_mlops" in line and "enabled" in line for line in lines)


def test_the_wheel_holds_the_front_end_once(packages: Path) -> None:
    (wheel,) = packages.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    entries = [name for name in names if name.endswith("static/style.js")]
    assert len(entries) == 1
    assert "/share/jupyter/labextensions/jupyter-mlops/" in entries[0]
    assert any(name.endswith("jupyter_server_config.d/jupyter_mlops.json") for name in names)
    assert any(name.endswith("jupyter-mlops/install.json") for name in names)
    assert not any("node_modules" in name or name.startswith("tests/") for name in names)
