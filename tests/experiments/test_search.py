"""The search: parameters asked for in a body, suggested in the driver, by any sampler."""

from __future__ import annotations

import itertools
import math
import random
import subprocess
import sys
import time
import warnings

import numpy as np
import optuna
import pytest

from jupyter_mlops.experiments.search import Plan, Search, Suggest, Told
from jupyter_mlops.experiments.search.planning import seed_of
from jupyter_mlops.experiments.search.space import from_optuna, grid, to_optuna
from jupyter_mlops.workspace import Invalid

ONE = (("loss", False),)
TWO = (("loss", False), ("size", False))


def body(suggest):
    """A trial: best at x = 1, n = 4; `noise` doesn't matter."""
    x = suggest.float("x", -3, 3)
    n = suggest.int("n", 1, 9)
    suggest.float("noise", 1e-4, 1, log=True)
    return [(x - 1) ** 2 + 0.1 * abs(n - 4)]


def coarse(suggest):
    a = suggest.int("a", 0, 2)
    b = suggest.choice("b", ["u", "v", None])
    c = suggest.float("c", 0, 1, step=0.5)
    return [a + c + (b == "v")]


def run_one(search, asked, trial):
    suggest = Suggest(asked.params, asked.seed)
    values = trial(suggest)
    search.tell(asked.number, "finished", values, suggest.params, suggest.distributions)
    return suggest.params


def run(plan, trial=body, seed=1, workers=1, order=None, search=None):
    """Drive a search with some trials at a time that end in any order; its parameters."""
    search = search or Search(plan, seed)
    shuffle = random.Random(order)
    held, found = [], {}
    while True:
        while len(held) < workers and search.stop_reason(0) is None:
            asked = search.ask()
            if asked is None:
                break
            held.append(asked)
        if not held:
            return search, found
        asked = held.pop(shuffle.randrange(len(held)) if order is not None else 0)
        found[asked.number] = run_one(search, asked, trial)


# What the body sees


def test_what_is_suggested_is_used_and_the_rest_is_drawn_from_seed_and_name():
    suggest = Suggest({"lr": 0.01, "unused": 3}, seed=5)
    assert suggest.float("lr", 1e-4, 1e-1, log=True) == 0.01
    depth, kind = suggest.int("depth", 2, 12), suggest.choice("kind", ["a", "b", None])
    again = Suggest({}, seed=5)
    assert (again.choice("kind", ["a", "b", None]), again.int("depth", 2, 12)) == (kind, depth)
    assert suggest.params == {"lr": 0.01, "depth": depth, "kind": kind}
    assert suggest.distributions["lr"] == {
        "kind": "float", "low": 1e-4, "high": 0.1, "log": True, "step": None
    }  # fmt: skip
    assert suggest.float("lr", 1e-4, 1e-1, log=True) == 0.01
    outside = Suggest({"lr": 5.0, "n": 2.5, "flag": 1}, seed=5)
    assert 0 <= outside.float("lr", 0, 1) <= 1
    assert isinstance(outside.int("n", 1, 3), int)
    assert isinstance(outside.bool("flag"), bool)


def test_draws_fill_their_ranges_evenly_and_stay_on_their_steps():
    def drawn(ask):
        return np.array([ask(Suggest({}, seed)) for seed in range(3000)], dtype=float)

    flat = drawn(lambda s: s.float("a", -2, 2))
    assert np.histogram(flat, 4, (-2, 2))[0].min() > 650
    logs = drawn(lambda s: s.float("a", 1e-4, 1, log=True))
    assert np.histogram(np.log10(logs), 4, (-4, 0))[0].min() > 650
    assert np.bincount(drawn(lambda s: s.int("a", 1, 4)).astype(int)).tolist()[0] == 0
    assert np.bincount(drawn(lambda s: s.int("a", 1, 4)).astype(int))[1:].min() > 650
    assert set(drawn(lambda s: s.int("a", 1, 10, step=4))) == {1, 5, 9}
    assert set(drawn(lambda s: s.float("a", 0, 1, step=0.25))) == {0, 0.25, 0.5, 0.75, 1}
    ints = drawn(lambda s: s.int("a", 1, 1000, log=True))
    assert 800 < (ints < 10).sum() < 1250


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda s: s.float("x", 1, 0), "can't go from 1 to 0"),
        (lambda s: s.float("x", 0, 1, log=True), "can't go from 0 by magnitude"),
        (lambda s: s.float("x", math.nan, 1), "no finite number"),
        (lambda s: s.float("x", 0, "1"), "the high of parameter 'x' is '1'"),
        (lambda s: s.int("x", 0, 1.5), "no whole number"),
        (lambda s: s.float("x", 0, 1, step=0), "in steps of 0"),
        (lambda s: s.int("x", 1, 9, step=2, log=True), "both log=True and a step"),
        (lambda s: s.choice("x", []), "no options"),
        (lambda s: s.choice("x", "abc"), "are a str"),
        (lambda s: s.choice("x", [[1, 2]]), "is a list.*choose a name or an index"),
        (lambda s: s.choice("x", [len]), "is a builtin_function"),
        (lambda s: s.choice("x", [1, True]), "an option twice"),
        (lambda s: s.choice("x", [math.inf]), "is inf"),
        (lambda s: s.float("", 0, 1), "no name"),
    ],
)
def test_bounds_that_make_no_sense_are_told_in_a_sentence(ask, sentence):
    with pytest.raises(Invalid, match=sentence) as refused:
        ask(Suggest({}, 1))
    assert "\n" not in str(refused.value)


def test_one_name_has_one_range():
    suggest = Suggest({}, 1)
    suggest.float("x", 0, 1)
    with pytest.raises(Invalid, match=r"'x'.*from 0 to 1 and from 0 to 2"):
        suggest.float("x", 0, 2)
    with pytest.raises(Invalid, match=r"trial 1 asks for 'x' from 0 to 2, earlier ones from 0"):
        run(Plan(ONE, "random"), lambda s: [s.float("x", 0, 1 + ("x" in s._given))],
            search=_told_once())  # fmt: skip


def _told_once():
    search = Search(Plan(ONE, "random"), 1)
    run_one(search, search.ask(), lambda s: [s.float("x", 0, 1)])
    search.enqueue({"x": 0.5})
    return search


def test_a_trial_that_is_run_again_gets_what_it_had_or_nothing():
    again = Suggest({"x": 0.5}, 1, fixed=True)
    assert again.float("x", 0, 1) == 0.5
    with pytest.raises(Invalid, match="'y' from 0 to 1 isn't among them"):
        again.float("y", 0, 1)
    with pytest.raises(Invalid, match=r"can't be 0\.5"):
        Suggest({"x": 0.5}, 1, fixed=True).float("x", 1, 2)


def test_suggest_is_light_where_trials_run():
    code = (
        "import sys; from jupyter_mlops.experiments.search.suggesting import Suggest; "
        "Suggest({}, 1).float('x', 0, 1); "
        "print([m for m in ('optuna', 'numpy', 'pandas', 'sklearn') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_bounds_become_optunas_and_come_back():
    suggest = Suggest({}, 1)
    suggest.float("a", 0, 1, step=0.3)
    suggest.float("b", 1e-3, 1, log=True)
    suggest.int("c", 1, 10, step=4)
    suggest.int("d", 1, 10, log=True)
    suggest.choice("e", [None, True, 2, "x"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Optuna warns where it changes bounds
        for wanted in suggest.distributions.values():
            assert from_optuna(to_optuna(wanted)) == wanted


# Suggesting


def test_a_trials_seed_follows_from_the_experiments_and_its_number():
    search = Search(Plan(ONE, "random", trials=3), 9)
    assert [search.ask().seed for _ in range(3)] == [seed_of(9, number) for number in range(3)]
    assert len({seed_of(seed, number) for seed in range(50) for number in range(50)}) == 2500


@pytest.mark.parametrize(("sampler", "trial"), [("random", body), ("grid", coarse), ("qmc", body)])
def test_the_order_of_arrival_and_a_resume_change_nothing(sampler, trial):
    plan = Plan(ONE, sampler, trials=16)
    _, alone = run(plan, trial)
    for workers, order in ((4, 1), (7, 2)):
        assert run(plan, trial, workers=workers, order=order)[1] == alone
    assert run(plan, trial, seed=2)[1] != alone
    # Interrupted with three trials running, of which it knows the parameters.
    first = Search(plan, 1)
    told, running = [], {}
    for number in range(9):
        asked = first.ask()
        suggest = Suggest(asked.params, asked.seed)
        values = trial(suggest)
        if number in {4, 7, 8}:
            running[number] = asked.params
            continue
        first.tell(number, "finished", values, suggest.params, suggest.distributions)
        told.append(Told(number, "finished", values, suggest.params, suggest.distributions))
    again = Search(plan, 1)
    again.restore(told, running)
    _, rest = run(plan, trial, search=again)
    assert rest == {number: alone[number] for number in range(9, 16)}


def test_a_grid_tries_each_point_once_and_then_ends():
    search, found = run(Plan(ONE, "grid", trials=100), coarse, workers=3, order=1)
    points = {tuple(sorted(one.items(), key=str)) for one in found.values()}
    assert len(found) == len(points) == 27
    assert search.stop_reason(0) == "the whole grid was tried"
    assert search.ask() is None
    with pytest.raises(Invalid, match="a grid needs a step for parameter 'noise' from"):
        run(Plan(ONE, "grid"), body)
    with pytest.raises(Invalid, match="1,000,001 points"):
        grid({"n": {"kind": "int", "low": 0, "high": 10**6, "log": False, "step": 1}})

    def conditional(suggest):
        return [suggest.int("b", 0, 2) if suggest.bool("a") else 0]

    with pytest.raises(Invalid, match="asks for other parameters than the first"):
        run(Plan(ONE, "grid"), conditional)


def test_sobol_points_are_spread_more_evenly_than_random_ones():
    from scipy.stats import qmc

    def discrepancy(sampler):
        _, found = run(
            Plan(ONE, sampler, trials=65), lambda s: [s.float("x", 0, 1) * s.float("y", 0, 1)]
        )
        return qmc.discrepancy([[one["x"], one["y"]] for one in list(found.values())[1:]])

    assert discrepancy("qmc") < discrepancy("random") / 3


@pytest.mark.parametrize("sampler", ["auto", "tpe", "cmaes"])
def test_samplers_that_learn_beat_chance(sampler):
    def best(kind, seed):
        search, _ = run(Plan(ONE, kind, trials=60), _smooth, seed, workers=2)
        return search.trials()[search.front()[0]].values[0]

    learnt = np.median([best(sampler, seed) for seed in range(3)])
    chance = np.median([best("random", seed) for seed in range(3)])
    assert learnt < chance / 3


def _smooth(suggest):
    x, y = suggest.float("x", -3, 3), suggest.float("y", -3, 3)
    return [(x - 1) ** 2 + (y + 1) ** 2]


def test_the_same_history_gives_the_same_suggestion():
    assert run(Plan(ONE, "tpe", trials=25))[1] == run(Plan(ONE, "tpe", trials=25))[1]
    assert run(Plan(ONE, "tpe", trials=25), seed=2)[1] != run(Plan(ONE, "tpe", trials=25))[1]


def branches(suggest):
    """The linear branch is the better one, and in it C near 2."""
    if suggest.choice("kind", ["tree", "linear"]) == "tree":
        return [3 + 0.1 * suggest.int("depth", 1, 9)]
    return [abs(suggest.float("C", 0, 10) - 2)]


def test_a_conditional_space_keeps_what_was_used_and_finds_the_right_branch():
    search, found = run(Plan(ONE, "auto", trials=70), branches, workers=3, order=4)
    assert {frozenset(one) for one in found.values()} == {
        frozenset({"kind", "depth"}),
        frozenset({"kind", "C"}),
    }
    for number, trial in enumerate(search.trials()):
        assert trial.params == found[number]
        assert trial.distributions.keys() == found[number].keys()
    late = [one for number, one in found.items() if number >= 30]
    assert np.mean([one["kind"] == "linear" for one in late]) > 0.8
    assert abs(found[search.front()[0]]["C"] - 2) < 0.3
    importance = search.importance()
    assert sum(importance.values()) == pytest.approx(1)
    assert list(importance) == ["C", "kind", "depth"]
    assert importance["depth"] == 0 < importance["kind"]  # no tree is among the best


def test_importance_ranks_what_matters_and_says_when_it_cannot():
    search, _ = run(Plan(ONE, "random", trials=100))
    importance = search.importance()
    assert next(iter(importance)) == "x"
    assert importance["x"] > 0.6 > 0.15 > importance["noise"]
    upside, _ = run(Plan((("gain", True),), "random", trials=100), lambda s: [-body(s)[0]])
    assert upside.importance() == pytest.approx(importance)
    few, _ = run(Plan(ONE, "random", trials=5))
    assert few.importance() is None
    assert "5 finished trials are too few" in few.why_no_importance


def two(suggest):
    x = suggest.float("x", -2, 4)
    y = suggest.float("y", 0, 1)
    return [x**2 + y, (x - 2) ** 2 + y]


@pytest.mark.parametrize("sampler", ["auto", "nsga3", "tpe"])
def test_several_goals_leave_the_front_and_approach_it(sampler):
    search, _ = run(Plan(TWO, sampler, trials=100), two, workers=2)
    values = {trial.number: trial.values for trial in search.trials()}
    beaten = {
        a for a, b in itertools.permutations(values, 2)
        if all(p <= q for p, q in zip(values[b], values[a], strict=True)) and values[a] != values[b]
    }  # fmt: skip
    assert search.front() == sorted(values.keys() - beaten)
    random_search, _ = run(Plan(TWO, "random", trials=100), two, workers=2)

    def volume(one):
        points = [one.trials()[number].values for number in one.front()]
        return optuna._hypervolume.compute_hypervolume(np.array(points), np.array([10.0, 10.0]))

    assert volume(search) > volume(random_search)


def test_constraints_are_kept_by_the_best_and_by_suggestions():
    search = Search(Plan(ONE, "tpe", trials=60, constraints=("late",)), 1)
    late = []
    while search.stop_reason(0) is None:
        asked = search.ask()
        suggest = Suggest(asked.params, asked.seed)
        x = suggest.float("x", -3, 3)  # best at 1, but allowed only up to 0
        search.tell(asked.number, "finished", [(x - 1) ** 2], suggest.params,
                    suggest.distributions, constraints=[x])  # fmt: skip
        if asked.number >= 20:
            late.append(x)
    best = search.trials()[search.front()[0]].params["x"]
    assert -0.2 < best <= 0
    assert np.mean(np.array(late) <= 0) > 0.5  # it lies at the border, on either side


# People, ends, and going on


def test_enqueued_parameters_come_next_and_their_bounds_are_minded():
    search = Search(Plan(ONE, "tpe", trials=30), 1)
    search.enqueue({"x": 1.25})
    first = run_one(search, search.ask(), body)
    assert first["x"] == 1.25
    assert set(first) == {"x", "n", "noise"}
    with pytest.raises(Invalid, match="'n' can't be 40: trials ask for it from 1 to 9"):
        search.enqueue({"n": 40})
    run(search.plan, search=search)
    search.enqueue({"n": 2})
    asked = search.ask()
    assert asked.params["n"] == 2
    assert set(asked.params) == {"x", "n", "noise"}


def test_a_search_says_why_it_stops():
    search = Search(Plan(ONE, "random", trials=50, timeout=60, budget=100, patience=5), 1)
    assert search.stop_reason(10, 10) is None
    assert search.stop_reason(61, 10) == "its time was up"
    assert search.stop_reason(10, 100) == "its budget of CPU time was used"
    for value in [5, 4, 6, 6, 6, 6]:
        search.tell(search.ask().number, "finished", [value])
    search.tell(search.ask().number, "failed")
    assert search.stop_reason(10, 10) is None
    search.tell(search.ask().number, "pruned")
    assert search.stop_reason(10, 10) == "no improvement in 5 trials"
    search.tell(search.ask().number, "finished", [3])
    assert search.stop_reason(10, 10) is None
    assert run(Plan(ONE, "random", trials=1))[0].stop_reason(0) == "its one trial is done"
    assert run(Plan(ONE, "random", trials=4))[0].stop_reason(0) == "all 4 trials are done"


def test_values_that_are_no_numbers_and_lost_trials_are_failures():
    search = Search(Plan(ONE, "tpe", trials=20), 1)
    search.enqueue({"x": 1.0, "unknown": 4})
    asked = search.ask()
    search.tell(asked.number, "failed", None, asked.params, {})
    search.tell(search.ask().number, "finished", [math.nan])
    search.tell(search.ask().number, "finished", None)
    search.tell(search.ask().number, "stopped")
    assert {one.state.name for one in search.trials()} == {"FAIL"}
    assert search.front() == []
    search.tell(0, "finished", [1.0])  # told before
    assert search.front() == []


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2"])
def test_a_resumed_search_goes_on_learning(sampler):
    plan = Plan(ONE, sampler, trials=80)
    whole = Search(plan, 3)
    told = []
    for _ in range(50):
        asked = whole.ask()
        suggest = Suggest(asked.params, asked.seed)
        values = _smooth(suggest)
        whole.tell(asked.number, "finished", values, suggest.params, suggest.distributions)
        told.append(Told(asked.number, "finished", values, suggest.params, suggest.distributions))
    again = Search(plan, 3)
    again.restore(reversed(told))
    assert again.front() == whole.front()
    _, rest = run(plan, _smooth, search=again)
    assert min(rest) == 50
    losses = [(one["x"] - 1) ** 2 + (one["y"] + 1) ** 2 for one in rest.values()]
    assert np.median(losses) < np.median([one.values[0] for one in told]) / 1.5


def test_a_warm_start_learns_from_trials_that_fit():
    def earlier(suggest):
        return [(suggest.float("x", -9, 9) - 1) ** 2 + 0 * suggest.int("n", 1, 9)]

    old, found = run(Plan(ONE, "random", trials=60), earlier)
    told = [
        Told(one.number, "finished", one.values, one.params,
             {name: from_optuna(bounds) for name, bounds in one.distributions.items()})
        for one in old.trials()
    ]  # fmt: skip
    search = Search(Plan(ONE, "auto", trials=12), 5)
    notes = search.warm_start([*told, Told(60, "finished", None), Told(61, "failed")])
    assert "2 of 62 earlier trials lack loss" in notes[0]
    assert search.warm == (0, 60)
    run(search.plan, lambda s: [(s.float("x", -3, 3) - 1) ** 2 + 0 * s.int("n", 1, 9)],
        search=search)  # fmt: skip
    inside = sum(-3 <= one["x"] <= 3 for one in found.values())
    assert search.warm == (inside, 60 - inside)
    assert search.front()[0] < 12
    mine = [one.params["x"] for one in search.trials() if one.number in range(40)][-8:]
    assert np.median(np.abs(np.array(mine) - 1)) < 0.8


# Ending trials early


@pytest.mark.parametrize(
    "pruner", ["none", "median", "percentile", "halving", "hyperband", "patient"]
)
def test_bad_trials_are_ended_early_and_the_best_never(pruner):
    search = Search(Plan(ONE, "random", pruner, trials=40), 1)
    ended, best = {}, (math.inf, -1)
    for _ in range(40):
        asked = search.ask()
        suggest = Suggest(asked.params, asked.seed)
        level = suggest.float("x", 0, 1)
        curve, status = [], "finished"
        for step in range(1, 28):
            curve.append([step, level + 1 / step])
            if search.should_prune(asked.number, *curve[-1]):
                status = "pruned"
                break
        ended[asked.number] = status
        best = min(best, (level, asked.number))
        search.tell(asked.number, status, [curve[-1][1]] if status == "finished" else None,
                    suggest.params, suggest.distributions, curve)  # fmt: skip
    pruned = {number for number, status in ended.items() if status == "pruned"}
    states = {one.number for one in search.trials() if one.state.name == "PRUNED"}
    assert states == pruned
    if pruner in {"none", "patient"}:
        assert not pruned  # these curves improve at each step
    else:
        assert len(pruned) >= 8
        assert best[1] not in pruned
    assert not search.should_prune(99, 1, 0.0)


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        ({"sampler": "tpee"}, "did you mean 'tpe'"),
        ({"pruner": "mediam"}, "did you mean 'median'"),
        ({"goals": ()}, "no metric"),
        ({"goals": TWO, "sampler": "cmaes"}, "one metric only"),
        ({"goals": TWO, "pruner": "median"}, "needs one metric"),
        ({"trials": 0}, "trials is 0"),
        ({"patience": -1}, "patience is -1"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(plan, sentence):
    with pytest.raises(Invalid, match=sentence):
        Plan(**{"goals": ONE, **plan})


def test_gp_says_what_it_lacks(monkeypatch):
    from jupyter_mlops.experiments.search import planning

    monkeypatch.setattr(planning, "find_spec", lambda name: None)
    with pytest.raises(Invalid, match=r"pip install \"jupyter_mlops\[gp\]\""):
        Plan(ONE, "gp")


def test_nothing_is_printed_and_optunas_settings_stay(capfd):
    before = optuna.logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for sampler in ("auto", "cmaes", "nsga2", "qmc"):
            run(Plan(ONE, sampler, "hyperband", trials=14), branches).__getitem__(0).importance()
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


def test_asking_and_telling_costs_about_what_optuna_alone_does():
    def plain():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = optuna.samplers.TPESampler(multivariate=True, group=True, seed=1)
            study = optuna.create_study(sampler=sampler)
            for _ in range(120):
                trial = study.ask()
                x = trial.suggest_float("x", -3, 3)
                n = trial.suggest_int("n", 1, 9)
                trial.suggest_float("noise", 1e-4, 1, log=True)
                study.tell(trial, (x - 1) ** 2 + 0.1 * abs(n - 4))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    run(Plan(ONE, "tpe", trials=15))

    def cpu(work):
        begun = time.process_time()
        work()
        return time.process_time() - begun

    ours = min(cpu(lambda: run(Plan(ONE, "tpe", trials=120))) for _ in range(2))
    assert ours < 1.5 * min(cpu(plain) for _ in range(2))
