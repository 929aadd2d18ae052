"""Driving an experiment to its end: cluster, search and loop, from the beginning or again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.experiments.driver.journal import Journal, Started
from jupyter_mlops.experiments.driver.keeping import Best
from jupyter_mlops.experiments.driver.launching import shipments
from jupyter_mlops.experiments.driver.loop import ClusterLost, Loop, State
from jupyter_mlops.experiments.driver.shipments import Shipment
from jupyter_mlops.experiments.driver.trial import Given
from jupyter_mlops.experiments.progress import SearchStep
from jupyter_mlops.experiments.records import ExperimentRecord, TrialRecord
from jupyter_mlops.experiments.sending import send_later
from jupyter_mlops.experiments.studies import Experiment, find_experiment
from jupyter_mlops.workspace import MLOpsError, Unavailable, Workspace

if TYPE_CHECKING:
    from jupyter_mlops.experiments.clusters import Cluster
    from jupyter_mlops.experiments.search import Search

__all__ = ["Watch", "cluster_for", "drive", "template"]

#: Clusters an experiment may lose before it gives up.
_CLUSTERS: Final = 10
_ENDED: Final = {"finished", "pruned", "failed", "stopped"}


@dataclass(frozen=True)
class Watch:
    """Who looks on: `step` is told how far it is, `announce` a sentence now and then."""

    step: Callable[[SearchStep], None] | None = None
    announce: Callable[[str], None] | None = None


def drive(ws: Workspace, experiment: str, freeze: Any, watch: Watch | None = None) -> Experiment:
    """Run an experiment until its search is done, from wherever it is.

    Parameters
    ----------
    ws : Workspace
    experiment : str
        Its id. Trials that ended are kept as they are; those that were running are begun again
        with the same parameters and seed.
    freeze : callable
        Turns a model into bytes that load safely.
    watch : Watch, optional

    Raises
    ------
    Conflict
        Another process drives it.
    Unavailable
        There is no cluster, or clusters were lost again and again.
    KeyboardInterrupt
        After running trials were stopped and everything that ended was recorded.
    """
    watch = watch or Watch()
    journal = Journal(ws, experiment)
    plan = journal.row.plan
    shipment = Shipment.at(shipments(ws) / journal.row.shipment)
    rows = journal.take()
    try:
        search, state = _search(ws, journal.row, rows)
        given = template(journal.row, str(shipment.folder), freeze)
        told = find_experiment(ws, experiment)
        _run(ws, journal, search, state, given, told, watch)
    except KeyboardInterrupt as error:
        journal.end("interrupted", {}, (), "it was interrupted")
        send_later(ws)
        error.add_note(f"`%mlops experiment resume {journal.row.name}` goes on with it.")
        raise
    except MLOpsError as error:
        journal.end("failed", {}, (), f"{error.what}: {error.why}".rstrip(": "))
        send_later(ws)
        raise
    except BaseException as error:
        journal.end("failed", {}, (), f"{type(error).__name__}: {error}")
        raise
    status, reason = "finished", ""
    if not state.counts["finished"] + state.counts["pruned"] and state.counts["failed"]:
        status = "failed"
        reason = state.reasons.most_common(1)[0][0] if state.reasons else state.why
    elif state.why == "it was stopped":
        status = "stopped"
    from jupyter_mlops.experiments.driver.concluding import conclude

    outcome = conclude(ws, experiment, search, state, plan)
    notes = [f"{note}" for note, _ in state.notes.most_common(5)]
    journal.end(status, outcome, notes, reason)
    send_later(ws)
    return find_experiment(ws, experiment)


def template(row: ExperimentRecord, folder: str, freeze: Any) -> Given:
    """What all trials of an experiment have in common."""
    plan = row.plan
    return Given(
        experiment=row.id,
        id="",
        number=0,
        attempt=1,
        seed=0,
        params={},
        folder=folder,
        code=plan["code"],
        name=row.name,
        goals=tuple(goal["metric"] for goal in plan["goals"]),
        maximize=plan["goals"][0]["maximize"],
        variable=plan["variable"],
        target=plan["target"],
        wanted=None if plan["wanted"] is None else tuple(plan["wanted"]),
        keep=tuple(plan["keep_columns"]),
        constraints=tuple(plan["constraints"]),
        nested=plan.get("nested"),
        cwd=plan.get("cwd", ""),
        freeze=freeze if plan["keep"] and plan["variable"] else None,
    )


def _run(
    ws: Workspace,
    journal: Journal,
    search: Search,
    state: State,
    given: Given,
    told: Experiment,
    watch: Watch,
) -> None:
    last: Cluster | None = None
    for _ in range(_CLUSTERS):
        cluster = cluster_for(ws, journal.row.plan, watch)
        last = cluster
        try:
            Loop(journal, search, cluster, given, state, told, watch.step).run()
        except ClusterLost:
            if watch.announce is not None:
                watch.announce("The cluster was lost; its trials are begun again on another.")
            continue
        except KeyboardInterrupt:
            if cluster.owned:
                # Nothing of it may go on computing after the cell has ended.
                from jupyter_mlops.experiments import clusters

                clusters.stop(ws, cluster.name)
            raise
        return
    raise Unavailable(
        f"experiment {journal.row.name!r} lost {_CLUSTERS} clusters, the last at "
        f"{last.address if last else 'nowhere'}",
        "their schedulers stopped answering",
        f"`%mlops experiment resume {journal.row.name}` goes on once a cluster stays up",
        code="E-EXPERIMENT-050",
    )


def cluster_for(ws: Workspace, plan: dict[str, Any], watch: Watch) -> Cluster:
    """The cluster that an experiment asks for, started when it isn't there."""
    from jupyter_mlops.experiments import clusters

    python = plan.get("python")
    interpreter = Path(python) if python and Path(python).is_file() else None
    if plan["environment"]:
        from jupyter_mlops.experiments import environments

        interpreter = environments.interpreter(ws, plan["environment"])
    return clusters.obtain(
        ws,
        plan["cluster"],
        workers=plan["workers"],
        interpreter=interpreter,
        environment=plan["environment"] or "",
        gpus=plan["gpus"] or None,
        gpu_memory=plan.get("gpu_memory"),
        announce=watch.announce,
    )


def _search(
    ws: Workspace, row: ExperimentRecord, trials: list[TrialRecord]
) -> tuple[Search, State]:
    """The search as it stands after what ended, and what has to run again."""
    from jupyter_mlops.experiments.search import Plan, Search, Told

    plan = row.plan
    search = Search(
        Plan(
            goals=tuple((goal["metric"], goal["maximize"]) for goal in plan["goals"]),
            sampler=plan["sampler"],
            pruner=plan["pruner"],
            trials=plan["trials"],
            timeout=plan["timeout"],
            budget=plan["budget"],
            patience=plan["patience"],
            constraints=tuple(plan["constraints"]),
        ),
        plan["seed"],
    )
    state = State(Best(plan["keep"]))
    if plan["warm_start"]:
        earlier = find_experiment(ws, plan["warm_start"])
        state.notes.update(search.warm_start(_told_of(earlier, row)))
    ended = [one for one in trials if one.status in _ENDED]
    search.restore(
        [
            Told(
                number=one.number or 0,
                status=one.status,
                values=_values(one.metrics, plan),
                params=one.params,
                distributions=one.distributions,
                curve=one.curve,
                constraints=[one.metrics.get(name, float("inf")) for name in plan["constraints"]]
                or None,
            )
            for one in ended
        ],
        running={one.number or 0: one.params for one in trials if one.status not in _ENDED},
    )
    sign = -1 if plan["goals"][0]["maximize"] else 1
    state.seconds = _worked(ended)
    for one in ended:
        state.counts[one.status] += 1
        state.cpu += one.usage.get("cpu_seconds", 0.0)
        state.notes.update(one.notes)
        if one.status == "failed":
            state.reasons[one.error] += 1
        elif one.status == "finished":
            if any(one.metrics.get(name, 1.0) > 0 for name in plan["constraints"]):
                continue
            value = one.metrics[plan["goals"][0]["metric"]]
            if state.top is None or sign * value < sign * state.top[0]:
                state.top = value, one.number or 0, one.params
            if one.model.get("sha256"):
                state.best.add(one.id, sign * value)
    state.again = [
        Started(one.number or 0, one.params, one.seed or 0, one.id, one.attempts, one.started_at)
        for one in trials
        if one.status not in _ENDED
    ]
    return search, state


def _worked(trials: list[TrialRecord]) -> float:
    """Seconds in which at least one of the trials ran: a night between two attempts isn't any."""
    spans = sorted((one.started_at, one.ended_at) for one in trials if one.ended_at is not None)
    total, until = 0.0, None
    for begun, ended in spans:
        since = begun if until is None else max(begun, until)
        total += max(0.0, (ended - since).total_seconds())
        until = ended if until is None else max(until, ended)
    return total


def _values(metrics: dict[str, float], plan: dict[str, Any]) -> list[float] | None:
    found = [metrics.get(goal["metric"]) for goal in plan["goals"]]
    known = [one for one in found if one is not None]
    return known if len(known) == len(found) else None


def _told_of(earlier: Experiment, row: ExperimentRecord) -> list[Any]:
    from jupyter_mlops.experiments.search import Told

    return [
        Told(
            number=one.number,
            status=one.status,
            values=_values(one.metrics, row.plan),
            params=one.params,
            distributions=one.distributions,
            curve=one.curve,
            constraints=None,
        )
        for one in earlier.finished
    ]
