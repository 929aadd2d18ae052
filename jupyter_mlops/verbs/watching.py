"""Verbs that show an endpoint over time: what moved when, and how it fared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import verb

if TYPE_CHECKING:
    from jupyter_mlops.monitoring.driftmap import DriftMap, FeatureInWindow
    from jupyter_mlops.monitoring.health import Health
    from jupyter_mlops.workspace import Workspace


@verb("drift map")
def drift_map(
    ws: Workspace,
    endpoint: str,
    *,
    every: str = "7d",
    since: str | None = None,
    until: str | None = None,
    against: str | None = None,
) -> DriftMap:
    """Show which features of an endpoint's traffic moved when, period by period.

    Each period is compared with the training data as `drift` compares a window; nothing is kept.

    Parameters
    ----------
    endpoint : str
        The endpoint whose traffic is looked at.
    every : str
        The length of a period, such as 7d or 12h; weeks begin on Mondays, in UTC. Of more than 52
        periods the newest are shown.
    since : str
        Start in event time: a date, a time or a month (2013-04).
    until : str
        Its end, exclusive.
    against : str
        A dataset to compare with instead of the model's training data.

    Examples
    --------
    >>> %mlops drift map delay
    >>> %mlops drift map delay --every 1d --since 2013-03 --until 2013-04
    """
    from jupyter_mlops.monitoring import Window
    from jupyter_mlops.monitoring.driftmap import map_served

    window = Window.parse(since, until)
    return map_served(ws, endpoint, every=every, window=window, against=against)


@verb("drift feature")
def drift_feature(
    ws: Workspace,
    endpoint: str,
    feature: str,
    *,
    since: str | None = None,
    until: str | None = None,
    against: str | None = None,
) -> FeatureInWindow:
    """Show one feature of an endpoint's traffic beside the training data.

    Parameters
    ----------
    endpoint : str
        The endpoint whose traffic is looked at.
    feature : str
        One of its model's features.
    since : str
        Start in event time: a date, a time or a month (2013-04).
    until : str
        Its end, exclusive.
    against : str
        A dataset to compare with instead of the model's training data.

    Examples
    --------
    >>> %mlops drift feature delay distance --since 2013-03 --until 2013-04
    """
    from jupyter_mlops.monitoring import Window
    from jupyter_mlops.monitoring.driftmap import feature_served

    window = Window.parse(since, until)
    return feature_served(ws, endpoint, feature, window=window, against=against)


@verb("endpoint health")
def endpoint_health(
    ws: Workspace,
    endpoint: str,
    *,
    every: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Health:
    """Show what an endpoint answered over time, and what happened to it.

    Rows are counted when they were answered, whatever time they are about. Figures of latency and
    failures are kept for minutes: those of the past show as the alerts that they were.

    Parameters
    ----------
    endpoint : str
        Its name.
    every : str
        The length of a period, such as 1h; what makes about sixty of them if not given.
    since : str
        Start: a date, a time or a month (2013-04).
    until : str
        Its end, exclusive.

    Examples
    --------
    >>> %mlops endpoint health delay
    >>> %mlops endpoint health delay --every 1h --since 2026-03-01
    """
    from jupyter_mlops.monitoring import Window
    from jupyter_mlops.monitoring.health import health

    return health(ws, endpoint, every=every, window=Window.parse(since, until))
