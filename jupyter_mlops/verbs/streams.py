"""Verbs that let records of brokers and files flow through an endpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import verb

if TYPE_CHECKING:
    from jupyter_mlops.serving.streaming import Stream, Streams, Tally
    from jupyter_mlops.workspace import Workspace


@verb("stream", writes=True, isolated=True)
def stream(
    ws: Workspace,
    endpoint: str,
    *,
    from_: str,
    to: str,
    dead: str | None = None,
    name: str | None = None,
    batch: int = 500,
    linger: float = 0.0,
    flight: int = 4,
    patience: float = 600.0,
    follow: bool = False,
    until_idle: float | None = None,
    detach: bool = False,
) -> Stream:
    """Send records of a broker or a file through an endpoint, and its answers to another.

    The source is told that a record is done when its answer is in the sink, so a kill loses
    nothing; files, Redis, NATS and a Kafka topic of the same cluster get each answer once. An
    answer carries its record's position and key, the prediction's id, and the model's version and
    digest. Records that are refused are written elsewhere, with the reason; their neighbours
    pass. An interrupt ends the stream after what is in flight.

    Parameters
    ----------
    endpoint : str
        Its name.
    from_ : str
        Where records are, as JSON objects: kafka://HOST/TOPIC, redis://HOST/0/STREAM,
        nats://HOST/STREAM/SUBJECT, or NDJSON, CSV and Parquet files. ?start=new leaves out what
        is there already; ?field=NAME names the field of Redis entries that holds JSON.
    to : str
        Where answers go: kafka://HOST/TOPIC, redis://HOST/0/STREAM, nats://HOST/STREAM/SUBJECT,
        a file that ends in .ndjson or .csv, or a folder for Parquet files.
    dead : str
        Where refused records go; an NDJSON file in the workspace if not given.
    name : str
        What the stream is called, under which it goes on where it was; the endpoint's if not
        given.
    batch : int
        Records in one request at the most; what has arrived is sent without waiting for more.
    linger : float
        Seconds to wait for a batch to fill all the same.
    flight : int
        Batches on their way at a time, beyond which nothing is read.
    patience : float
        Seconds that the endpoint or a broker may be away.
    follow : bool
        Wait for lines that are appended to NDJSON files.
    until_idle : float
        End after so many seconds without a record.
    detach : bool
        Go on under the agent, also after this process is gone.

    Examples
    --------
    >>> %mlops stream delay --from redis://localhost/0/flights --to redis://localhost/0/answers
    >>> %mlops stream delay --from flights.ndjson --to answers.ndjson --name backfill
    """
    from jupyter_mlops.serving import streaming

    limits = streaming.Limits(batch, linger, flight, patience, until_idle)
    declared = streaming.declare(
        ws,
        endpoint,
        from_,
        to,
        name=name,
        dead=dead,
        limits=limits,
        follow=follow,
        detached=detach,
    )
    return _go(ws, declared, detach)


@verb("stream resume", writes=True, isolated=True)
def stream_resume(ws: Workspace, name: str, *, detach: bool = False) -> Stream:
    """Go on with a stream that ended, where it was.

    Parameters
    ----------
    name : str
        The stream.
    detach : bool
        Go on under the agent, also after this process is gone.

    Examples
    --------
    >>> %mlops stream resume backfill
    """
    from jupyter_mlops.serving import streaming

    return _go(ws, streaming.resume(ws, name, detached=detach), detach)


@verb("stream stop", writes=True)
def stream_stop(ws: Workspace, name: str) -> Stream:
    """End a stream after what is in flight, wherever it runs.

    Parameters
    ----------
    name : str
        The stream.

    Examples
    --------
    >>> %mlops stream stop backfill
    """
    from jupyter_mlops.serving import streaming

    return streaming.stop(ws, name)


@verb("streams")
def streams(ws: Workspace, *, name: str | None = None) -> Streams | Stream:
    """List streams with their rate, how many records wait, and dead letters; or show one.

    Parameters
    ----------
    name : str
        Show this one alone.

    Examples
    --------
    >>> %mlops streams
    >>> %mlops streams --name backfill
    """
    from jupyter_mlops.serving import streaming

    return streaming.list_streams(ws) if name is None else streaming.get(ws, name)


def _go(ws: Workspace, declared: Stream, detach: bool) -> Stream:
    from jupyter_mlops.serving import streaming

    if detach:
        from jupyter_mlops import agent

        agent.ensure(ws)
        return declared
    return streaming.run(ws, declared.name, _progress())


def _progress() -> Callable[[Stream, Tally], None] | None:
    from jupyter_mlops.verbs.progress import drawer

    draw = drawer()
    if draw is None:
        return None
    from jupyter_mlops.views.streams import Flowing

    return lambda stream, tally: draw(Flowing(stream, tally))
