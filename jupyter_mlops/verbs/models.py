"""Verbs that register models and list them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import Rest, verb

if TYPE_CHECKING:
    from jupyter_mlops.models import Models, ModelVersion
    from jupyter_mlops.models.comparing import VersionComparison
    from jupyter_mlops.models.details import VersionDetail
    from jupyter_mlops.models.tags import Tags
    from jupyter_mlops.models.waivers import Waiver
    from jupyter_mlops.workspace import Workspace


@verb("register", writes=True)
def register(ws: Workspace, run: str, name: str, *, alias: str | None = None) -> ModelVersion:
    """Make a run's model a version of a named model, with the digest of its files.

    Parameters
    ----------
    run : str
        A run: its id, the beginning of it, or a name, which means its latest with a model. Or
        what was logged with MLflow's own tools: runs:/ID/model, models:/NAME/3, models:/NAME@alias
        or models:/m-…
    name : str
        The model's name.
    alias : str
        Points to this version from now on, such as champion.

    Examples
    --------
    >>> %mlops register delay delay --alias champion
    >>> %mlops register models:/legacy/3 delay
    """
    from jupyter_mlops import experiments, models
    from jupyter_mlops.models.addresses import is_foreign

    if is_foreign(run):
        return models.adopt(ws, run, name, alias)
    found = experiments.find_run(ws, run, with_model=True)
    if found.has_model and not found.sent:
        experiments.send(ws, found.id, announce=lambda text: print(text, file=sys.stderr))
        found = experiments.find_run(ws, found)
    return models.register(ws, found, name, alias)


@verb("models")
def list_models(ws: Workspace, name: str | None = None) -> Models | VersionDetail:
    """List registered models with versions, aliases, metrics and digests, or show one version.

    A version comes with what became of its gates, who approved it, and where it was promoted.

    Parameters
    ----------
    name : str
        Only that model's versions; or delay@3, delay@champion, which shows that version alone.

    Examples
    --------
    >>> %mlops models delay
    """
    from dataclasses import replace

    from jupyter_mlops import models
    from jupyter_mlops.models.details import detail
    from jupyter_mlops.models.gates.checking import last_verdicts

    if name is not None and "@" in name:
        return detail(ws, name)
    return replace(models.list_models(ws, name), verdicts=last_verdicts(ws))


@verb("models compare")
def compare(ws: Workspace, a: str, b: str) -> VersionComparison:
    """Compare two versions: metrics paired over the same rows, inputs, and what they are made of.

    Parameters
    ----------
    a : str
        Such as delay@3.
    b : str
        Such as delay@champion.

    Examples
    --------
    >>> %mlops models compare delay@3 delay@champion
    """
    from jupyter_mlops.experiments.evidence import RunEvidence
    from jupyter_mlops.models.comparing import compare_versions

    return compare_versions(ws, a, b, RunEvidence(ws))


@verb("models tag", writes=True)
def tag(ws: Workspace, model: str, tags: Rest = "") -> Tags:
    """Tag a version, as MLflow's registry shows it too; without tags, show those it has.

    Parameters
    ----------
    model : str
        Such as delay@3; a bare name means its newest version.
    tags : str
        One or more of key=value; key= takes the tag away.

    Examples
    --------
    >>> %mlops models tag delay@3 team=ops ticket=ML-12
    """
    from jupyter_mlops.models import tags as keeping

    pairs = tags.split()
    return keeping.tag(ws, model, pairs) if pairs else keeping.tags_of(ws, model)


@verb("waive pickle", writes=True)
def waive_pickle(ws: Workspace, model: str, *, reason: str = "", withdraw: bool = False) -> Waiver:
    """Let a model without a safe format be kept as a pickle, which runs any code when loaded.

    It is loaded in an endpoint's own process only: not in a kernel, nor in the Jupyter server.
    Train the model after this, under the same name.

    Parameters
    ----------
    model : str
        The name it is trained and registered under.
    reason : str
        Why no safe format will do; it is kept.
    withdraw : bool
        Take the waiver back.

    Examples
    --------
    >>> %mlops waive pickle delay --reason "its own transformer, reviewed by ada"
    """
    from jupyter_mlops.models import waivers

    return waivers.withdraw(ws, model) if withdraw else waivers.waive(ws, model, reason)
