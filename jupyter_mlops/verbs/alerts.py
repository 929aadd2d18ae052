"""Verbs that have endpoints watched, and people told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import File, verb

if TYPE_CHECKING:
    from jupyter_mlops.monitoring.alerts import Alert, Alerts
    from jupyter_mlops.monitoring.channels import Channels
    from jupyter_mlops.monitoring.monitors import Monitor, Monitors
    from jupyter_mlops.monitoring.scraping import Scraping
    from jupyter_mlops.workspace import Workspace


@verb("monitor", writes=True)
def monitor(
    ws: Workspace,
    endpoint: str,
    *,
    every: str | None = None,
    window: str | None = None,
    against: str | None = None,
    alarms_a_quarter: float | None = None,
    good_checks: int | None = None,
    errors: float | None = None,
    latency: str | None = None,
    outliers: float | None = None,
    restarts: int | None = None,
    gpu_memory: float | None = None,
    gpu_busy: float | None = None,
) -> Monitor:
    """Have the agent check an endpoint by itself, and raise alerts.

    Each check is that of `drift`, as strict as the false alarms that are allowed: they are shared
    out over all checks of a quarter and all that may raise one. What failed, what took too long,
    what broke the contract and what was strange is counted as it happens; GPUs that are full and
    processes that end again and again are alerts, too. A window with too few rows is not enough
    data, never an alarm. Setting a monitor again changes what is given and leaves the rest.

    Parameters
    ----------
    endpoint : str
        The endpoint.
    every : str
        Time between checks, such as 6h; 1d if not given.
    window : str
        The newest traffic that a check takes, such as 7d; what came since the last check if not
        given.
    against : str
        A dataset to compare with instead of the model's training data.
    alarms_a_quarter : float
        False alarms in three months at the most; 1 if not given.
    good_checks : int
        Good checks in a row that resolve an alert, twice as many each time it came back; 2 if not
        given.
    errors : float
        Share of requests that may fail; 0.01 if not given.
    latency : str
        One request in a hundred may take longer, such as 250ms; not looked at if not given.
    outliers : float
        Share of rows that may be outliers; 0.01 if not given, ten times that of the training data.
    restarts : int
        Alert when processes began anew so often within a quarter of an hour; 3 if not given.
    gpu_memory : float
        Share of a GPU's memory that may be in use; 0.95 if not given.
    gpu_busy : float
        Share of the time that a GPU may work; not looked at if not given.

    Examples
    --------
    >>> %mlops monitor delay
    >>> %mlops monitor delay --every 6h --window 7d --alarms-a-quarter 1 --latency 250ms
    """
    from jupyter_mlops import agent
    from jupyter_mlops.monitoring.monitors import set_monitor

    found = set_monitor(
        ws,
        endpoint,
        every=every,
        window=window,
        against=against,
        alarms_a_quarter=alarms_a_quarter,
        good_checks=good_checks,
        errors=errors,
        latency=latency,
        outliers=outliers,
        restarts=restarts,
        gpu_memory=gpu_memory,
        gpu_busy=gpu_busy,
    )
    agent.ensure(ws)
    return found


@verb("monitor stop", writes=True)
def monitor_stop(ws: Workspace, endpoint: str) -> Monitor:
    """Stop the checks of an endpoint; its alerts stay.

    Parameters
    ----------
    endpoint : str
        The endpoint.

    Examples
    --------
    >>> %mlops monitor stop delay
    """
    from jupyter_mlops.monitoring.monitors import pause

    return pause(ws, endpoint)


@verb("monitor resume", writes=True)
def monitor_resume(ws: Workspace, endpoint: str) -> Monitor:
    """Let the checks of an endpoint go on; the first is made at once.

    Parameters
    ----------
    endpoint : str
        The endpoint.

    Examples
    --------
    >>> %mlops monitor resume delay
    """
    from jupyter_mlops import agent
    from jupyter_mlops.monitoring.monitors import pause

    found = pause(ws, endpoint, paused=False)
    agent.ensure(ws)
    return found


@verb("monitor remove", writes=True)
def monitor_remove(ws: Workspace, endpoint: str) -> Monitors:
    """Take a monitor away; its checks and alerts stay.

    Parameters
    ----------
    endpoint : str
        The endpoint.

    Examples
    --------
    >>> %mlops monitor remove delay
    """
    from jupyter_mlops.monitoring.monitors import remove

    return remove(ws, endpoint)


@verb("monitor export", writes=True)
def monitor_export(ws: Workspace, folder: File) -> Scraping:
    """Write what Prometheus and Grafana need to watch the endpoints, into a folder.

    That is a configuration that scrapes the endpoints which run, with their tokens by the files
    they lie in, alert rules, and a dashboard. What they read is what `endpoints` shows.

    Parameters
    ----------
    folder : str
        The folder; made if it isn't there.

    Examples
    --------
    >>> %mlops monitor export monitoring
    """
    from jupyter_mlops.monitoring.scraping import write_scraping

    return write_scraping(ws, folder)


@verb("monitors")
def monitors(ws: Workspace, endpoint: str | None = None) -> Monitors | Monitor:
    """List what is checked by itself and when, or show one monitor.

    Parameters
    ----------
    endpoint : str
        Show this endpoint's alone.

    Examples
    --------
    >>> %mlops monitors
    >>> %mlops monitors delay
    """
    from jupyter_mlops.monitoring.monitors import list_monitors
    from jupyter_mlops.monitoring.monitors import monitor as one_monitor

    return list_monitors(ws) if endpoint is None else one_monitor(ws, endpoint)


@verb("alerts")
def alerts(ws: Workspace, name: str | None = None, *, all: bool = False) -> Alerts | Alert:
    """List the alerts that aren't resolved, or show one.

    Parameters
    ----------
    name : str
        An endpoint, whose alerts are listed; or an alert (alert:ID), which is shown in full.
    all : bool
        Also those that are resolved.

    Examples
    --------
    >>> %mlops alerts
    >>> %mlops alerts delay --all
    >>> %mlops alerts alert:01936f2e
    """
    from jupyter_mlops.monitoring.alerts import alert, list_alerts

    if name is not None and name.startswith("alert:"):
        return alert(ws, name)
    return list_alerts(ws, name, every=all)


@verb("alert ack", writes=True)
def alert_ack(ws: Workspace, alert: str, *, note: str = "") -> Alert:
    """Say that you look after an alert; it stays until it is over.

    Parameters
    ----------
    alert : str
        The alert (alert:ID), or the first digits of its id.
    note : str
        What others should know.

    Examples
    --------
    >>> %mlops alert ack 01936f2e --note "the new van types; training next week"
    """
    from jupyter_mlops import agent
    from jupyter_mlops.monitoring.alerts import acknowledge

    found = acknowledge(ws, alert, note)
    agent.ensure(ws)
    return found


@verb("alert resolve", writes=True)
def alert_resolve(ws: Workspace, alert: str, *, note: str = "") -> Alert:
    """Close an alert; it opens again when the next check finds the same.

    Parameters
    ----------
    alert : str
        The alert (alert:ID), or the first digits of its id.
    note : str
        Why.

    Examples
    --------
    >>> %mlops alert resolve 01936f2e
    """
    from jupyter_mlops import agent
    from jupyter_mlops.monitoring.alerts import resolve

    found = resolve(ws, alert, note)
    agent.ensure(ws)
    return found


@verb("channel add", writes=True)
def channel_add(
    ws: Workspace, name: str, *, to: str, secret: str | None = None, endpoint: str | None = None
) -> Channels:
    """Have people told when an alert opens, comes back, is acknowledged or is resolved.

    A webhook takes a POST of JSON with the headers webhook-id, webhook-timestamp and, with a
    secret, webhook-signature as Standard Webhooks define them (HMAC-SHA256). Addresses within
    private networks are refused unless the setting allow_private_urls allows them. A command
    takes the same JSON on its standard input, and is run without a shell. What can't be sent is
    tried again for a day.

    Parameters
    ----------
    name : str
        What the channel is called.
    to : str
        webhook:https://…, webhook:secret:NAME where the address itself is secret,
        mailto:ada@example.org, or command:PROGRAM with its arguments.
    secret : str
        The secret that signs a webhook's messages, as secret:NAME.
    endpoint : str
        Tell the alerts of this endpoint alone.

    Examples
    --------
    >>> %mlops channel add oncall --to webhook:secret:HOOK --secret secret:KEY
    >>> %mlops channel add ada --to mailto:ada@example.org --endpoint delay
    """
    from jupyter_mlops.monitoring.channels import add_channel

    return add_channel(ws, name, to, secret=secret, endpoint=endpoint)


@verb("channel ls")
def channel_ls(ws: Workspace) -> Channels:
    """List the channels, and what became of their messages.

    Examples
    --------
    >>> %mlops channel ls
    """
    from jupyter_mlops.monitoring.channels import list_channels

    return list_channels(ws)


@verb("channel remove", writes=True)
def channel_remove(ws: Workspace, name: str) -> Channels:
    """Take a channel away; what it wasn't told yet is given up.

    Parameters
    ----------
    name : str
        Its name.

    Examples
    --------
    >>> %mlops channel remove oncall
    """
    from jupyter_mlops.monitoring.channels import remove_channel

    return remove_channel(ws, name)


@verb("channel test", writes=True)
def channel_test(ws: Workspace, name: str) -> Channels:
    """Send a channel a message at once, and say whether it arrived.

    Parameters
    ----------
    name : str
        Its name.

    Examples
    --------
    >>> %mlops channel test oncall
    """
    from jupyter_mlops.monitoring.channels import try_channel

    return try_channel(ws, name)
