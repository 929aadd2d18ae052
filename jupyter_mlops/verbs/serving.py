"""Verbs that serve models and talk to endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from jupyter_mlops.verbs.table import Data, Rest, verb

if TYPE_CHECKING:
    from jupyter_mlops.models import ModelVersion
    from jupyter_mlops.serving import Endpoint, Endpoints, Feedback, Predictions
    from jupyter_mlops.serving.logs import EndpointLog
    from jupyter_mlops.serving.trying import Tried
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
    canary: str | None = None,
    shadow: str | None = None,
    replicas: int | None = None,
    memory: str | None = None,
    env: str | None = None,
    canary_env: str | None = None,
    shadow_env: str | None = None,
    gpus: int | None = None,
    gpu_memory: str | None = None,
    log: Literal["required", "best-effort", "off"] | None = None,
    redact: list[str] | None = None,
    log_sample: str | None = None,
    keep: str | None = None,
    grpc: str | None = None,
    seconds: float | None = None,
    queue: int | None = None,
    other_columns: bool = False,
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
    canary : str
        A version that answers a share of the requests, such as 4:10%, the same one for the same
        key; it is withdrawn by itself when it does worse. `off` ends it.
    shadow : str
        A version that predicts what is asked, and is compared with what is answered. `off` ends
        it.
    replicas : int
        Processes of each version; 1 when nothing is said. Each computes with one thread, unless
        the agent was started with `OMP_NUM_THREADS`.
    memory : str
        What each process may take at most, such as 2GB.
    env : str
        The environment that the model runs in, as `env create` made it, whatever its packages
        are; `off` for the agent's own. The one it was trained in if not given.
    canary_env : str
        That of the canary.
    shadow_env : str
        That of the shadow.
    gpus : int
        GPUs that the endpoint holds while it runs; it starts when it is given them.
    gpu_memory : str
        Instead, memory of one GPU, such as 8GB, that its processes share; 0 for none any more.
    log : str
        When the disk is full, nothing is answered that can't be logged (required, when nothing
        is said), or it is answered and counted (best-effort). With off nothing is logged, and
        there is no feedback, drift or skew to tell.
    redact : list[str]
        Columns that are never written down, such as name,hash:email: of the second a keyed hash
        is, which joins all the same. `caller` stands for who asked. `off` ends it. What was
        logged before stays.
    log_sample : str
        Which share of the rows is logged, such as 10%: always the same keys.
    keep : str
        How long the log is kept, how large it grows, or both: 90d,50GB. `forever` ends it.
    grpc : str
        Answer the Open Inference Protocol over gRPC, too: `on` takes a free port, a number that
        port on 127.0.0.1; `off` ends it.
    seconds : float
        Time that a process has for one batch; then it is ended, its request is answered 504, and
        another process is started. 60 when nothing is said.
    queue : int
        Rows that may wait for a process; more are refused with 429. 400,000 when nothing is said.
    other_columns : bool
        Callers send the columns that this version takes, although the one that is served now
        doesn't take them; without it such a version is refused.

    Examples
    --------
    >>> %mlops serve delay@champion --key flight_id --time time_hour
    >>> %mlops serve delay@3 --canary 4:10%
    >>> %mlops serve delay@3 --env old --gpu-memory 8GB
    >>> %mlops serve delay@3 --redact name,hash:email --log-sample 10% --keep 90d
    >>> %mlops serve delay@3 --grpc on
    >>> %mlops serve delay@3 --memory 2GB --seconds 5 --queue 10000
    """
    from jupyter_mlops import agent, models, serving
    from jupyter_mlops.serving import zygote

    # They import what they need while MLflow is imported here.
    zygote.warm()
    agent.ensure(ws)
    version = models.get(ws, model)
    generation = serving.declare(
        ws,
        version,
        name,
        port=port,
        key=key,
        time=time,
        contract=contract,
        canary=_canary(ws, version.name, canary),
        shadow=_shadow(ws, version.name, shadow),
        replicas=replicas,
        max_memory=None if memory is None else _bytes(memory),
        env=env,
        canary_env=canary_env,
        shadow_env=shadow_env,
        gpus=gpus,
        gpu_memory=gpu_memory,
        own=agent.interpreter(ws),
        log=log,
        redact=redact,
        log_sample=log_sample,
        keep=keep,
        grpc=_grpc(grpc),
        seconds=seconds,
        queue=queue,
        other_columns=other_columns,
    )
    return agent.bring_up(ws, name or version.name, generation)


def _version(ws: Workspace, model: str, told: str) -> ModelVersion:
    """A version by its number or alias, or as ``model@version``."""
    from jupyter_mlops import models

    return models.get(ws, told if "@" in told else f"{model}@{told}")


def _shadow(ws: Workspace, model: str, told: str | None) -> ModelVersion | Literal["off"] | None:
    if told is None or told == "off":
        return None if told is None else "off"
    return _version(ws, model, told)


def _bytes(told: str) -> int:
    from dask.utils import parse_bytes

    try:
        return int(parse_bytes(told))
    except ValueError:
        from jupyter_mlops.workspace import Invalid

        raise Invalid(
            f"--memory can't be {told!r}", fix="write for example 2GB", code="E-SERVE-038"
        ) from None


def _grpc(told: str | None) -> int | Literal["off"] | None:
    if told is None or told == "off":
        return None if told is None else "off"
    if told != "on" and not told.isdecimal():
        from jupyter_mlops.workspace import Invalid

        raise Invalid(
            f"--grpc can't be {told!r}", fix="write on, off or a port", code="E-SERVE-069"
        )
    return 0 if told == "on" else int(told)


def _canary(
    ws: Workspace, model: str, told: str | None
) -> tuple[ModelVersion, float] | Literal["off"] | None:
    if told is None or told == "off":
        return None if told is None else "off"
    named, _, share = told.rpartition(":")
    try:
        weight = float(share.removesuffix("%")) / (100 if share.endswith("%") else 1)
    except ValueError:
        named = ""
    if not named:
        from jupyter_mlops.workspace import Invalid

        raise Invalid(
            f"--canary can't be {told!r}",
            fix="write a version and its share, such as 4:10%",
            code="E-SERVE-037",
        )
    return _version(ws, model, named), weight


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
    from dataclasses import replace

    from jupyter_mlops import serving

    if name is None:
        return serving.list_endpoints(ws)
    from jupyter_mlops.monitoring.watch import watch_of

    found = serving.get(ws, name)
    return replace(found, watch=watch_of(ws, found.name))


@verb("endpoint logs")
def endpoint_logs(ws: Workspace, endpoint: str, *, lines: int = 200) -> EndpointLog:
    """Show the last lines that an endpoint's gateway and its models' processes wrote.

    Parameters
    ----------
    endpoint : str
        Its name.
    lines : int
        How many, 2,000 at most.

    Examples
    --------
    >>> %mlops endpoint logs delay --lines 50
    """
    from jupyter_mlops.serving.logs import read_log

    return read_log(ws, endpoint, lines)


@verb("endpoint try", writes=True)
def try_row(ws: Workspace, endpoint: str, row: Rest = "") -> Tried:
    """Ask an endpoint about one row; it is checked, answered and logged as any other request.

    Without a row the model's input example is asked.

    Parameters
    ----------
    endpoint : str
        Its name.
    row : str
        Values by column, such as hour=17 carrier=AA, or a JSON object.

    Examples
    --------
    >>> %mlops endpoint try delay hour=17 distance=300
    """
    from jupyter_mlops.serving import trying

    return trying.try_row(ws, endpoint, row)


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
def feedback(
    ws: Workspace,
    endpoint: str,
    data: Data | None = None,
    *,
    truth: str | None = None,
    labels: str | None = None,
) -> Feedback:
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
    labels : str
        A labeling task of rows that the endpoint answered, or a version of its labels
        (odd@2), instead of data.

    Examples
    --------
    >>> %mlops feedback delay {truth} --truth late
    >>> %mlops feedback delay --labels odd
    """
    from jupyter_mlops import data as rows
    from jupyter_mlops import serving
    from jupyter_mlops.workspace import Invalid

    if labels is not None and data is None and truth is None:
        from jupyter_mlops.monitoring.asking import take_answers

        return take_answers(ws, endpoint, labels)
    if data is None or truth is None or labels is not None:
        raise Invalid(
            "truth comes as data with a column, or as the labels of a task",
            fix=f"`%mlops feedback {endpoint} DATA --truth COLUMN`, or --labels TASK alone",
            code="E-SERVE-054",
        )
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
