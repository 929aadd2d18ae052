"""Ask an endpoint about a whole table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import polars as pl

from jupyter_mlops.data import Table, numpy_pandas
from jupyter_mlops.serving.endpoints import Endpoint, get
from jupyter_mlops.serving.ids import CALLER, REPLAYED
from jupyter_mlops.serving.places import token
from jupyter_mlops.workspace import Invalid, Result, Unavailable, Workspace, closest
from jupyter_mlops.workspace.records import new_id

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Predictions", "call", "check_running", "open_client"]

CHUNK = 5_000
# An endpoint that is replaced or restarted comes back within this time.
PATIENCE = 20.0


@dataclass(frozen=True)
class Predictions(Result):
    """The answers to a table.

    Attributes
    ----------
    endpoint : str
    rows : polars.DataFrame
        ``prediction_id, prediction, probability`` and the endpoint's key and time columns.
    versions : dict of str to int
        How many rows each version of the model answered.
    seconds : float
        How long it took.
    classes : tuple, optional
        Class labels; `probability` is of the second of two, or a list of all.
    """

    endpoint: str
    rows: pl.DataFrame
    versions: dict[str, int]
    seconds: float
    classes: tuple[Any, ...] | None
    warnings: tuple[str, ...] = ()

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The answers as a pandas frame."""
        return numpy_pandas(self.rows)

    def __len__(self) -> int:
        return self.rows.height


def call(
    ws: Workspace,
    endpoint: str,
    data: Table,
    *,
    chunk: int = CHUNK,
    progress: Callable[[int, int], None] | None = None,
    replayed: bool = False,
) -> Predictions:
    """Send a table through an endpoint, chunk by chunk.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    data : Table
        With the model's columns, and the endpoint's key and time columns. Others stay here.
    chunk : int
        Rows in a request.
    progress : callable, optional
        ``progress(done, total)`` after each chunk.
    replayed : bool
        These are rows asked about again, to see whether the answers are the same: nobody who
        reads the traffic takes them for requests.

    Returns
    -------
    Predictions

    Raises
    ------
    Invalid
        Columns are missing, or the endpoint refused a row; says which.
    Unavailable
        The endpoint does not run, or went away; says how many rows were answered.
    """
    found = get(ws, endpoint)
    if not 1 <= chunk <= ws.settings.row_limit:
        raise Invalid(
            f"a request cannot hold {chunk:,} rows",
            fix=f"choose a chunk from 1 to {ws.settings.row_limit:,}",
            code="E-SERVE-040",
        )
    check_running(found)
    frame = _columns(found, data)
    asking = _Asking(ws, found, replayed=replayed)
    parts: list[pl.DataFrame] = []
    started = time.perf_counter()
    done = 0
    with asking.client:
        for rows in frame.iter_slices(chunk):
            parts.append(asking.ask(rows, done, frame.height))
            done += rows.height
            if progress is not None:
                progress(done, frame.height)
    kept = [name for name in (found.key, found.time) if name and name in frame.columns]
    answers = pl.concat(parts, how="vertical_relaxed")
    return Predictions(
        endpoint=found.name,
        rows=pl.concat([frame.select(kept), answers], how="horizontal"),
        versions=asking.versions,
        seconds=time.perf_counter() - started,
        classes=asking.classes,
        warnings=tuple(asking.warnings),
    )


def open_client(ws: Workspace, endpoint: str) -> httpx.Client:
    """Return an HTTP client that sends an endpoint its token; threads may share it.

    Raises
    ------
    Unavailable
        The token cannot be read.
    """
    return httpx.Client(
        headers={
            b"authorization": f"Bearer {token(ws, endpoint)}".encode(),
            b"content-type": b"application/json",
            # Not everybody's name is in ASCII, and httpx writes nothing else by itself.
            CALLER.encode(): ws.user.encode(),
        },
        timeout=httpx.Timeout(300.0, connect=5.0),
        trust_env=False,
    )


class _Asking:
    """One conversation with an endpoint."""

    def __init__(self, ws: Workspace, endpoint: Endpoint, *, replayed: bool) -> None:
        self.ws = ws
        self.replayed = replayed
        self.endpoint = endpoint
        self.versions: dict[str, int] = {}
        self.classes: tuple[Any, ...] | None = None
        self.warnings: dict[str, None] = {}
        self.client = open_client(ws, endpoint.name)

    def ask(self, rows: pl.DataFrame, done: int, total: int) -> pl.DataFrame:
        """Ask about one chunk, whose first row is number `done` of the table."""
        body = orjson.dumps(
            {"inputs": {name: _values(rows[name]) for name in rows.columns}},
            option=orjson.OPT_SERIALIZE_NUMPY,
        )
        answer = self._post(body, done, total)
        if answer.status_code != 200:
            raise self._refused(answer, done, rows.height)
        said = orjson.loads(answer.content)
        version = str(said["model"]["version"])
        self.versions[version] = self.versions.get(version, 0) + rows.height
        self.classes = tuple(said["classes"]) if "classes" in said else None
        self.warnings.update(dict.fromkeys(said.get("warnings", ())))
        columns = {"prediction_id": said["prediction_ids"], "prediction": said["predictions"]}
        if "probabilities" in said:
            columns["probability"] = said["probabilities"]
        return pl.DataFrame(columns)

    def _post(self, body: bytes, done: int, total: int) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.client.post(
                    f"{self.endpoint.url}/invocations",
                    content=body,
                    headers={"x-request-id": REPLAYED + new_id()} if self.replayed else None,
                )
            except httpx.ConnectError as error:
                # Nothing was sent, so nothing is asked twice.
                if time.monotonic() > deadline:
                    raise self._away(done, total, error) from error
                time.sleep(0.2)
                self.endpoint = get(self.ws, self.endpoint.name)
                check_running(self.endpoint)
            except httpx.HTTPError as error:
                raise self._away(done, total, error) from error

    def _away(self, done: int, total: int, error: Exception) -> Unavailable:
        return Unavailable(
            f"endpoint '{self.endpoint.name}' went away after {done:,} of {total:,} rows",
            f"{type(error).__name__}: {error}" if str(error) else type(error).__name__,
            f"`%mlops endpoints --name {self.endpoint.name}` shows its state; call again with "
            f"the rows from {done:,} on",
            code="E-SERVE-041",
        )

    def _refused(self, answer: httpx.Response, done: int, count: int) -> Exception:
        try:
            message = str(answer.json()["message"])
        except (ValueError, KeyError, TypeError):
            message = f"HTTP status {answer.status_code}"
        where = f"rows {done:,} to {done + count - 1:,}"
        kind = Invalid if answer.status_code in (400, 413, 422) else Unavailable
        return kind(
            f"endpoint '{self.endpoint.name}' refused {where}",
            f"{message} (rows counted from {done:,})" if done else message,
            code="E-SERVE-042",
        )


def check_running(endpoint: Endpoint) -> None:
    """Refuse to ask an endpoint that was told to stop or failed.

    Raises
    ------
    Unavailable
        It was; says how it is started.
    """
    if endpoint.state in ("stopped", "stopping", "failed"):
        raise Unavailable(
            f"endpoint '{endpoint.name}' is {endpoint.state}",
            endpoint.reason,
            f"`%mlops serve {endpoint.model}@{endpoint.version} --name {endpoint.name}` starts it",
            code="E-SERVE-043",
        )


def _columns(endpoint: Endpoint, data: Table) -> pl.DataFrame:
    """Take the columns the endpoint asks for, in its types where that loses nothing."""
    have = data.scan().collect_schema().names()
    wanted = {name: kind for name, kind, _ in endpoint.inputs}
    extra = [name for name in (endpoint.key, endpoint.time) if name and name not in wanted]
    roles = {endpoint.key: "logs it as its key", endpoint.time: "logs it as its time"}
    for name in [*(name for name, _, required in endpoint.inputs if required), *extra]:
        if name not in have:
            raise Invalid(
                f"the data has no column {name!r}",
                f"endpoint '{endpoint.name}' {roles.get(name, 'gives it to the model')}",
                closest(name, have) or f"its columns are {', '.join(have[:20])}",
                code="E-SERVE-044",
            )
    columns = [name for name in [*wanted, *extra] if name in have]
    frame = data.scan().select(columns).collect()
    if frame.height == 0:
        raise Invalid("the data holds no rows", fix="give at least one", code="E-SERVE-045")
    return frame.with_columns(list(_cast(frame, wanted)))


def _cast(frame: pl.DataFrame, wanted: dict[str, str]) -> Iterator[pl.Expr]:
    for name, dtype in frame.schema.items():
        column = pl.col(name)
        if dtype == pl.Categorical or isinstance(dtype, pl.Enum):
            yield column.cast(pl.String)
        elif dtype.is_decimal():
            yield column.cast(pl.Float64)
        elif isinstance(dtype, pl.Datetime):
            zone = "%:z" if dtype.time_zone else ""
            yield column.dt.strftime(f"%Y-%m-%dT%H:%M:%S%.6f{zone}")
        elif dtype == pl.Date:
            yield column.dt.strftime("%Y-%m-%d")
        elif dtype == pl.Boolean and wanted.get(name) in ("double", "float", "long", "integer"):
            yield column.cast(pl.Int8)


def _values(column: pl.Series) -> Any:
    """Numbers without holes go as an array, which is written without making objects of them."""
    if column.dtype.is_numeric() and column.null_count() == 0:
        return column.rechunk().to_numpy()
    return column.to_list()
