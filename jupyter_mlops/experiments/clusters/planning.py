"""What a cluster is to be: this machine's cores or GPUs, or a profile of the settings."""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from jupyter_mlops.workspace import Invalid, NotFound, Unavailable, Workspace, closest

__all__ = [
    "IMAGES",
    "check_gpus",
    "cores",
    "gpu_workers",
    "gpus_here",
    "has_dask_cuda",
    "profile",
    "refuse_environment",
    "refuse_gpus",
    "with_gpus",
]

#: Kinds whose workers run elsewhere, with the packages that are there.
IMAGES: Final = ("gateway", "kubernetes")
_KINDS: Final = ("local", "cuda", "jobqueue", "gateway", "kubernetes")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def profile(ws: Workspace, name: str) -> dict[str, Any]:
    """The plan that the setting `clusters` has under a name.

    Raises
    ------
    NotFound, Invalid
        There is none, or it makes no sense.
    """
    profiles: dict[str, Any] = ws.settings.clusters
    if name not in profiles:
        raise NotFound(
            f"no cluster is called {name!r}",
            f"the setting `clusters` has {', '.join(profiles) or 'no profiles'}",
            closest(name, profiles) or "say auto, or the address of a scheduler",
            code="E-CLUSTER-023",
        )
    found = dict(profiles[name])
    if found.get("kind") not in _KINDS:
        raise Invalid(
            f"the profile {name!r} can't have the kind {found.get('kind')!r}",
            f"it takes {', '.join(_KINDS[:-1])} or {_KINDS[-1]}",
            "correct the setting `clusters`",
            code="E-CLUSTER-024",
        )
    if found["kind"] == "gateway" and not found.get("address"):
        raise Invalid(
            f"the profile {name!r} doesn't say where its gateway is",
            fix="give it an address in the setting `clusters`",
            code="E-CLUSTER-028",
        )
    return {key: value for key, value in found.items() if value is not None}


def with_gpus(name: str, plan: dict[str, Any], gpus: int | None) -> dict[str, Any]:
    """A profile's plan whose workers each hold that many of this machine's GPUs.

    Raises
    ------
    Invalid
        A profile of that kind has its own way to say what its workers have.
    Unavailable
        This machine has none.
    """
    if not gpus:
        return plan
    check_gpus(gpus, None)
    if plan["kind"] == "local":
        # Dask's own cluster of processes, each of which is told which GPUs are its.
        return {**plan, "kind": "gpu", "gpus": gpus}
    if plan["kind"] == "cuda" and gpus == int(plan.get("gpus") or 1):
        return plan
    raise refuse_gpus(
        gpus,
        name,
        "each worker of a profile of the kind 'cuda' has one"
        if plan["kind"] == "cuda"
        else f"what workers of the kind {plan['kind']!r} have is said by the profile's options",
    )


def refuse_gpus(gpus: int, cluster: str, why: str) -> Invalid:
    """That many GPUs can't be had of a cluster that was named."""
    return Invalid(
        f"--gpus {gpus} doesn't go with --cluster {cluster}",
        why,
        "leave one of them out",
        code="E-CLUSTER-033",
    )


def refuse_environment(environment: str, cluster: str, why: str) -> Invalid:
    """A cluster that was named can't run in that environment, or runs in one not asked for."""
    if not environment:
        return Invalid(
            f"--cluster {cluster} goes with its own environment",
            why,
            "name it with --env, so that it is recorded, or stop the cluster first",
            code="E-CLUSTER-036",
        )
    return Invalid(
        f"--env {environment} doesn't go with --cluster {cluster}",
        why,
        "leave one of them out, or stop that cluster first",
        code="E-CLUSTER-035",
    )


def gpus_here() -> int:
    """How many GPUs this process may use."""
    from jupyter_mlops.experiments.gpus import count

    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    return count() if told is None else min(count(), len([one for one in told.split(",") if one]))


def gpu_workers(gpus: int, memory: str | None) -> int:
    """How many workers fit on this machine's GPUs, with some each or a part of one."""
    from jupyter_mlops.experiments.gpus import devices
    from jupyter_mlops.experiments.gpus.amounts import bytes_of

    size = bytes_of(memory)
    if size:
        return min(max(sum(one.total // size for one in devices()), 1), cores())
    return max(gpus_here() // gpus, 1)


def has_dask_cuda(interpreter: Path | None) -> bool:
    """Whether that Python, or this one, can make a cluster of GPUs."""
    if interpreter is None:
        return find_spec("dask_cuda") is not None
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('dask_cuda') is None)"
    return subprocess.run([interpreter, "-c", code], check=False).returncode == 0


def check_gpus(gpus: int | None, memory: str | None) -> None:
    """Refuse a demand that makes no sense, or that this machine can't meet."""
    from jupyter_mlops.experiments.gpus.amounts import bytes_of

    if memory is not None and (gpus or bytes_of(memory) <= 0):
        raise Invalid(
            f"--gpu-memory can't be {memory!r}"
            if not gpus
            else "--gpus and --gpu-memory exclude each other",
            "it is a part of one GPU",
            "give --gpus 1 for whole ones, or --gpu-memory 8GB alone",
            code="E-CLUSTER-026",
        )
    if gpus is not None and gpus < 0:
        raise Invalid(f"--gpus can't be {gpus}", fix="0 or more", code="E-CLUSTER-029")
    if not gpus_here():
        raise Unavailable(
            "GPUs were asked for, and this machine has none",
            fix=f"leave --gpu{'s' if memory is None else '-memory'} out, or name a cluster that "
            "has some",
            code="E-CLUSTER-025",
        )
