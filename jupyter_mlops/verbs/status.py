"""The verb behind bare ``%mlops``: the five questions a lead asks, answered at a glance.

Everything is read from the log of events and our own tables, so it takes milliseconds however
many models and trials there are, and needs neither MLflow nor any endpoint to answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from jupyter_mlops.verbs.glance import SHOWN, Answer, Entry, Level, Section, Status
from jupyter_mlops.verbs.table import verb
from jupyter_mlops.workspace.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from jupyter_mlops.experiments.lately import Attempt
    from jupyter_mlops.verbs.place import Opener
    from jupyter_mlops.workspace import Event, Workspace

__all__ = ["status"]

LOOKED_AT = 500
CHECKED_AT_ONCE = 5000
"""Events up to which the chain is checked each time; longer logs ask for `audit verify`."""


@verb("status", anywhere=True)
def status(workspace: Opener) -> Status:
    """Say what runs, what is served, what changed, what waits for you, and if it can be trusted.

    This is what `%mlops` alone does.

    Examples
    --------
    >>> %mlops
    """
    try:
        ws = workspace()
    except NotFound:
        return _nothing_yet()
    with ws.read() as session:
        log = _Log(session)
        sections = tuple(read(log) for read in _SECTIONS)
        drift = log.newest("drift.checked")
        recent = log.recent()
    answers = (
        _running(sections[2]),
        _served(sections[4]),
        _changed(recent),
        _waiting(sections[1], sections[4], drift, log.alerts(), log.challengers()),
        _trust(ws, recent, drift),
    )
    return Status(str(ws.root), answers, sections)


class _Log:
    """The log of events, asked for the newest of each record."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def newest(self, *kinds: str) -> list[Event]:
        """The newest event of those kinds of each subject, the latest first."""
        from sqlalchemy import func, select

        from jupyter_mlops.workspace.events import Event
        from jupyter_mlops.workspace.records import EventRecord

        last = (
            select(func.max(EventRecord.seq).label("seq"))
            .where(EventRecord.kind.in_(kinds))
            .group_by(EventRecord.subject)
            .order_by(func.max(EventRecord.seq).desc())
            .limit(LOOKED_AT)
            .subquery()
        )
        query = (
            select(EventRecord)
            .join(last, EventRecord.seq == last.c.seq)
            .order_by(EventRecord.seq.desc())
        )
        return [Event.of(row) for row in self.session.scalars(query)]

    def count(self, *kinds: str) -> int:
        """How many subjects have events of those kinds."""
        from sqlalchemy import distinct, func, select

        from jupyter_mlops.workspace.records import EventRecord

        query = select(func.count(distinct(EventRecord.subject)))
        return self.session.scalar(query.where(EventRecord.kind.in_(kinds))) or 0

    def attempts(self, limit: int) -> tuple[list[Attempt], int]:
        """The newest experiments and runs, from their tables: each trial has events of its own."""
        from jupyter_mlops.experiments.lately import lately

        return lately(self.session, limit)

    def challengers(self) -> list[str]:
        """Versions that a policy would promote, if a person approved them."""
        from sqlalchemy import select

        from jupyter_mlops.retraining.records import DecisionRecord

        query = select(DecisionRecord.challenger).where(DecisionRecord.state == "waiting")
        found = self.session.scalars(query.order_by(DecisionRecord.at.desc()).limit(SHOWN))
        return [one for one in found if one]

    def alerts(self) -> tuple[list[str], set[str]]:
        """Endpoints of the alerts that nobody looks after yet, and those that are monitored."""
        from sqlalchemy import select

        from jupyter_mlops.monitoring.records import AlertRecord, MonitorRecord

        query = select(AlertRecord.endpoint).where(AlertRecord.state == "open")
        waits = list(self.session.scalars(query.order_by(AlertRecord.last_at.desc())))
        return waits, set(self.session.scalars(select(MonitorRecord.endpoint)))

    def recent(self) -> list[Event]:
        """The newest events of all."""
        from jupyter_mlops.workspace.events import read

        return read(self.session, limit=50, newest=True)


def _data(log: _Log) -> Section:
    entries: dict[str, Entry] = {}
    splits = {event.subject: event for event in reversed(log.newest("dataset.split"))}
    # A contract is named with its kind; it may be called as its data is.
    for event in log.newest("dataset.added", "contract.saved"):
        name, _, version = event.subject.partition("@")
        what = "contract" if event.kind == "contract.saved" else "version"
        state = f"{what} {version}"
        split = splits.get(event.subject)
        parts = split.payload.get("rows") if split is not None else None
        if isinstance(parts, dict):
            state += f", split in {', '.join(parts)}"
        entries.setdefault(name, Entry(name, state, "info", event.at))
    return Section(
        "Data", tuple(entries.values()), len(entries), "nothing yet: %mlops data add NAME FILE"
    )


def _labels(log: _Log) -> Section:
    items = {event.subject: event for event in log.newest("label.task_created")}
    done = {event.subject: event for event in log.newest("label.committed")}
    entries = []
    for subject, event in items.items():
        last = done.get(subject, event)
        labeled, total = _number(last, "labeled"), _number(event, "items")
        level: Level = "good" if labeled >= total else "warn"
        entries.append(Entry(subject, f"{labeled:,} of {total:,}", level, last.at))
    return Section(
        "Labels",
        _latest_first(entries),
        len(entries),
        "nothing yet: %mlops label TASK DATA --classes a,b",
    )


def _experiments(log: _Log) -> Section:
    levels: dict[str, Level] = {
        "running": "info",
        "waiting": "info",
        "finished": "good",
        "failed": "bad",
    }
    entries = []
    attempts, total = log.attempts(SHOWN)
    for one in attempts:
        far = "" if one.done is None else f"{one.done:,}"
        if one.total and one.done is not None and one.done < one.total:
            far += f" of {one.total:,}"
        state = f"{one.name} {one.status}" + (f", {far} trials" if far else "")
        level = levels.get(one.status, "warn")
        entries.append(Entry(one.ref, state, level, one.at, one.name, one.status, far))
    return Section(
        "Experiments",
        tuple(entries),
        total,
        "nothing yet: %%mlops train NAME above a cell that fits a model",
    )


def _models(log: _Log) -> Section:
    entries: dict[str, Entry] = {}
    aliases: dict[str, list[str]] = {}
    for event in log.newest("model.alias_moved"):
        name, _, alias = event.subject.partition("@")
        aliases.setdefault(f"{name}@{event.payload.get('version')}", []).append(alias)
    for event in log.newest("model.registered"):
        names = sorted(aliases.get(event.subject, []))
        level: Level = "good" if names else "info"
        entries[event.subject] = Entry(
            event.subject, ", ".join(names) or "registered", level, event.at
        )
    return Section(
        "Models",
        tuple(entries.values()),
        log.count("model.registered"),
        "nothing yet: %mlops register RUN NAME",
    )


def _endpoints(log: _Log) -> Section:
    looks: dict[str, tuple[str, Level]] = {
        "endpoint.declared": ("starting", "warn"),
        "endpoint.ready": ("ready", "good"),
        "endpoint.failed": ("failed", "bad"),
        "endpoint.stopped": ("stopped", "info"),
    }
    entries = [Entry(event.subject, *looks[event.kind], event.at) for event in log.newest(*looks)]
    return Section("Endpoints", tuple(entries), len(entries), "nothing yet: %mlops serve MODEL")


_SECTIONS = (_data, _labels, _experiments, _models, _endpoints)


def _running(runs: Section) -> Answer:
    going = [entry for entry in runs.entries if entry.level == "info"]
    return Answer(
        "What is running?",
        _listed(
            f"{entry.label}, {entry.more} trials ({entry.ref})"
            if entry.more
            else f"{entry.label} ({entry.ref})"
            for entry in going
        )
        or "nothing",
        f"experiments and runs in all: {runs.total:,}",
    )


def _served(endpoints: Section) -> Answer:
    up = [f"{_name(one)}" for one in endpoints.entries if one.state == "ready"]
    other = [
        f"{_name(one)} is {one.state}"
        for one in endpoints.entries
        if one.state in {"starting", "failed"}
    ]
    return Answer("What is served?", _listed([*up, *other]) or "nothing")


def _changed(recent: list[Event]) -> Answer:
    if not recent:
        return Answer("What changed?", "nothing yet")
    last = recent[0]
    day = [one for one in recent if one.at > datetime.now(UTC) - timedelta(days=1)]
    many = f"{len(day)}" if len(day) < len(recent) or len(day) < 50 else f"{len(day)} or more"
    return Answer(
        "What changed?",
        f"{_subject(last)} {last.kind.partition('.')[2].replace('_', ' ')} {_ago(last.at)}",
        f"{many} changes in the last 24 hours, the latest by {last.actor}",
    )


def _subject(event: Event) -> str:
    """What it happened to; a record without a name is told by its kind alone."""
    kind, _, name = event.subject.partition(":")
    return kind if len(name) >= 12 and not set(name) - set("0123456789abcdef") else event.subject


def _waiting(
    labels: Section,
    endpoints: Section,
    drift: list[Event],
    alerts: tuple[list[str], set[str]],
    challengers: list[str],
) -> Answer:
    waiting, monitored = alerts
    waits = [f"approval of {one}" for one in challengers]
    waits += [
        f"{many} {'alert' if many == 1 else 'alerts'} of {name}"
        for name, many in Counter(waiting).items()
    ]
    waits += [
        f"labels in {_name(entry)} ({entry.state})"
        for entry in labels.entries
        if entry.level == "warn"
    ]
    waits += [f"{_name(one)} failed" for one in endpoints.entries if one.state == "failed"]
    # What is monitored is told by its alerts, which somebody may look after already.
    drifted = [event.subject.partition(":")[2] for event in _drifted(drift)]
    waits += [f"drift of {name}" for name in drifted if name not in monitored]
    return Answer("What waits for a person?", _listed(waits) or "nothing")


def _trust(ws: Workspace, recent: list[Event], drift: list[Event]) -> Answer:
    question = "Can I trust it?"
    events = recent[0].seq if recent else 0
    drifted = [event.subject.partition(":")[2] for event in _drifted(drift)]
    doubt = f"look at the drift of {_listed(drifted)}" if drifted else ""
    if events > CHECKED_AT_ONCE:
        answer = doubt or "nothing speaks against it"
        return Answer(question, answer, f"{events:,} events: %mlops audit verify checks them")
    audit = ws.audit()
    if not audit.intact:
        return Answer(question, f"no: event {audit.broken} {audit.reason}", "%mlops audit verify")
    checks = f"; endpoints checked for drift: {len(drift)}" if drift else ""
    return Answer(question, doubt or "yes", f"all {events:,} events are as recorded{checks}")


def _drifted(drift: list[Event]) -> list[Event]:
    return [
        event
        for event in drift
        if any(word in str(event.payload.get("verdict")) for word in ("moved", "worse"))
    ]


def _nothing_yet() -> Status:
    questions = (
        "What is running?",
        "What is served?",
        "What changed?",
        "What waits for a person?",
        "Can I trust it?",
    )
    empty = _Nothing()
    return Status(
        "no workspace yet: the first command that keeps something makes one",
        tuple(Answer(question, "nothing yet") for question in questions),
        tuple(read(empty) for read in _SECTIONS),
    )


class _Nothing(_Log):
    def __init__(self) -> None:
        """There is no session to read from."""

    def newest(self, *kinds: str) -> list[Event]:
        return []

    def count(self, *kinds: str) -> int:
        return 0

    def attempts(self, limit: int) -> tuple[list[Attempt], int]:
        return [], 0


def _latest_first(entries: list[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.at, reverse=True))


def _number(event: Event, name: str) -> int:
    found = event.payload.get(name, 0)
    return found if isinstance(found, int) else 0


def _name(entry: Entry) -> str:
    return entry.ref.partition(":")[2]


def _listed(names: Iterable[str], shown: int = 3) -> str:
    every = list(names)
    more = f" and {len(every) - shown} more" if len(every) > shown else ""
    return ", ".join(every[:shown]) + more


def _ago(at: datetime) -> str:
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
