"""What a panel asks of a running kernel: which data frames it holds, and what is in one.

The panel runs these functions in a subshell, beside whatever the kernel is busy with. They
answer by a message of their own and leave nothing in the person's namespace or history.
"""

from __future__ import annotations

import json
from typing import Any

from jupyter_mlops.workspace.errors import MLOpsError, NotFound, closest

__all__ = ["MIME", "frames_of", "tell_frames", "tell_profile"]

MIME = "application/vnd.jupyter-mlops.answer.v1+json"


def frames_of(namespace: dict[str, Any]) -> list[dict[str, Any]]:
    """The data frames among a namespace's variables, the largest first.

    What is computed lazily would have to be computed to be counted: its figures are None.

    Examples
    --------
    >>> import polars
    >>> frames_of({"x": polars.DataFrame({"a": [1, 2]}), "n": 3})
    [{'name': 'x', 'kind': 'polars', 'rows': 2, 'columns': 1}]
    """
    from jupyter_mlops.data.sources.frames import is_frame

    found: list[dict[str, Any]] = []
    for name, value in list(namespace.items()):
        if name.startswith("_") or not is_frame(value):
            continue
        shape = getattr(value, "shape", None) or (None, None)
        rows, columns = (one if isinstance(one, int) else None for one in shape)
        kind = type(value).__module__.partition(".")[0]
        found.append({"name": name, "kind": kind, "rows": rows, "columns": columns})
    return sorted(found, key=lambda one: (-(one["rows"] or 0), one["name"]))


def tell_frames() -> None:
    """Answer with the kernel's data frames."""
    _publish({"frames": frames_of(_namespace())})


def tell_profile(name: str) -> None:
    """Answer with the profile of a variable.

    Parameters
    ----------
    name : str
        The variable that holds the data frame.
    """
    try:
        _publish({"view": _profile(name, _namespace())})
    except MLOpsError as error:
        _publish({"error": error.as_dict()})


def _profile(name: str, namespace: dict[str, Any]) -> Any:
    from jupyter_mlops.verbs.place import workspace_for
    from jupyter_mlops.verbs.table import find
    from jupyter_mlops.views import view

    if name not in namespace:
        raise NotFound(
            f"the kernel holds no {name!r} any more",
            fix=closest(name, [one["name"] for one in frames_of(namespace)]) or "list them again",
            code="E-KERNEL-001",
        )
    verb = find("profile")
    result = verb(workspace_for(verb), source=namespace[name])
    result.label = name
    return json.loads(view(result).model_dump_json())


def _namespace() -> dict[str, Any]:
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return shell.user_ns if shell is not None else {}


def _publish(answer: dict[str, Any]) -> None:
    from IPython.display import publish_display_data

    publish_display_data({MIME: answer})  # type: ignore[no-untyped-call]
