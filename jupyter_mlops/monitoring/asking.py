"""From served rows to labels and back: what is strange or uncertain is asked of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from jupyter_mlops import data, experiments, labeling, models, serving
from jupyter_mlops.monitoring.picking import Pick, pick
from jupyter_mlops.monitoring.sides import INPUT
from jupyter_mlops.monitoring.windows import Window
from jupyter_mlops.serving import Endpoint
from jupyter_mlops.serving.feedback import Feedback
from jupyter_mlops.workspace import Conflict, Invalid, Workspace

__all__ = ["ask_people", "take_answers"]

_KEY: Final = "prediction_id"
_ASKED: Final = "asked"
# Nothing to pick: no rows that tell how strange they are, no probabilities, nothing drifted.
_NOTHING: Final = {"E-MONITORING-060", "E-MONITORING-063", "E-MONITORING-064"}


def ask_people(
    ws: Workspace,
    task: str,
    endpoint: str,
    how: Sequence[Pick] = ("strange", "uncertain"),
    count: int = 50,
    *,
    window: Window | None = None,
    classes: list[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> labeling.Task:
    """Make a labeling task of rows that an endpoint was sent, or put later ones into it.

    People see the inputs alone: what the model answered would sway them. The same again adds
    rows that were logged since, as many as are asked for, when the task's owner does it;
    whatever was answered stays.

    Parameters
    ----------
    ws : Workspace
    task : str
    endpoint : str
    how, count, window
        Which rows, as `pick` takes them.
    classes : list of str, optional
        The answers to choose from; the model's classes when None. A model of numbers asks for
        a text that is one.
    settings : mapping, optional
        The task's rules.

    Raises
    ------
    Invalid
        ``E-MONITORING-075``: a classifier whose classes nobody knows; or nothing can be picked.
    Conflict
        ``E-MONITORING-078``: the task asks about something else.

    Examples
    --------
    >>> ask_people(ws, "odd", "delay", ["strange"], 20).kind  # doctest: +SKIP
    'row'
    """
    served = serving.get(ws, endpoint)
    there = labeling.find(ws, task)
    if there is not None:
        labeling.same_rules(ws, there, settings or {})
        _refill(ws, there, served, how, count, window)
        return labeling.get(ws, there.id)
    until = _logged_until(ws, served)
    picked = pick(ws, served.name, how, count, window)
    names = [one.removeprefix(INPUT) for one in picked.columns if one.startswith(INPUT)]
    chosen = classes or _classes(ws, served)
    return labeling.create(
        ws,
        task,
        data.resolve(ws, _shown(picked)),
        "row",
        chosen,
        answer="class" if chosen else "text",
        settings={
            "guideline": f"What came true, or what should `{served.name}` have answered?",
            **(settings or {}),
        },
        column=",".join(names),
        key=_KEY,
        marks={_ASKED: _mark(served, until)},
    )


def _refill(
    ws: Workspace,
    task: labeling.Task,
    served: Endpoint,
    how: Sequence[Pick],
    count: int,
    window: Window | None,
) -> None:
    """Add rows that were logged since the task was filled."""
    asked = task.settings.get(_ASKED)
    if not asked or asked["endpoint"] != served.name:
        raise Conflict(
            f"the task {task.name!r} asks about other rows than those of {served.name}",
            f"it was made of {asked['endpoint'] if asked else task.data_ref or 'a frame'}",
            "give this one another name",
            code="E-MONITORING-078",
        )
    owners = {one.person for one in labeling.roles(ws, task.id).held if one.role == "owner"}
    since, until = datetime.fromisoformat(asked["until"]), _logged_until(ws, served)
    if ws.user not in owners or until <= since:
        return
    known = labeling.known_keys(ws, task.id)
    try:
        picked = pick(ws, served.name, how, count, window, after=since, but=known)
    except Invalid as error:
        if error.code not in _NOTHING:
            raise
        return  # of what came since nothing is worth a look; what was asked still is
    rows = data.resolve(ws, _shown(picked))
    labeling.add_items(ws, task.id, rows, marks={_ASKED: _mark(served, until)})


def _shown(picked: pl.DataFrame) -> pl.DataFrame:
    """What people see of picked rows: the inputs, and the key that says which they are."""
    inputs = [name for name in picked.columns if name.startswith(INPUT)]
    return picked.select(_KEY, *(pl.col(name).alias(name.removeprefix(INPUT)) for name in inputs))


def _mark(served: Endpoint, until: datetime) -> dict[str, str]:
    return {"endpoint": served.name, "until": until.isoformat()}


def _logged_until(ws: Workspace, served: Endpoint) -> datetime:
    """When the last row of the log was logged."""
    at = pl.col("at").cast(pl.Datetime("us", "UTC")).max()
    last = serving.traffic.read(ws, served.name).select(at).collect(engine="streaming").item()
    return last if isinstance(last, datetime) else datetime.fromtimestamp(0, UTC)


def take_answers(ws: Workspace, endpoint: str, labels: str) -> Feedback:
    """Take the labels of such a task as what came true; those that were taken aren't again.

    A label counts as new when its prediction has no truth yet, or another one that came before
    the label was given.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    labels : str
        A task, or a version of its labels: ``odd@2``.

    Raises
    ------
    Invalid
        ``E-MONITORING-076``: the labels are of other rows; ``E-MONITORING-077``: one isn't what
        the endpoint could have answered.
    """
    served = serving.get(ws, endpoint)
    made = labeling.label_set(ws, labels)
    frame = data.resolve(ws, made.ref).scan().select("key", "label", "at").collect()
    log = serving.traffic.read(ws, served.name)
    known = log.select(_KEY).filter(pl.col(_KEY).is_in(frame["key"].drop_nulls().to_list()))
    if known.collect().is_empty():
        raise Invalid(
            f"the labels {labels!r} are of no rows that {served.name} answered",
            fix=f"`%mlops label TASK --from endpoint:{served.name}` makes a task of such rows",
            code="E-MONITORING-076",
        )
    kind = log.collect_schema()["prediction"]
    truth = _read(frame["label"], kind)
    wrong = frame.filter(truth.is_null() & frame["label"].is_not_null())
    if wrong.height:
        raise Invalid(
            f"{wrong['label'][0]!r} is nothing that {served.name} could have answered",
            f"it is the label of {wrong['key'][0]}, and answers are {_words(kind)}",
            "label it again, or leave it out",
            code="E-MONITORING-077",
        )
    told = frame.select(pl.col("key").alias(_KEY), truth.alias("label"), "at")
    new = _untold(told, serving.feedback.read(ws, served.name).collect())
    if new.is_empty():
        return serving.feedback.standing(ws, served.name)
    return serving.feedback.add(ws, served.name, data.resolve(ws, new), "label")


def _untold(told: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The labels that say more than what is known to be true."""
    before = known.select(_KEY, "truth", received=pl.col("at"))
    both = told.join(before, on=_KEY, how="left", maintain_order="left")
    same = both["label"].cast(pl.String) == both["truth"].cast(both["label"].dtype).cast(pl.String)
    later = both["at"] > both["received"]
    return both.filter(both["truth"].is_null() | (~same & later)).select(_KEY, "label")


def _classes(ws: Workspace, served: Endpoint) -> list[str] | None:
    version = models.get(ws, served.model_ref)
    if version.task == "regression":
        return None
    told = experiments.find_run(ws, version.run_id).model.get("classes") if version.run_id else None
    if told:
        return [str(one) for one in told]
    log = serving.traffic.read(ws, served.name).select("prediction").unique().collect()
    seen = sorted(str(one) for one in log["prediction"].drop_nulls())
    if len(seen) > 1:
        return seen
    raise Invalid(
        f"nobody knows between which classes {version.label} chooses",
        "it was trained elsewhere",
        "name them: --classes a,b",
        code="E-MONITORING-075",
    )


def _read(labels: pl.Series, kind: pl.DataType) -> pl.Series:
    """Labels, which are texts, as the endpoint's answers; null where one can't be."""
    if kind.is_numeric():
        return labels.str.strip_chars().cast(kind, strict=False)
    if kind == pl.Boolean:
        texts = labels.str.to_lowercase()
        return texts.replace_strict({"true": True, "false": False}, default=None)
    return labels


def _words(kind: pl.DataType) -> str:
    return "numbers" if kind.is_numeric() else "true or false" if kind == pl.Boolean else "texts"
