"""One trial, where it runs: the cell's body on its own variables, and what became of it."""

from __future__ import annotations

import contextlib
import io
import math
import random
import sys
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from jupyter_mlops.experiments.driver.belongings import provide, settle_in
from jupyter_mlops.experiments.driver.shipments import Shipment
from jupyter_mlops.experiments.driver.signals import Control, Pruned, Stopped, control
from jupyter_mlops.experiments.driver.watching import Output, measured
from jupyter_mlops.workspace import MLOpsError

__all__ = ["Given", "Outcome", "TrialInfo", "run"]

#: Names that a trial's body has besides its own.
PROVIDED: Final = ("suggest", "report", "trial", "evaluate", "notebook")
#: The validation rows travel under a name that no cell can bind.
VALID: Final = "validation rows"
#: The callable that is the trial, where there is no cell.
CALL: Final = "trial_function"


@dataclass(frozen=True)
class Given:
    """What a trial is given.

    Attributes
    ----------
    params : dict
        Suggested for what earlier trials asked for; whatever else the body asks for is drawn.
    goals : tuple of str
        The metrics that it must set.
    keep_below : float or None
        Its model is worth keeping when its loss (the first metric, negated where more is better)
        is below; None keeps none.
    suspect : bool
        A worker died while it was there.
    cwd : str
        The notebook's folder: what the cell opens by a relative path is found from there.
    """

    experiment: str
    id: str
    number: int
    attempt: int
    seed: int
    params: dict[str, Any]
    folder: str
    code: str
    name: str
    goals: tuple[str, ...]
    maximize: bool
    variable: str | None = None
    target: str | None = None
    wanted: tuple[str, ...] | None = None
    keep: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    nested: int | None = None
    keep_below: float | None = None
    freeze: Any = None
    only_given: bool = False
    suspect: bool = False
    cwd: str = ""
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """What became of a trial; sent back as it is."""

    id: str
    status: str
    params: dict[str, Any] = field(default_factory=dict)
    distributions: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    curve: list[list[float]] = field(default_factory=list)
    error: str = ""
    notes: list[str] = field(default_factory=list)
    output: str = ""
    seconds: float = 0.0
    usage: dict[str, float] = field(default_factory=dict)
    worker: str = ""
    estimator: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    content: bytes | None = None
    validation: dict[str, Any] = field(default_factory=dict)
    rows: bytes | None = None
    losses: bytes | None = None
    losses_of: str = ""
    files: dict[str, bytes] = field(default_factory=dict)

    def keeps(self, constraints: Collection[str]) -> bool:
        """Whether it keeps to the constraints: only then it may be the best."""
        return all(self.metrics.get(name, math.inf) <= 0 for name in constraints)


@dataclass(frozen=True)
class TrialInfo:
    """What the body sees as `trial`."""

    number: int
    seed: int
    params: dict[str, Any]


def run(given: Given, tell: Callable[[dict[str, Any]], None] | None = None) -> Outcome:
    """Run a trial in this process and thread.

    Errors of the body are the trial's outcome, not this function's.
    """
    output = Output()
    outcome = Outcome(given.id, "finished")
    suggest = None
    with control(given.id, tell or _unheard) as running:
        settle_in(given.folder, given.cwd)
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                with measured(outcome):
                    suggest = _suggest(given)
                    names = _namespace(given, suggest, running, outcome)
                    _seed(given.seed)
                    exec(_compiled(given.code, given.name), names)  # noqa: S102  a trial is this
                    model = _take(given, names, outcome)
                # What it takes to keep a model is none of the trial's work.
                if model is not None:
                    _keep(given, names, model, outcome)
        except Pruned:
            outcome.status = "pruned"
            if running.curve:
                outcome.metrics.setdefault(given.goals[0], running.curve[-1][1])
        except Stopped:
            outcome.status = "stopped"
        except BaseException as error:
            outcome.status = "failed"
            outcome.error = _reason(error, given.name)
        outcome.curve = running.curve
    if suggest is not None:
        outcome.params, outcome.distributions = suggest.params, suggest.distributions
    outcome.output = output.text()
    return outcome


def _unheard(_: dict[str, Any]) -> None:
    """Nobody drives a trial that is run again."""


@lru_cache(maxsize=8)
def _compiled(code: str, name: str) -> types.CodeType:
    return compile(code, _file(name), "exec", dont_inherit=True)


def _file(name: str) -> str:
    return f"<cell experiment {name}>"


def _suggest(given: Given) -> Any:
    from jupyter_mlops.experiments.search.suggesting import Suggest

    return Suggest(given.params, given.seed, given.only_given)


def _seed(seed: int) -> None:
    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed % 2**63)


def _namespace(given: Given, suggest: Any, running: Control, outcome: Outcome) -> dict[str, Any]:
    """The cell's own variables, and what a trial has besides."""
    names = Shipment.at(Path(given.folder)).load()
    provided: dict[str, Any] = {
        "suggest": suggest,
        "report": running.report,
        "trial": TrialInfo(given.number, given.seed, dict(given.params)),
        "evaluate": _evaluate(given),
        "notebook": _notebook(outcome),
    }
    for name in ("trial", "evaluate", "notebook"):
        if name in names:
            del provided[name]  # the notebook's own
    for value in list(names.values()):
        provide(value, provided)
    names.update(provided)
    names["__name__"] = "__main__"
    return names


def _evaluate(given: Given) -> Any:
    def evaluate(*args: Any, **kwargs: Any) -> Any:
        from jupyter_mlops.experiments.search.folds import evaluate as folds

        kwargs.setdefault("seed", given.seed)
        kwargs.setdefault("nested", given.nested)
        return folds(*args, **kwargs)

    return evaluate


def _notebook(outcome: Outcome) -> Any:
    def notebook(path: str, **parameters: Any) -> dict[str, Any]:
        from jupyter_mlops.experiments.driver.notebooks import execute

        def keep(content: bytes) -> None:
            stem = Path(path).stem
            before = sum(one.startswith(f"{stem}.") for one in outcome.files)
            outcome.files[f"{stem}.{before + 1}.ipynb" if before else f"{stem}.ipynb"] = content

        return execute(path, parameters, keep)

    return notebook


def _take(given: Given, names: dict[str, Any], outcome: Outcome) -> Any:
    """Read what the body left: metrics, scores, and the model where it is to be kept."""
    from jupyter_mlops.experiments.metrics import lacking, numbers_of

    outcome.metrics, outcome.notes = {}, []
    found = names.get("metrics")
    if isinstance(found, Mapping):
        outcome.metrics, outcome.notes = numbers_of(found)
    model = names.get(given.variable) if given.variable else None
    if VALID in names and given.target is not None:
        _score(given, names, model, outcome)
    for metric in (*given.goals, *given.constraints):
        value = names.get(metric)
        if value is None and CALL in names:
            raise lacking(metric, outcome.metrics)
        if metric in outcome.metrics and not isinstance(value, int | float):
            continue
        outcome.metrics[metric] = _number(metric, value, outcome, metric == given.goals[0])
    loss = outcome.metrics[given.goals[0]] * (-1 if given.maximize else 1)
    wanted = given.keep_below is not None and loss < given.keep_below
    if not wanted or not outcome.keeps(given.constraints):
        # Rows are kept beside the model alone: they are large, and compare what was kept.
        outcome.rows, outcome.validation = None, {}
        return None
    return model


def _number(metric: str, value: Any, outcome: Outcome, first: bool) -> float:
    from jupyter_mlops.experiments.metrics import ROWS, by_row, goal_of

    if by_row(value):
        if first:
            outcome.losses, outcome.losses_of = _packed(value), ROWS
        value = float(value.mean())
    rows = getattr(value, "rows", None)
    if rows is not None and hasattr(value, "mean"):
        # A cross-validation: its mean, and each row's loss.
        if first:
            from jupyter_mlops.experiments.search.nesting import kept

            outcome.losses, outcome.losses_of = _packed(rows), str(value.metric)
            outcome.files |= kept(value)
        value = value.mean
    return goal_of(metric, value)


def _score(given: Given, names: dict[str, Any], model: Any, outcome: Outcome) -> None:
    from jupyter_mlops.experiments.losses import MEAN_OF, losses_by_row
    from jupyter_mlops.experiments.portrait import portray
    from jupyter_mlops.experiments.scoring import score

    if not callable(getattr(model, "predict", None)):
        raise ValueError(f"the cell binds no model called `{given.variable}` to be scored")
    valid = names[VALID]
    assert given.target is not None
    portrait, _ = portray(model, [valid], given.target)
    features = portrait.get("features")
    scores = score(model, valid, given.target, features, given.wanted, list(given.keep))
    outcome.metrics.update(scores.metrics)
    outcome.validation = {"rows": len(scores.rows)}
    buffer = io.BytesIO()
    scores.rows.to_parquet(buffer, compression="zstd", index=False)
    outcome.rows = buffer.getvalue()
    loss = MEAN_OF.get(given.goals[0])
    classes = portrait.get("classes") or []
    if loss is not None and (loss not in {"log_loss", "brier"} or "p_0" in scores.rows):
        outcome.losses = _packed(losses_by_row(scores.rows, loss, classes))
        outcome.losses_of = given.goals[0]


def _packed(losses: Any) -> bytes:
    import numpy as np

    from jupyter_mlops.experiments.losses import sampled

    # The same rows of every trial: they are compared row by row.
    return bytes(sampled(np.asarray(losses, dtype=np.float32).ravel()).tobytes())


def _keep(given: Given, names: dict[str, Any], model: Any, outcome: Outcome) -> None:
    """The model as bytes that load safely, with what is known of it."""
    from jupyter_mlops.experiments.portrait import parameters, portray, to_pandas
    from jupyter_mlops.workspace import Denied

    frames = [to_pandas(value) for value in names.values()]
    told, missing = portray(model, [one for one in frames if one is not None], given.target)
    outcome.notes += [f"The model can't be registered: {reason}." for reason in missing]
    outcome.estimator = parameters(model)
    outcome.model = told | {"variable": given.variable}
    try:
        frozen = given.freeze(model)
    except Denied as error:
        reason = "; ".join(part for part in (error.what, error.fix) if part)
        outcome.notes.append(f"The model isn't kept: {reason}.")
        return
    outcome.content = frozen.content
    outcome.model["trusted"] = list(frozen.trusted)
    outcome.model["format"], outcome.model["file"] = frozen.format, frozen.file


def _reason(error: BaseException, name: str) -> str:
    if isinstance(error, MLOpsError):
        told = error.sentence
    elif isinstance(error, MemoryError):
        told = f"MemoryError: {error}; fewer --workers leave each trial more, or read less of it"
    else:
        told = f"{type(error).__name__}: {error}"[:2000] if str(error) else type(error).__name__
    line = ""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _file(name):
            line = f" (line {trace.tb_lineno} of the cell)"
        trace = trace.tb_next
    return told + line
