"""Verbs that register models and list them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import verb

if TYPE_CHECKING:
    from jupyter_mlops.models import Models, ModelVersion
    from jupyter_mlops.workspace import Workspace


@verb("register", writes=True)
def register(ws: Workspace, run: str, name: str, *, alias: str | None = None) -> ModelVersion:
    """Make a run's model a version of a named model, with the digest of its files.

    Parameters
    ----------
    run : str
        A run: its id, the beginning of it, or a name, which means its latest with a model.
    name : str
        The model's name.
    alias : str
        Points to this version from now on, such as champion.

    Examples
    --------
    >>> %mlops register delay delay --alias champion
    """
    from jupyter_mlops import experiments, models

    found = experiments.find_run(ws, run, with_model=True)
    if found.has_model and not found.sent:
        experiments.send(ws, found.id, announce=lambda text: print(text, file=sys.stderr))
        found = experiments.find_run(ws, found)
    return models.register(ws, found, name, alias)


@verb("models")
def list_models(ws: Workspace, name: str | None = None) -> Models | ModelVersion:
    """List registered models with versions, aliases, metrics and digests, or show one version.

    Parameters
    ----------
    name : str
        Only that model's versions; or delay@3, delay@champion, which shows that version alone.

    Examples
    --------
    >>> %mlops models delay
    """
    from jupyter_mlops import models

    if name is not None and "@" in name:
        return models.get(ws, name)
    return models.list_models(ws, name)
