"""Verbs that watch what is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from jupyter_mlops.verbs.table import Data, verb

if TYPE_CHECKING:
    from jupyter_mlops.monitoring import Checks, Drift, PerformanceOverTime, Report, Reports
    from jupyter_mlops.monitoring.outliers import Outliers
    from jupyter_mlops.workspace import Workspace


@verb("drift", writes=True)
def drift(
    ws: Workspace,
    endpoint: str,
    *,
    since: str | None = None,
    until: str | None = None,
    window: str | None = None,
    against: Data | None = None,
    season: Literal["auto", "year", "week"] | None = None,
    report: bool = False,
) -> Drift:
    """Say what moved in an endpoint's traffic, and whether its answers are still good.

    Each feature is compared with the data the model was trained on, the predictions and
    (once truth has come) the loss with those at validation; a classifier looks for what no
    feature shows alone. Without a window: what came after the last check, or that check's window
    again when nothing has. Of what drifted it says where, since when, and how much of the loss
    to expect it explains. Large windows are read from hourly profiles that are kept of the log.

    A feature has drifted when its change is significant at 1 % over all features
    (Benjamini-Hochberg) and large: a PSI of 0.25 above its noise floor, 0.35 interquartile
    ranges, 10 points more or less missing, or 5 % in categories never seen before or seen no
    more; to watch from 0.1, 0.1, 1 point and 0.5 %. Texts, embeddings and all features together
    have drifted when a classifier tells the window from the reference with an area under the
    curve of 0.65; to watch from 0.6. A model with a contract is judged by its newest version's
    own limits for each feature (`contract edit NAME COLUMN --watch 0.2 --drift 0.5`).
    Performance is worse when the whole 95 % interval of the loss's change since validation lies
    above 2 % of that loss. The verdict is one of stable; inputs moved; performance worse;
    inputs moved, performance worse; not enough data.

    Parameters
    ----------
    endpoint : str
        The endpoint whose traffic is checked.
    since : str
        Start of the window in event time: a date, a time or a month (2013-04).
    until : str
        Its end, exclusive.
    window : str
        Its length, such as 30d or 12h: back from --until or the newest row, or onward
        from --since.
    against : Data
        Compare with these rows instead of the model's training data; or with earlier traffic:
        traffic:2013-03, traffic:2013-03-01..2013-03-15, or traffic:30d right before the window.
    season : str
        Compare with earlier traffic of the same season: the same weeks a year before (year), or
        the same hours of the four weeks before (week); auto takes the first of these that the
        log holds, and else as much time right before the window.
    report : bool
        Draw the Evidently report of the check at once.

    Examples
    --------
    >>> %mlops drift delay
    >>> %mlops drift delay --window 30d
    >>> %mlops drift delay --since 2013-03 --until 2013-04 --against winter
    >>> %mlops drift delay --window 7d --season year
    >>> %mlops drift delay --window 7d --against traffic:2013-03
    """
    from jupyter_mlops import monitoring
    from jupyter_mlops.monitoring.served import check_served

    found = check_served(
        ws,
        endpoint,
        against=against,
        window=monitoring.Window.parse(since, until, window) if since or until else None,
        length=window,
        season=season,
    )
    return _with_report(ws, found, against) if report else found


@verb("outliers")
def outliers(
    ws: Workspace,
    endpoint: str,
    *,
    since: str | None = None,
    until: str | None = None,
    window: str | None = None,
    count: int = 50,
) -> Outliers:
    """Show the strangest rows that an endpoint was asked about, and which columns make them so.

    How strange a row is was fitted to the training data when its model was registered, and is
    written down with each prediction: the share of training rows that are at least as strange,
    by the most extreme value of a column and by how columns go together. A row that breaks the
    model's contract is no commoner than the broken rule allows. An outlier is as strange as one
    training row in a thousand.

    Parameters
    ----------
    endpoint : str
        The endpoint whose traffic is looked through.
    since : str
        Start of the window in event time: a date, a time or a month (2013-04).
    until : str
        Its end, exclusive.
    window : str
        Its length, such as 30d or 12h: back from --until or now, or onward from --since.
    count : int
        So many rows.

    Examples
    --------
    >>> %mlops outliers delay
    >>> %mlops outliers delay --since 2013-03 --count 10
    """
    from datetime import UTC, datetime

    from jupyter_mlops import monitoring
    from jupyter_mlops.monitoring.outliers import strangest

    if window is not None and since is None and until is None:
        until = datetime.now(UTC).isoformat()
    found = monitoring.Window.parse(since, until, window)
    return strangest(ws, endpoint, found, count)


@verb("checks")
def checks(ws: Workspace, name: str | None = None) -> Checks | Drift:
    """List the drift checks that were made, or show one of them again.

    Parameters
    ----------
    name : str
        An endpoint, whose checks are listed; or a check (drift:ID), which is shown in full.

    Examples
    --------
    >>> %mlops checks delay
    >>> %mlops checks drift:01936f2e
    """
    from jupyter_mlops import monitoring

    if name is not None and name.startswith("drift:"):
        return monitoring.check(ws, name)
    return monitoring.list_checks(ws, name)


@verb("report", writes=True, isolated=True)
def report(ws: Workspace, ref: str) -> Report:
    """Draw the Evidently report of a drift check, or show where the stored one is.

    Parameters
    ----------
    ref : str
        A check (drift:ID), a report (report:ID), or an endpoint, which means its last check.

    Examples
    --------
    >>> %mlops report drift:01936f2e
    >>> %mlops report delay
    """
    from jupyter_mlops import monitoring

    if ref.startswith("report:"):
        return monitoring.report(ws, ref)
    found = monitoring.find_check(ws, ref)
    return monitoring.report_of(ws, found.ref) or _draw(ws, found, None)


@verb("reports")
def reports(ws: Workspace, endpoint: str | None = None) -> Reports:
    """List the Evidently reports that were drawn, the newest first.

    Parameters
    ----------
    endpoint : str
        Only those of this endpoint's checks.

    Examples
    --------
    >>> %mlops reports
    >>> %mlops reports delay
    """
    from jupyter_mlops import monitoring

    return monitoring.list_reports(ws, endpoint)


@verb("performance")
def performance(
    ws: Workspace,
    endpoint: str,
    *,
    every: str = "7d",
    by: str | None = None,
    since: str | None = None,
    until: str | None = None,
    detector: Literal["adwin", "page-hinkley", "kswin"] = "adwin",
) -> PerformanceOverTime:
    """Show how good an endpoint's answers were, period by period, with and without truth.

    Metrics have 95 % intervals in which the rows of one day count as one block. Beside them
    stands what the calibrated probabilities lead to expect of all rows, with or without truth
    (classifiers only), and how often that held once the truth had come. It sees inputs that
    moved, and is blind to a changed concept. A detector (river's) looks for changes of the loss
    in event order; a change is told only if it is significant at 1 % over all days.

    Parameters
    ----------
    endpoint : str
        The endpoint whose answers are measured.
    every : str
        The length of a period, such as 7d or 12h; weeks begin on Mondays, in UTC.
    by : str
        An input: the loss of each of its values (fifths of a number) against all other rows,
        the worst first.
    since : str
        Start of the window in event time: a date, a time or a month (2013-04).
    until : str
        Its end, exclusive.
    detector : str
        What looks for changes.

    Examples
    --------
    >>> %mlops performance delay
    >>> %mlops performance delay --every 1d --by carrier --since 2013-03
    """
    from jupyter_mlops import monitoring, serving
    from jupyter_mlops.monitoring.served import model_of
    from jupyter_mlops.workspace import Invalid

    served = serving.get(ws, endpoint)
    if by is not None and by in serving.traffic.hidden(ws, served.name):
        raise Invalid(
            f"rows can't be grouped by {by!r}",
            "the endpoint's log redacts it",
            "take another input",
            code="E-MONITORING-027",
        )
    model = model_of(ws, served)
    del model["features"]
    if model["task"] is None:
        raise Invalid(
            f"it isn't recorded what {model['model']} predicts",
            "so its answers can't be held against the truth",
            "train it with --target",
            code="E-MONITORING-028",
        )
    return monitoring.over_time(
        serving.traffic.read(ws, served.name),
        serving.feedback.read(ws, served.name),
        endpoint=served.name,
        every=every,
        by=by,
        window=monitoring.Window.parse(since, until),
        detector=detector,
        **model,
    )


def _draw(ws: Workspace, found: Drift, against: Any) -> Report:
    from dataclasses import replace

    from jupyter_mlops import data, monitoring, serving
    from jupyter_mlops.monitoring.served import reference_again
    from jupyter_mlops.workspace import MLOpsError, Unavailable

    served = serving.get(ws, found.endpoint)
    try:
        if against is None or found.reference.startswith("traffic:"):
            reference = reference_again(ws, served, found.reference)
        else:
            reference = data.resolve(ws, against)
    except MLOpsError as error:
        raise Unavailable(
            f"what {found.ref} was compared with can't be read again",
            error.what,
            "draw the report together with the check: --report",
            code="E-MONITORING-010",
        ) from error
    traffic = serving.traffic.read(ws, served.name)
    # Texts and vectors have no histogram to be drawn side by side.
    drawn = [one for one in found.features if one.kind in ("number", "category")]
    return monitoring.make_report(ws, replace(found, features=drawn), reference, traffic)


def _with_report(ws: Workspace, found: Drift, against: Any) -> Drift:
    from jupyter_mlops import monitoring

    _draw(ws, found, against)
    return monitoring.check(ws, found.ref)
