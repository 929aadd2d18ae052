"""The process that holds the model: ``python -m jupyter_mlops.serving.batch.worker``.

Its first line of input is a `Spec`, each further line a part; it answers each with one line.
It ends when its input does, also when whoever started it was killed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import threading
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from jupyter_mlops.serving.batch.job import Spec
from jupyter_mlops.serving.batch.scoring import Scored, Scorer
from jupyter_mlops.workspace.errors import MLOpsError

__all__ = ["error_of", "main", "score_on_cluster"]

_loaded: dict[str, Scorer] = {}
_loading = threading.Lock()


def error_of(error: Exception) -> dict[str, str]:
    """What went wrong, as it goes over a pipe."""
    if isinstance(error, MLOpsError):
        return {**error.as_dict(), "kind": type(error).__name__}
    traceback.print_exception(error, file=sys.stderr)
    return {
        "kind": "Unavailable",
        "what": "a part can't be predicted",
        "why": f"{type(error).__name__}: {str(error)[:300]}",
        "fix": "",
        "code": "E-BATCH-004",
    }


def _outcome(scored: Scored, write: Callable[[str, pl.DataFrame], Any]) -> Any:
    files = {}
    for kind, frame in (("answers", scored.answers), ("rejected", scored.rejected)):
        if frame.height:
            files[kind] = write(kind, frame)
    return {
        "rows": scored.answers.height,
        "rejected": scored.rejected.height,
        "files": files,
        "violations": scored.violations,
        "classes": scored.classes,
    }


def _write(frame: pl.DataFrame, target: Any, spec: Spec) -> None:
    told = {"jupyter_mlops": json.dumps({"job": spec.job, "model": spec.model,
                                         "digest": spec.digest})}  # fmt: skip
    frame.write_parquet(target, compression="zstd", compression_level=1, metadata=told)


def score_on_cluster(spec: str, model: bytes | None, start: int, rows: Any) -> dict[str, Any]:
    """Answer a part in a Dask worker, which loads the model once.

    Parameters
    ----------
    spec : str
        JSON of a `Spec`.
    model : bytes, optional
        A ZIP of the model's folder, for a worker that doesn't share our disk.
    start : int
    rows : polars.LazyFrame or bytes
        Where the rows are, or themselves as Arrow IPC.
    """
    try:
        told = Spec.read(spec)
        scorer = _scorer(told, model)
        lazy = rows if isinstance(rows, pl.LazyFrame) else pl.read_ipc(io.BytesIO(rows)).lazy()
        frame = lazy.collect()
        with _loading:  # a scorer counts violations by part
            scored = scorer.score(frame, start)

        def write(_kind: str, some: pl.DataFrame) -> dict[str, Any]:
            target = io.BytesIO()
            _write(some, target, told)
            content = target.getvalue()
            digest = hashlib.sha256(content).hexdigest()
            return {"content": content, "sha256": digest, "size": len(content)}

        found: dict[str, Any] = _outcome(scored, write)
    except Exception as error:
        return {"error": error_of(error)}
    return found


def _scorer(spec: Spec, model: bytes | None) -> Scorer:
    with _loading:
        found = _loaded.get(spec.job)
        if found is None:
            if model is not None:
                spec = Spec(**{**vars(spec), "path": str(_unpacked(model, spec.digest))})
            _loaded.clear()
            found = _loaded[spec.job] = Scorer(spec)
        return found


def _unpacked(model: bytes, digest: str) -> Path:
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="jupyter-mlops-")) / digest
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        archive.extractall(folder)
    return folder


def main() -> int:
    """Answer the parts that standard input names."""
    # What a model prints must not come between our lines.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lines = sys.stdin.buffer
    scorer: Scorer | None = None
    spec = Spec.read(lines.readline())
    for line in lines:
        task = json.loads(line)

        def write(kind: str, frame: pl.DataFrame, task: Any = task) -> dict[str, Any]:
            path = Path(task[kind])
            _write(frame, path, spec)
            with path.open("rb") as file:
                os.fsync(file.fileno())
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            return {"path": str(path), "sha256": digest, "size": path.stat().st_size}

        try:
            scorer = scorer or Scorer(spec)
            frame = pl.read_ipc(task["rows"])
            answer = _outcome(scorer.score(frame, task["start"]), write)
            del frame
        except Exception as error:
            answer = {"error": error_of(error)}
        print(json.dumps({"part": task["part"], **answer}), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
