"""From the log's hot segments to Parquet."""

from __future__ import annotations

import contextlib
import ctypes
import io
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jupyter_mlops.serving.config import FRESH, SHADOW
from jupyter_mlops.serving.journal import SUFFIX, abandoned, read_segment
from jupyter_mlops.serving.places import traffic_folder, traffic_root
from jupyter_mlops.workspace import Workspace

__all__ = ["COLD", "compact", "compact_all", "with_version"]

COLD = "log"


def compact_all(ws: Workspace) -> int:
    """Compact what every endpoint of the workspace has finished; return how many segments."""
    root = traffic_root(ws)
    # A shadow logs below its endpoint, apart from what was answered.
    folders = [*root.glob(f"*/{FRESH}"), *root.glob(f"*/{SHADOW}/{FRESH}")]
    done = sum(compact(ws, path.parent.relative_to(root).as_posix()) for path in folders)
    if done:
        _give_back()
    return done


def _give_back() -> None:
    """Return freed memory to the system: small batches leave half a gigabyte in the allocator."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        # Only glibc has it, and only glibc needs it.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def compact(ws: Workspace, name: str) -> int:
    """Turn the finished segments of an endpoint into Parquet files.

    Parameters
    ----------
    ws : Workspace
    name : str
        The endpoint, or ``NAME/shadow`` for its shadow.

    Returns
    -------
    int
        How many segments there were.

    Notes
    -----
    A segment is removed only when its Parquet file is durable under its final name; a crash
    between leaves both, and readers then take the Parquet file alone.
    """
    done = 0
    for path in sorted((traffic_folder(ws, name) / FRESH).glob(f"*{SUFFIX}")):
        if not abandoned(path):
            continue
        reading = read_segment(path)
        if reading.table is not None and reading.table.num_rows:
            content = io.BytesIO()
            pq.write_table(with_version(reading.table), content, compression="zstd")
            ws.traffic.write_bytes(f"{name}/{COLD}/{path.stem}.parquet", content.getvalue())
        if reading.damaged:
            print(f"{path}: {reading.ignored:,} bytes are damaged", file=sys.stderr, flush=True)
            path.rename(path.with_suffix(".damaged"))
        else:
            path.unlink()
        done += 1
    return done


def with_version(table: pa.Table) -> pa.Table:
    """Put the version and the share logged, which a segment's schema names, into columns."""
    told = table.schema.metadata or {}
    version = told.get(b"version", b"").decode()
    column = pa.array([version] * table.num_rows, pa.string())
    at = table.schema.get_field_index("prediction")
    table = table.add_column(at, "version", column)
    share = np.full(table.num_rows, float(told.get(b"share", b"1")))
    return table.add_column(at + 1, "share", pa.array(share))
