"""Monitors: what is checked of an endpoint by itself, how often and how strictly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select

from jupyter_mlops import data, serving
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.monitoring.budget import Budget
from jupyter_mlops.monitoring.records import AlertRecord, MonitorRecord
from jupyter_mlops.monitoring.windows import parse_length
from jupyter_mlops.serving.metrics import SECONDS
from jupyter_mlops.workspace import Invalid, NotFound, Reference, Result, Workspace, closest
from jupyter_mlops.workspace.events import last
from jupyter_mlops.workspace.records import utcnow

__all__ = [
    "Monitor",
    "Monitors",
    "Terms",
    "list_monitors",
    "monitor",
    "pause",
    "remove",
    "set_monitor",
]

_SHORTEST: Final = "10s"


@dataclass(frozen=True)
class Terms:
    """What a person asked for.

    Attributes
    ----------
    every : str
        Between two checks.
    window : str or None
        The newest traffic that a check takes; what came since the last one when None.
    against : str or None
        What it is compared with; the model's training data when None.
    alarms_a_quarter : float
        False alarms at the most, over everything that is looked at.
    good_checks : int
        So many in a row resolve an alert.
    errors : float
        Share of requests that may fail.
    latency : str or None
        One request in a hundred may take longer.
    outliers : float
        Share of rows that may be outliers; one in a thousand is, of rows as in training.
    restarts : int
        So often processes may not begin anew within a quarter of an hour.
    gpu_memory : float
        Share of a GPU's memory that may be in use.
    gpu_busy : float or None
        Share of the time that a GPU may work; not looked at when None.
    """

    every: str = "1d"
    window: str | None = None
    against: str | None = None
    alarms_a_quarter: float = 1.0
    good_checks: int = 2
    errors: float = 0.01
    latency: str | None = None
    outliers: float = 0.01
    restarts: int = 3
    gpu_memory: float = 0.95
    gpu_busy: float | None = None

    @property
    def budget(self) -> Budget:
        return Budget(self.alarms_a_quarter, parse_length(self.every))

    def to_dict(self) -> dict[str, Any]:
        """As the store keeps them."""
        return asdict(self)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Terms:
        return cls(**stored)


@dataclass(frozen=True)
class Monitor(Result):
    """A monitor, and what its last check came to.

    Attributes
    ----------
    endpoint : str
    terms : Terms
    generation : int
        How often it was set.
    paused : bool
    due_at : datetime
    running : bool
        A check is being made.
    check : str or None
        ``drift:<id>`` of the last one.
    looked_at : datetime or None
    outcome : str
        The sentence it came to.
    alerts : int
        That aren't resolved.
    """

    endpoint: str
    terms: Terms
    generation: int
    paused: bool
    due_at: datetime
    running: bool
    check: str | None
    looked_at: datetime | None
    outcome: str
    actor: str
    set_at: datetime
    alerts: int = 0

    @classmethod
    def of(cls, row: MonitorRecord, alerts: int = 0) -> Monitor:
        return cls(
            row.endpoint,
            Terms.of(row.terms),
            row.generation,
            row.paused,
            row.due_at,
            row.process is not None and may_live(row.process),
            f"drift:{row.check}" if row.check else None,
            row.looked_at,
            row.outcome,
            row.actor,
            row.set_at,
            alerts,
        )

    @property
    def ref(self) -> str:
        """``monitor:endpoint``."""
        return f"monitor:{self.endpoint}"


@dataclass(frozen=True)
class Monitors(Result):
    """All monitors, by endpoint."""

    items: tuple[Monitor, ...]

    def __iter__(self) -> Iterator[Monitor]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


def set_monitor(ws: Workspace, endpoint: str, **terms: Any) -> Monitor:
    """Have an endpoint checked from now on, or change how; what isn't given stays as it is.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    **terms
        As `Terms` has them; None leaves one alone.

    Raises
    ------
    NotFound
        There is no such endpoint or dataset.
    Invalid
        ``E-ALERT-040``: a term makes no sense.
    """
    name = serving.get(ws, endpoint).name
    with ws.read() as session:
        kept = session.get(MonitorRecord, name)
        before = Terms.of(kept.terms) if kept is not None else Terms()
    wanted = replace(before, **{key: one for key, one in terms.items() if one is not None})
    _check(ws, wanted)
    with ws.write() as tx:
        row = tx.session.get(MonitorRecord, name)
        if row is None:
            # What happened before is nobody's alert.
            row = MonitorRecord(
                endpoint=name, generation=0, attempts=0, seen=last(tx.session), outcome=""
            )
            tx.session.add(row)
        row.terms = wanted.to_dict()
        row.generation += 1
        row.paused, row.due_at = False, utcnow()
        row.actor, row.set_at = ws.user, utcnow()
        tx.emit(
            "monitor.set",
            f"monitor:{name}",
            payload={"generation": row.generation, "terms": row.terms},
            inputs=[f"endpoint:{name}"],
        )
        tx.session.flush()
        return Monitor.of(row)


def _check(ws: Workspace, terms: Terms) -> None:
    every = parse_length(terms.every)
    if terms.window is not None:
        parse_length(terms.window)
    if terms.against is not None:
        data.resolve(ws, terms.against)
    wrong = ""
    if every < parse_length(_SHORTEST):
        wrong = f"checks can't be made every {terms.every}; {_SHORTEST} is the least"
    elif not 0 < terms.alarms_a_quarter <= 1000:
        wrong = "false alarms a quarter must be more than 0, and 1,000 at the most"
    elif not 1 <= terms.good_checks <= 100:
        wrong = "an alert is resolved by 1 to 100 good checks"
    elif not 0 <= terms.errors < 1:
        wrong = "the share of requests that may fail lies between 0 and 1"
    elif not 0 < terms.outliers < 1:
        wrong = "the share of rows that may be outliers lies between 0 and 1"
    elif not 1 <= terms.restarts <= 1000:
        wrong = "processes may begin anew 1 to 1,000 times before that is an alert"
    elif not all(0 < one <= 1 for one in (terms.gpu_memory, terms.gpu_busy or 1.0)):
        wrong = "the shares of a GPU lie between 0 and 1"
    if wrong:
        raise Invalid(wrong, fix="`%mlops monitor --help` says what fits", code="E-ALERT-040")
    if terms.latency is not None:
        latency_of(terms.latency)


def latency_of(text: str) -> float:
    """Seconds of a latency that endpoints count requests against.

    Raises
    ------
    Invalid
        ``E-ALERT-041``

    Examples
    --------
    >>> latency_of("250ms")
    0.25
    """
    words = text.strip().replace(" ", "")
    number = words.removesuffix("ms").removesuffix("s")
    try:
        seconds = float(number) / (1000 if words.endswith("ms") else 1)
    except ValueError:
        seconds = -1.0
    if words == number or seconds not in SECONDS:
        known = ", ".join(f"{1000 * one:g}ms" for one in SECONDS)
        raise Invalid(
            f"requests aren't counted against {text!r}",
            fix=f"write one of {known}",
            code="E-ALERT-041",
        )
    return seconds


def monitor(ws: Workspace, endpoint: str) -> Monitor:
    """Return an endpoint's monitor.

    Raises
    ------
    NotFound
        ``E-ALERT-042``
    """
    name = Reference.parse(endpoint.removeprefix("monitor:"), kind="endpoint").name
    for one in list_monitors(ws):
        if one.endpoint == name:
            return one
    raise NotFound(
        f"endpoint {name!r} has no monitor",
        fix=closest(name, [one.endpoint for one in list_monitors(ws)])
        or f"`%mlops monitor {name}` sets one",
        code="E-ALERT-042",
    )


def list_monitors(ws: Workspace) -> Monitors:
    """List all monitors."""
    with ws.read() as session:
        query = (
            select(AlertRecord.endpoint, func.count())
            .where(AlertRecord.state != "resolved")
            .group_by(AlertRecord.endpoint)
        )
        counts = dict(session.execute(query).tuples().all())
        rows = session.scalars(select(MonitorRecord).order_by(MonitorRecord.endpoint))
        return Monitors(tuple(Monitor.of(row, counts.get(row.endpoint, 0)) for row in rows))


def pause(ws: Workspace, endpoint: str, *, paused: bool = True) -> Monitor:
    """Stop an endpoint's checks, or let them go on, beginning at once."""
    found = monitor(ws, endpoint)
    with ws.write() as tx:
        row = tx.session.get_one(MonitorRecord, found.endpoint)
        if row.paused != paused:
            row.paused = paused
            if not paused:
                row.due_at, row.attempts, row.seen = utcnow(), 0, last(tx.session)
            tx.emit("monitor.stopped" if paused else "monitor.resumed", f"monitor:{found.endpoint}")
        tx.session.flush()
        return Monitor.of(row, found.alerts)


def remove(ws: Workspace, endpoint: str) -> Monitors:
    """Take a monitor away; its checks and alerts stay."""
    found = monitor(ws, endpoint)
    with ws.write() as tx:
        tx.session.delete(tx.session.get_one(MonitorRecord, found.endpoint))
        tx.emit("monitor.removed", f"monitor:{found.endpoint}")
    return list_monitors(ws)
