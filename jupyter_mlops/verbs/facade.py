"""The verbs as Python calls: ``from jupyter_mlops import mlops``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from jupyter_mlops.verbs.place import workspace_for
from jupyter_mlops.verbs.table import Verb, all_verbs
from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = ["Facade", "mlops"]


class Facade:
    """Every verb as a method, two-word verbs through their first word.

    Examples
    --------
    >>> from jupyter_mlops import mlops                      # doctest: +SKIP
    >>> mlops.data.add("flights", "flights.csv.zip")         # doctest: +SKIP
    >>> mlops.profile("flights", target="late")              # doctest: +SKIP
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the verb; positional arguments go in the order the verb lists them."""
        verb = all_verbs().get(self._prefix or "status")
        if verb is None:
            raise Invalid(
                f"`{self._prefix}` is a group of commands",
                fix=f"one of {', '.join(dir(self))}",
                code="E-VERB-005",
            )
        given = _by_name(verb, args) | kwargs
        if any(one.kind == "namespace" for one in verb.parameters):
            given.setdefault("namespace", _kernel_variables())
        return verb(workspace_for(verb), **given)

    def __getattr__(self, name: str) -> Facade:
        verbs = all_verbs()
        # A word that Python keeps for itself takes an underscore: `mlops.label.import_(…)`.
        full = f"{self._prefix} {name.removesuffix('_')}".strip()
        if name.startswith("_") or not any(
            one == full or one.startswith(full + " ") for one in verbs
        ):
            hint = closest(full, verbs)
            raise AttributeError(f"mlops has no {full!r}" + (f", {hint}" if hint else ""))
        return Facade(full)

    def __dir__(self) -> list[str]:
        start = f"{self._prefix} ".lstrip()
        return sorted(
            {name[len(start) :].split()[0] for name in all_verbs() if name.startswith(start)}
        )

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        verb = all_verbs().get(self._prefix)
        return verb.function.__doc__ if verb else Facade.__init__.__doc__

    def __repr__(self) -> str:
        verb = all_verbs().get(self._prefix)
        return f"<mlops {verb.usage}>" if verb else f"<mlops {self._prefix} …>".replace("  ", " ")


def _by_name(verb: Verb, args: tuple[Any, ...]) -> dict[str, Any]:
    positions = [one for one in verb.parameters if not one.flag and one.kind != "namespace"]
    if len(args) > len(positions):
        raise Invalid(
            f"`{verb.name}` takes {len(positions)} arguments, {len(args)} were given",
            fix=f"usage: {verb.usage}",
            code="E-VERB-006",
        )
    return {
        one.name: str(value) if isinstance(value, Path) else value
        for one, value in zip(positions, args, strict=False)
    }


def _kernel_variables() -> dict[str, Any]:
    """The variables of the notebook this is called from; none in a plain program."""
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive else None
    return shell.user_ns if shell else {}


mlops = Facade()
