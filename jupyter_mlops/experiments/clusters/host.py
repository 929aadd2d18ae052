"""The process that holds a cluster: ``python -m …clusters.host ROOT NAME``.

Python imports this module in each worker too, since it is the program that began it. So it
imports nothing before it is known to be that program.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    from jupyter_mlops.experiments.clusters.hosting import main

    code = main(*sys.argv[1:3])
    sys.stderr.flush()
    # Threads of Dask's must not hold up the end.
    os._exit(code)
