"""The memory of a lease as a limit in the frameworks that allocate it.

Each framework keeps its own limit, and none counts what CUDA itself needs in a process: that the
sum stays within the lease is watched from outside (see `watching`).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from jupyter_mlops.experiments.gpus.amounts import bytes_of
from jupyter_mlops.experiments.gpus.variables import MEMORY
from jupyter_mlops.workspace import Invalid, Unavailable, closest

__all__ = ["cap_memory", "cap_on_import"]

#: RMM's pools are multiples of this many bytes.
_GRAIN: Final = 256
#: What RMM's pool takes at once, where its own default would be half of the GPU.
_FIRST: Final = 64 << 20


def cap_memory(
    limit: int | str | None = None, frameworks: Iterable[str] | None = None
) -> dict[str, int]:
    """Limit what this process allocates on its GPU.

    Parameters
    ----------
    limit : int or str, optional
        Bytes, or ``8GB``; what the variable ``JUPYTER_MLOPS_GPU_MEMORY`` says when not given,
        which a lease sets for its processes. Without either nothing is limited.
    frameworks : iterable of str, optional
        ``cupy``, ``rmm``, ``torch``: these are imported. When not given, those that this process
        has imported already.

    Returns
    -------
    dict
        Bytes by framework that is limited now.

    Raises
    ------
    Invalid
        A framework is unknown, or the limit is no amount of memory.
    Unavailable
        One that was named can't be imported.

    Examples
    --------
    >>> cap_memory("8GB", ["cupy"])
    {'cupy': 8000000000}
    """
    size = bytes_of(limit if limit is not None else os.environ.get(MEMORY))
    if size <= 0:
        return {}
    if frameworks is None:
        loaded = {name: sys.modules[name] for name in _CAPS if name in sys.modules}
    else:
        loaded = {name: _imported(name) for name in frameworks}
    return {name: _CAPS[name](module, size) for name, module in loaded.items()}


def cap_on_import() -> None:
    """Limit the frameworks of this process now, and others when they are imported later.

    Does nothing in a process without a lease of a part of a GPU.
    """
    if not os.environ.get(MEMORY) or any(isinstance(one, _Finder) for one in sys.meta_path):
        return
    cap_memory()
    sys.meta_path.insert(0, _Finder())


def _imported(name: str) -> ModuleType:
    if name not in _CAPS:
        raise Invalid(
            f"{name!r} is no framework whose memory can be limited",
            f"there are {', '.join(_CAPS)}",
            closest(name, _CAPS),
            code="E-GPU-009",
        )
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Unavailable(
            f"the memory of {name} can't be limited", str(error), f"pip install {name}",
            code="E-GPU-010",
        ) from None  # fmt: skip


def _cap_cupy(cupy: Any, size: int) -> int:
    cupy.get_default_memory_pool().set_limit(size=size)
    return size


def _cap_rmm(rmm: Any, size: int) -> int:
    """A pool in place of the current resource, which what was allocated before keeps using."""
    most = size // _GRAIN * _GRAIN
    pool = rmm.mr.PoolMemoryResource(
        rmm.mr.CudaMemoryResource(),
        initial_pool_size=min(_FIRST, most),
        maximum_pool_size=most,
    )
    rmm.mr.set_current_device_resource(pool)
    return most


def _cap_torch(torch: Any, size: int) -> int:
    if not torch.cuda.is_available():
        return 0
    # A lease of a part shows its process one GPU.
    total = int(torch.cuda.get_device_properties(0).total_memory)
    torch.cuda.set_per_process_memory_fraction(min(size / total, 1.0), 0)
    return size


_CAPS: Final[dict[str, Callable[[Any, int], int]]] = {
    "cupy": _cap_cupy,
    "rmm": _cap_rmm,
    "torch": _cap_torch,
}


class _Finder(MetaPathFinder):
    """Finds a framework as it would have been found, and limits it once it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _CAPS:
            return None
        for other in sys.meta_path:
            spec = None if other is self else other.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Capped(name, spec.loader)
                return spec
        return None


class _Capped(Loader):
    def __init__(self, name: str, loader: Any) -> None:
        self._name = name
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        # What reads resources of a package asks its loader.
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        size = bytes_of(os.environ.get(MEMORY))
        if size > 0:
            _CAPS[self._name](module, size)
