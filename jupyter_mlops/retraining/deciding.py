"""One decision from its beginning to its end: look, train, judge, promote or hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from jupyter_mlops import data, experiments, models
from jupyter_mlops.experiments.environments.kernels import kernel_name
from jupyter_mlops.experiments.trials import find_run
from jupyter_mlops.models import ModelVersion
from jupyter_mlops.models.gates import Line
from jupyter_mlops.models.gates.grammar import parse as parse_gates
from jupyter_mlops.models.gates.judging import Trial
from jupyter_mlops.monitoring.estimates import FEWEST_BLOCKS
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.windows import parse_length
from jupyter_mlops.retraining.answering import Answer, answer
from jupyter_mlops.retraining.budget import lately
from jupyter_mlops.retraining.conditions import parse
from jupyter_mlops.retraining.decisions import Decision, State, claim, close, note
from jupyter_mlops.retraining.evidence import HeldOut
from jupyter_mlops.retraining.labelled import TIME, training_rows
from jupyter_mlops.retraining.looking import Subject
from jupyter_mlops.retraining.policies import policy
from jupyter_mlops.retraining.promoting import CHAMPION, deciding_metric, promote_challenger
from jupyter_mlops.retraining.running import Progress, Ran, run_notebook
from jupyter_mlops.workspace import MLOpsError, NotFound, Workspace

__all__ = ["decide"]

#: Older versions that may win against the champion when the challenger doesn't.
_CANDIDATES: Final = 3


def decide(ws: Workspace, ref: str) -> Decision:
    """Work on a decision until it has ended, or waits for a person.

    Parameters
    ----------
    ws : Workspace
    ref : str
        A decision that has begun, and that no living process works on.

    Raises
    ------
    Conflict
        Another process works on it, or it has ended.
    """
    found = claim(ws, ref)
    try:
        return _Deciding(ws, found).run()
    except MLOpsError as error:
        why = f": {error.why}" if error.why else ""
        return close(ws, found.ref, "failed", f"{error.what}{why}.", found={"code": error.code})
    except KeyboardInterrupt:
        return close(ws, found.ref, "stopped", "It was interrupted.")
    except BaseException as error:
        close(ws, found.ref, "failed", f"{type(error).__name__}: {str(error)[:300]}")
        raise


class _Ended(Exception):
    """The decision is made."""

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state, self.reason = state, reason


class _Deciding:
    """A decision under way."""

    def __init__(self, ws: Workspace, found: Decision) -> None:
        self.ws, self.found, self.terms = ws, found, found.terms
        self.cpu_seconds = found.cpu_seconds
        #: Processor seconds that the week's budget leaves to this decision.
        self.cpu_most = math.inf
        self.subject = Subject(ws, found)
        self.notes = self.subject.notes

    def run(self) -> Decision:
        try:
            self._look()
            self._train()
            return self._judge()
        except _Ended as end:
            return close(self.ws, self.found.ref, end.state, end.reason)

    def _look(self) -> None:
        fresh = self.subject.fresh()
        self.found = note(self.ws, self.found.ref, champion=self.subject.champion.label)
        if self.terms.when:
            held = answer(parse(self.terms.when, self.subject.metrics), self.subject.facts(fresh))
            told = {"condition": [asdict(part) for part in held.parts], "verdict": held.verdict}
            note(self.ws, self.found.ref, found=told)
            if held.verdict != "yes":
                raise _Ended("unneeded", _sentence(held))
            why = _sentence(held)
        else:
            why = "It trains each time it looks."
        if fresh == 0:
            raise _Ended("unneeded", f"{why} But no truth has come since the last decision.")
        self.train, self.hold = self.subject.known.part(self.terms.hold, self.subject.unseen)
        needed = Limits().fewest_truths
        if self.hold.height < needed:
            few = f"{self.hold.height:,} of {needed:,} rows to judge by"
            raise _Ended("unneeded", f"{why} But there is not enough data: {few}.")
        self._check_budget(why)
        self.rows, left_out = training_rows(self.ws, self.terms, self.subject.champion, self.train)
        self.notes += left_out
        if self.rows.is_empty():
            raise _Ended("unneeded", f"{why} But there are no rows to train on.")
        since, until = self.hold[TIME].min(), self.hold[TIME].max()
        known = self.subject.known.known_at
        window = {
            "known_until": _iso(known.max()) if known is not None else None,
            "rows": self.rows.height,
            "held_rows": self.hold.height,
            "held_since": _iso(since),
            "held_until": _iso(until),
            "predictions": self.subject.known.predictions,
            "new_rows": fresh,
        }
        self.found = note(
            self.ws,
            self.found.ref,
            reason=why,
            rows=self.rows.height,
            found={"window": window, "notes": self.notes},
        )
        if self.found.dry:
            what = f"train on {self.rows.height:,} rows and judge on {self.hold.height:,}"
            raise _Ended("would train", f"It would {what}. {why}")

    def _check_budget(self, why: str) -> None:
        # A decision that goes on after its process died may end the run that it began.
        runs, seconds = lately(self.ws, self.found.policy, besides=self.found.id)
        most = self.terms.runs_a_week
        if most is not None and runs >= most:
            raise _Ended("held", f"{why} But it ran {runs} notebooks in seven days, of {most}.")
        if self.terms.cpu_a_week:
            limit = parse_length(self.terms.cpu_a_week).total_seconds()
            self.cpu_most = limit - seconds
            seconds += self.cpu_seconds
            if seconds >= limit:
                used = f"{seconds / 3600:,.3g} hours of processor time in seven days"
                raise _Ended("held", f"{why} But it took {used}, of {self.terms.cpu_a_week}.")

    # Training.

    @property
    def _actor(self) -> str:
        return f"policy:{self.found.policy}/{self.found.id[:8]}"

    def _train(self) -> None:
        """Run the notebook, again when it fails; what was registered before a crash stays."""
        if self._registered():
            return
        made = data.add(self.ws, f"{self.found.policy}-labelled", self.rows)
        self.found = note(self.ws, self.found.ref, "training", found={"data": made.ref})
        parameters = {
            **self.terms.parameters,
            "data": made.ref,
            "since": _iso(self.rows[TIME].min()) if TIME in self.rows.columns else None,
            "until": _iso(self.rows[TIME].max()) if TIME in self.rows.columns else None,
            "policy": self.found.policy,
            "decision": self.found.id,
        }
        source = Path(self.terms.notebook)
        source = source if source.is_absolute() else self.ws.root / source
        if not source.is_file():
            raise _Ended("failed", f"The notebook {self.terms.notebook} isn't there any more.")
        for attempt in range(1 + self.terms.retries):
            ran = self._run(source, parameters)
            if ran.stopped:
                raise _Ended("stopped", f"The notebook was ended: {ran.stopped}.")
            if not ran.error:
                break
            if attempt == self.terms.retries:
                times = f" {attempt + 1} times" if attempt else ""
                raise _Ended("failed", f"The notebook failed{times}: {ran.error}")
        if not self._registered():
            raise _Ended(
                "failed",
                f"The notebook trained no model that {self.found.model} could have as a version: "
                "its `%%mlops train` cell must bind a model and name --data and --target.",
            )

    def _run(self, source: Path, parameters: dict[str, Any]) -> Ran:
        kernel = kernel_name(self.ws, self.terms.env) if self.terms.env else None
        before, told = self.cpu_seconds, Progress(-1, 0, "", 0.0)

        def watch(now: Progress) -> str:
            nonlocal told
            if (now.done, now.running) != (told.done, told.running):
                told = now
                note(
                    self.ws,
                    self.found.ref,
                    cpu_seconds=before + now.cpu_seconds,
                    found={"progress": asdict(now)},
                )
            if before + now.cpu_seconds > self.cpu_most:
                return f"it used up the {self.terms.cpu_a_week} of processor time a week"
            return self._stopped()

        ran = run_notebook(
            source,
            parameters,
            kernel=kernel,
            environment={
                "JUPYTER_MLOPS_USER": self._actor,
                "JUPYTER_MLOPS_WORKSPACE": str(self.ws.root),
            },
            timeout=parse_length(self.terms.timeout).total_seconds(),
            watch=watch,
        )
        self.cpu_seconds = before + ran.cpu_seconds
        kept: dict[str, Any] = {"seconds": ran.seconds}
        if ran.notebook:
            key = f"{self.found.folder}/{source.name}"
            self.ws.artifacts.write_bytes(key, ran.notebook)
            kept["notebook"] = key
        note(self.ws, self.found.ref, cpu_seconds=self.cpu_seconds, found=kept)
        return ran

    def _stopped(self) -> str:
        try:
            return "its policy was stopped" if policy(self.ws, self.found.policy).paused else ""
        except NotFound:
            return "its policy was taken away"

    def _registered(self) -> list[ModelVersion]:
        """The versions that this decision's notebook made; its newest run where it made none."""
        every = models.list_models(self.ws, self.found.model)
        made = [one for one in every if one.actor == self._actor]
        if made:
            return made
        for run in experiments.runs(self.ws):
            if run.actor == self._actor and run.status == "finished" and run.has_model:
                experiments.send(self.ws, run.id)
                fresh = find_run(self.ws, run.ref)
                return [models.register(self._as_policy(), fresh, self.found.model)]
        return []

    def _as_policy(self) -> Workspace:
        return Workspace.open(self.ws.root, user=self._actor)

    # Judging.

    def _judge(self) -> Decision:
        note(self.ws, self.found.ref, "judging")
        held = HeldOut(self.ws, self.hold, self.found.folder)
        held.take(self.subject.champion)
        challengers = [
            one for one in self._registered() if one.label != self.subject.champion.label
        ]
        tried: list[tuple[ModelVersion, list[Line]]] = []
        for version in [*challengers, *self._older(challengers)]:
            try:
                held.take(version)
                lines = self._lines(held, version)
            except MLOpsError as error:
                self.notes.append(f"{version.label} can't be judged: {error.what}.")
                continue
            tried.append((version, lines))
            if all(line.verdict == "pass" for line in lines):
                break
        if not tried:
            raise _Ended("failed", " ".join(self.notes) or "No version could be judged.")
        version, lines = self._best(tried)
        told = {
            "gates": [_plain(line) for line in lines],
            "notes": self.notes,
            "tried": [one.label for one, _ in tried],
        }
        self.found = note(self.ws, self.found.ref, challenger=version.label, found=told)
        failing = [line for line in lines if line.verdict != "pass"]
        if failing:
            said = " ".join(line.reason for line in failing)
            raise _Ended("held", f"{version.label} isn't promoted: {said}")
        passed = " ".join(line.reason for line in lines)
        self.found = note(self.ws, self.found.ref, reason=passed)
        if self.terms.approve == "person":
            wait = f"`%mlops approve {version.label}` promotes it. {passed}"
            raise _Ended("waiting", wait)
        return promote_challenger(self.ws, self.found, held)

    def _older(self, challengers: Sequence[ModelVersion]) -> list[ModelVersion]:
        """Versions before that take the same columns: one of them may be right again."""
        names = {one.label for one in (*challengers, self.subject.champion)}
        every = sorted(models.list_models(self.ws, self.found.model), key=lambda one: -one.version)
        same = [
            one
            for one in every
            if one.label not in names
            and set(one.features) <= set(self.hold.columns)
            and one.target == self.subject.champion.target
        ]
        return same[:_CANDIDATES]

    def _lines(self, held: HeldOut, version: ModelVersion) -> list[Line]:
        text = self.terms.gate
        if not text:
            metric = deciding_metric(self.subject.champion.task, held.scored(self.subject.champion))
            days = self.hold[TIME].dt.date().n_unique()
            paired = ", paired by day" if days >= FEWEST_BLOCKS else ""
            better = ">" if metric == "accuracy" else "<"
            text = f"{metric} {better} {CHAMPION}.{metric} (95%{paired})"
        trial = Trial(self.ws, version, held, {CHAMPION: self.subject.champion})
        return [trial.judge(gate) for gate in parse_gates(text, self.subject.metrics, {CHAMPION})]

    def _best(
        self, tried: list[tuple[ModelVersion, list[Line]]]
    ) -> tuple[ModelVersion, list[Line]]:
        """The one that passes; else the first, which is the notebook's."""
        for version, lines in tried:
            if all(line.verdict == "pass" for line in lines):
                return version, lines
        return tried[0]


def _sentence(held: Answer) -> str:
    return f"{held.sentence[:1].upper()}{held.sentence[1:]}."


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment is not None else None


def _plain(line: Line) -> dict[str, Any]:
    """A line as JSON has it: there is neither infinity nor NaN."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in asdict(line).items()
    }
