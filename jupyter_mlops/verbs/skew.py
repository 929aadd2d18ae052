"""The verbs that compare what is served with what was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_mlops.verbs.table import Data, verb

if TYPE_CHECKING:
    from jupyter_mlops.monitoring import Skew
    from jupyter_mlops.serving import Endpoint
    from jupyter_mlops.workspace import Workspace


@verb("skew", writes=True, isolated=True)
def skew(
    ws: Workspace,
    endpoint: str,
    *,
    key: str | None = None,
    against: Data | None = None,
    since: str | None = None,
    until: str | None = None,
    replay: int = 0,
) -> Skew:
    """Say whether an endpoint is given what its model was trained on.

    Rows that are both in the training data and in the traffic, by the endpoint's key, are
    compared value by value: numbers within a millionth. A feature is skewed when 1 % of the rows
    differ. Without such rows the distributions are compared, at tighter limits than drift's.

    Parameters
    ----------
    endpoint : str
        The endpoint whose traffic is compared.
    key : str
        The training data's column with what the endpoint logs as its key; default: the
        column of the same name, or the dataset's own key.
    against : Data
        Compare with these rows instead of the model's training data.
    since : str
        Start of the window in event time: a date, a time or a month (2013-04).
    until : str
        Its end, exclusive.
    replay : int
        Send so many training rows through the endpoint, and compare its answers with those of
        the model itself. The endpoint logs them, and whatever reads the traffic skips them.

    Examples
    --------
    >>> %mlops skew delay
    >>> %mlops skew delay --key flight_id --replay 200
    """
    from jupyter_mlops import monitoring, serving
    from jupyter_mlops.monitoring.served import logged_of, model_of, reference_of

    served = serving.get(ws, endpoint)
    reference = reference_of(ws, served, against)
    known = reference.scan().collect_schema().names()
    hidden = serving.traffic.hidden(ws, served.name)
    notices = []
    if key is None and served.key is not None:
        key = served.key if served.key in known else reference.key
        if key is None:
            notices.append(f"the training data has no column {served.key!r} to find rows by")
    if key is not None and served.key is None:
        notices.append("the endpoint logs no key (serve --key COLUMN)")
        key = None
    if key is not None and served.key in hidden:
        notices.append(f"the endpoint's log redacts its key {served.key!r}")
        key = None
    model = logged_of(ws, served, model_of(ws, served))
    tried = _replayed(ws, served, reference, replay, notices) if replay else None
    found = monitoring.compare_sides(
        reference,
        serving.traffic.read(ws, served.name),
        endpoint=served.name,
        key=key,
        features=model["features"],
        model=model["model"],
        version=model["version"],
        window=monitoring.Window.parse(since, until),
        replay=tried,
        notices=[*notices, *model["notices"]],
    )
    return monitoring.keep_skew(ws, found)


@verb("skew show")
def skew_show(ws: Workspace, ref: str) -> Skew:
    """Show a skew check again.

    Parameters
    ----------
    ref : str
        A check (skew:ID), or an endpoint, which means its last one.

    Examples
    --------
    >>> %mlops skew show delay
    """
    from jupyter_mlops import monitoring

    return monitoring.find_skew(ws, ref)


def _replayed(
    ws: Workspace, served: Endpoint, reference: Any, rows: int, notices: list[str]
) -> Any:
    """Training rows asked of the endpoint and of the model; None, and why, where it can't be."""
    import polars as pl

    from jupyter_mlops import data, models, monitoring, serving
    from jupyter_mlops.workspace import MLOpsError
    from jupyter_mlops.workspace.records import utcnow

    version = models.get(ws, served.model_ref)
    try:
        estimator = models.load(ws, version)
    except MLOpsError as error:
        notices.append(f"rows weren't replayed: {error.what}")
        return None
    features = list(version.features)

    def own(drawn: pl.DataFrame) -> pl.DataFrame:
        frame = data.numpy_pandas(drawn.select(features))
        answers: dict[str, Any] = {"prediction": estimator.predict(frame)}
        if hasattr(estimator, "predict_proba"):
            chances = estimator.predict_proba(frame)
            two = chances.shape[1] == 2
            answers["probability"] = chances[:, 1] if two else chances.tolist()
        return pl.DataFrame(answers)

    def ask(drawn: pl.DataFrame) -> pl.DataFrame:
        asked = drawn.select(features)
        if served.key and served.key not in features:
            numbers = pl.int_range(asked.height).cast(pl.String)
            asked = asked.with_columns((pl.lit("replay-") + numbers).alias(served.key))
        if served.time and served.time not in features:
            asked = asked.with_columns(pl.lit(utcnow()).alias(served.time))
        return serving.call(ws, served.name, data.resolve(ws, asked), replayed=True).rows

    drawn = reference.scan().select(features).collect()
    return monitoring.replay(drawn, ask, own, rows=rows)
