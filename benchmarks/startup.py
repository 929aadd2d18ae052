"""How long loading takes: ``%load_ext jupyter_mlops`` and the server extension, against peers.

Usage: ``python benchmarks/startup.py [--rounds 9] [--peers PYTHON]``

Each figure is the median of processes of their own, taken in turn so that a busy machine
slows all of them alike. Loading is what the server itself does to find an extension's entry
points, which imports the package and its application. What a Jupyter Server has loaded anyway
(``jupyter_server.serverapp``) and what a kernel has loaded anyway (IPython) is imported before
the clock starts. Peers are jupyter-scheduler and jupyterlab-mlflow; ``--peers`` names a Python
that has them.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

SERVER = """
import time, jupyter_server.serverapp
from jupyter_server.extension.manager import ExtensionPackage
start = time.perf_counter()
package = ExtensionPackage(name="{module}", enabled=True)
assert package.extension_points
assert all(point.module for point in package.extension_points.values())
print(time.perf_counter() - start)
"""
MAGIC = """
import time
from IPython.core.interactiveshell import InteractiveShell
import ipykernel.zmqshell
shell = InteractiveShell.instance()
start = time.perf_counter()
shell.run_line_magic("load_ext", "{module}")
print(time.perf_counter() - start)
"""
LIMITS = {"%load_ext jupyter_mlops": 0.150, "server extension jupyter_mlops": 0.300}


def seconds(python: str, code: str) -> float | None:
    """One measurement in a new process; None where the module isn't installed."""
    done = subprocess.run([python, "-W", "ignore", "-c", code], capture_output=True, text=True)
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def main() -> int:
    """Measure, print the table, and fail when a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", default=sys.executable, help="a Python that has the peers")
    given = parser.parse_args()
    tasks = {
        "%load_ext jupyter_mlops": (sys.executable, MAGIC.format(module="jupyter_mlops")),
        "server extension jupyter_mlops": (sys.executable, SERVER.format(module="jupyter_mlops")),
        "server extension jupyter_scheduler": (
            given.peers,
            SERVER.format(module="jupyter_scheduler"),
        ),
        "server extension jupyterlab_mlflow": (
            given.peers,
            SERVER.format(module="jupyterlab_mlflow"),
        ),
    }
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for at in range(given.rounds + 1):
        for name, (python, code) in tasks.items():
            found = seconds(python, code)
            if found is not None and at > 0:  # the first round warms the disk's cache
                taken[name].append(found)
    medians = {name: statistics.median(found) for name, found in taken.items() if found}
    ours = medians["server extension jupyter_mlops"]
    print(f"{'what':40} {'median':>9} {'best':>9}   ratio to ours")
    for name, median in medians.items():
        ratio = f"{median / ours:.1f}" if name.startswith("server") else ""
        print(f"{name:40} {1000 * median:6.0f} ms {1000 * min(taken[name]):6.0f} ms   {ratio}")
    slow = [name for name, limit in LIMITS.items() if medians[name] > limit]
    for name in slow:
        print(f"too slow: {name} took more than {1000 * LIMITS[name]:.0f} ms", file=sys.stderr)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
