"""Optuna's study in memory, with trials that hold what they really asked for."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jupyter_mlops.experiments.search.planning import Plan, Told
from jupyter_mlops.experiments.search.sampling import pruner, quiet
from jupyter_mlops.experiments.search.space import Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

__all__ = ["Study"]

#: Optuna's marks of constraints on a trial.
_CONSTRAINT = "constraints:"


class Study:
    """Optuna's study, asked and told by our own numbers.

    A trial is asked for with all parameters known so far, as its body will use some of them; once
    it is told, it keeps those it used. Optuna's interface can't take parameters back from a trial,
    and copies all trials deeply at every turn, so this puts trials into the memory itself.

    Attributes
    ----------
    ended : int
        Trials to learn from: finished and pruned, with earlier ones.
    told : dict of int to Told
    optuna : optuna.Study
    """

    def __init__(self, plan: Plan, seed: int) -> None:
        import optuna

        class Memory(optuna.storages.InMemoryStorage):
            def put(self, trial_id: int, trial: FrozenTrial) -> None:
                with self._lock:
                    self._set_trial(trial_id, trial)

        self.ended = 0
        self.told: dict[int, Told] = {}
        self._plan = plan
        self._memory = Memory()
        self._ids: dict[int, int] = {}
        level = optuna.logging.get_verbosity()
        with quiet():
            optuna.logging.set_verbosity(optuna.logging.ERROR)
            try:
                self.optuna = optuna.create_study(
                    storage=self._memory,
                    directions=["maximize" if more else "minimize" for _, more in plan.goals],
                    sampler=optuna.samplers.RandomSampler(seed=seed % 2**32),
                    pruner=pruner(plan.pruner),
                    # Hyperband's brackets go by the name.
                    study_name=f"search-{seed}",
                )
            finally:
                optuna.logging.set_verbosity(level)

    def suggest(self, number: int, space: Space, sampler: BaseSampler) -> dict[str, Any]:
        """Have a sampler suggest all known parameters for a trial."""
        self.optuna.sampler = sampler
        with quiet():
            trial = self.optuna.ask(space.optuna())
        self._ids[number] = trial._trial_id
        return dict(trial.params)

    def expect(self, number: int, space: Space, params: dict[str, Any]) -> None:
        """Count a trial among those that run, with these parameters."""
        if number not in self._ids:
            self._ids[number] = self._memory.create_new_trial(self.optuna._study_id)
        known = {name: one for name, one in params.items() if name in space.known}
        if space.holds(known):
            self._put(number, space, known)

    def _put(self, number: int, space: Space, params: dict[str, Any]) -> FrozenTrial:
        trial_id = self._ids[number]
        trial = copy.copy(self._memory.get_trial(trial_id))
        trial.params = dict(sorted(params.items()))
        trial.distributions = space.of(trial.params)
        self._memory.put(trial_id, trial)
        return trial

    def should_prune(self, number: int, step: int, value: float) -> bool:
        trial_id = self._ids[number]
        if step in self._memory.get_trial(trial_id).intermediate_values:
            return False  # reported before: Optuna keeps the first, too
        self._memory.set_trial_intermediate_value(trial_id, step, value)
        with quiet():
            return bool(self.optuna.pruner.prune(self.optuna, self._memory.get_trial(trial_id)))

    def tell(self, told: Told, space: Space) -> None:
        """End a trial: what it used, its curve, constraints, values and state."""
        from optuna.trial import TrialState

        if told.number not in self._ids:
            self._ids[told.number] = self._memory.create_new_trial(self.optuna._study_id)
        if self._memory.get_trial(self._ids[told.number]).state.is_finished():
            return  # told before
        self.told[told.number] = told
        # A trial that was lost has what was suggested, whether or not it would have asked for it.
        used = {name: one for name, one in told.params.items() if space.holds({name: one})}
        trial = self._put(told.number, space, used)
        self._fill(trial, told)
        self._memory.put(trial._trial_id, trial)
        state, values = TrialState.FAIL, None
        if told.status == "finished":
            state, values = TrialState.COMPLETE, told.values
        elif told.status == "pruned":
            state = TrialState.PRUNED
            if trial.intermediate_values and len(self._plan.goals) == 1:
                values = [trial.intermediate_values[max(trial.intermediate_values)]]
        if state != TrialState.FAIL:
            self.ended += 1
        self._memory.set_trial_state_values(trial._trial_id, state, values)

    def _fill(self, trial: FrozenTrial, told: Told) -> None:
        reported = {int(step): float(value) for step, value in told.curve}
        trial.intermediate_values = reported | trial.intermediate_values
        if self._plan.constraints and told.constraints is not None:
            trial.system_attrs = trial.system_attrs | {
                f"{_CONSTRAINT}{name}": value
                for name, value in zip(self._plan.constraints, told.constraints, strict=True)
            }

    def add(self, told: Told, space: Space) -> None:
        """Learn from a trial of another experiment."""
        from optuna.trial import create_trial

        with quiet():
            trial = create_trial(
                values=told.values, params=told.params, distributions=space.of(told.params)
            )
        trial.datetime_start = trial.datetime_complete = datetime.now()
        self.optuna.add_trial(trial)
        self.ended += 1

    def trials(self) -> list[FrozenTrial]:
        return self.optuna.get_trials(deepcopy=False)
