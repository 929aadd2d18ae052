"""Verbs that serve models and talk to endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from jupyter_mlops.verbs.table import Data, verb

if TYPE_CHECKING:
    from jupyter_mlops.serving import Endpoint, Endpoints, Feedback, Predictions
    from jupyter_mlops.workspace import Workspace


@verb("serve", writes=True)
def serve(
    ws: Workspace,
    model: str,
    *,
    name: str | None = None,
    port: int | None = None,
    key: str | None = None,
    time: str | None = None,
    contract: Literal["observe", "enforce", "off"] | None = None,
) -> Endpoint:
    """Serve a registered model over HTTP, and wait until it answers.

    The endpoint listens on this machine, asks for a token of its own, and writes down every
    prediction before it is answered. It outlives the kernel: the workspace's agent watches it.
    Serving another version under the same name replaces the one before.

    Parameters
    ----------
    model : str
        Such as delay@champion or delay@3.
    name : str
        What the endpoint is called; the model's name if not given.
    port : int
        Port on 127.0.0.1; a free one if not given.
    key : str
        A column of requests that identifies a row: logged, and joined with the truth later.
    time : str
        A column of requests that says when the thing predicted happens: drift is told by it.
    contract : str
        Rows that break the model's contract are counted (observe, when nothing is said),
        refused where a rule has no exceptions (enforce), or not looked at (off).

    Examples
    --------
    >>> %mlops serve delay@champion --key flight_id --time time_hour
    """
    from jupyter_mlops import agent, models, serving

    version = models.get(ws, model)
    generation = serving.declare(
        ws, version, name, port=port, key=key, time=time, contract=contract
    )
    return agent.bring_up(ws, name or version.name, generation)


@verb("endpoints")
def endpoints(ws: Workspace, *, name: str | None = None) -> Endpoints | Endpoint:
    """List endpoints, or show one with its traffic.

    Parameters
    ----------
    name : str
        Show this one alone: its figures, its columns and how to call it.

    Examples
    --------
    >>> %mlops endpoints
    >>> %mlops endpoints --name delay
    """
    from jupyter_mlops import serving

    return serving.list_endpoints(ws) if name is None else serving.get(ws, name)


@verb("call", writes=True)
def call(ws: Workspace, endpoint: str, data: Data, *, chunk: int = 5000) -> Predictions:
    """Send rows through an endpoint and return its answers.

    Parameters
    ----------
    endpoint : str
        Its name.
    data : Data
        Rows with the model's columns, and the endpoint's key and time columns.
    chunk : int
        Rows in one request.

    Examples
    --------
    >>> %mlops call delay {march} -o answers
    """
    from jupyter_mlops import data as rows
    from jupyter_mlops import serving

    return serving.call(ws, endpoint, rows.resolve(ws, data), chunk=chunk)


@verb("feedback", writes=True)
def feedback(ws: Workspace, endpoint: str, data: Data, *, truth: str) -> Feedback:
    """Tell an endpoint's predictions what was right.

    The same rows given twice count once; of several truths for a prediction the last counts.
    Truth may come before its prediction, and in any order.

    Parameters
    ----------
    endpoint : str
        Its name.
    data : Data
        Rows with a column prediction_id, or the endpoint's key column.
    truth : str
        The column that holds what was right.

    Examples
    --------
    >>> %mlops feedback delay {truth} --truth late
    """
    from jupyter_mlops import data as rows
    from jupyter_mlops import serving

    return serving.feedback.add(ws, endpoint, rows.resolve(ws, data), truth)


@verb("stop", writes=True)
def stop(ws: Workspace, endpoint: str) -> Endpoint:
    """Stop an endpoint; its traffic stays.

    Parameters
    ----------
    endpoint : str
        Its name.

    Examples
    --------
    >>> %mlops stop delay
    """
    from jupyter_mlops import agent, serving

    name = serving.retire(ws, endpoint)
    return agent.bring_down(ws, name)
