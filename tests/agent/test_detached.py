"""Experiments that were left to the agent go on without the notebook, whatever is killed."""

from __future__ import annotations

from living import kill, until

from jupyter_mlops import agent
from jupyter_mlops.experiments import driver
from jupyter_mlops.experiments.studies import find_experiment

BODY = "import time\nx = suggest.float('x', 0, 1)\ntime.sleep(0.3)\nloss = x + offset\n"


def test_a_detached_experiment_ends_though_its_process_is_killed(workspace):
    asked = driver.Asked(
        metric=["loss"], trials=12, seed=1, sampler="random", workers=1, detached=True
    )
    names = {"__name__": "__main__", "offset": 10}
    begun = driver.launch(workspace, "far", BODY, asked, names)
    assert find_experiment(workspace, begun).status == "waiting"
    agent.ensure(workspace)
    until(lambda: find_experiment(workspace, begun).count("finished") >= 2)
    before = {one.id: one.metrics for one in find_experiment(workspace, begun).finished}
    events = workspace.events(limit=50, kind="run.started")
    assert events
    with workspace.read() as session:
        from jupyter_mlops.experiments.records import ExperimentRecord

        process = session.get_one(ExperimentRecord, begun).process
    kill(int(process.split(":")[1]))
    until(lambda: find_experiment(workspace, begun).status == "finished")
    found = find_experiment(workspace, begun)
    assert [one.number for one in found.trials] == list(range(12))
    assert {one.status for one in found.trials} == {"finished"}
    assert before.items() <= {one.id: one.metrics for one in found.trials}.items()
    assert workspace.audit().intact
