"""The least that answers `POST /invocations`: Starlette, orjson and natural batching.

Usage: ``python benchmarks/bare_server.py MODEL PORT``. It believes every caller, checks nothing
and remembers nothing: what a real endpoint is measured against.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import orjson
import skops.io
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MODEL = skops.io.load(Path(sys.argv[1]) / "model.skops", trusted=[])
waiting: deque[tuple[np.ndarray, asyncio.Future[np.ndarray]]] = deque()
thread = ThreadPoolExecutor(1)
busy = False


def next_batch() -> None:
    """Predict whatever has arrived."""
    global busy
    busy = bool(waiting)
    if not waiting:
        return
    batch = list(waiting)
    waiting.clear()
    rows = np.concatenate([one for one, _ in batch])
    work = asyncio.get_running_loop().run_in_executor(thread, MODEL.predict_proba, rows)

    def settle(done: asyncio.Future[np.ndarray]) -> None:
        start = 0
        for one, future in batch:
            future.set_result(done.result()[start : start + len(one)])
            start += len(one)
        next_batch()

    work.add_done_callback(settle)


async def invocations(request: Request) -> Response:
    """Answer rows of numbers."""
    told = orjson.loads(await request.body())
    rows = np.asarray(told["dataframe_split"]["data"], dtype=float)
    future: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
    waiting.append((rows, future))
    if not busy:
        next_batch()
    answer = np.ascontiguousarray((await future)[:, 1])
    body = orjson.dumps({"predictions": answer}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json")


if __name__ == "__main__":
    # Names are for callers; rows are arrays here.
    if hasattr(MODEL, "feature_names_in_"):
        del MODEL.feature_names_in_
    app = Starlette(routes=[Route("/invocations", invocations, methods=["POST"])])
    uvicorn.run(
        app, port=int(sys.argv[2]), loop="uvloop", http="httptools", log_config=None,
        access_log=False,
    )  # fmt: skip
