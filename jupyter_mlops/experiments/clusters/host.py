"""The process that holds a cluster: ``python -m …clusters.host ROOT NAME KIND WORKERS``.

Python imports this module in each worker too, since it is the program that began it. So it
imports nothing before it is known to be that program.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    from jupyter_mlops.experiments.clusters import forking

    root, name, kind, workers = sys.argv[1:5]
    if forking.fits(kind):
        # First of all: it imports what workers need while this process does the same with Dask.
        cores = len(os.sched_getaffinity(0))
        forking.start(forking.environment(int(workers), cores))

    from jupyter_mlops.experiments.clusters.hosting import main

    code = main(root, name)
    sys.stderr.flush()
    # Threads of Dask's must not hold up the end.
    os._exit(code)
