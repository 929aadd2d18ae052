"""Tags of versions: MLflow's own, set with an event of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jupyter_mlops.models.versions import ModelVersion, get
from jupyter_mlops.workspace import Invalid, Result, Workspace
from jupyter_mlops.workspace.tracking import explained, tracking_client

__all__ = ["Tags", "tag", "tags_of"]

#: Tags that begin so are this package's.
OURS = "jupyter_mlops."
LONGEST_KEY, LONGEST_VALUE = 250, 5_000


@dataclass(frozen=True)
class Tags(Result):
    """The tags of a version, by name."""

    version: ModelVersion
    tags: dict[str, str]


def tags_of(ws: Workspace, model: str) -> Tags:
    """The tags of a version, those of this package left out."""
    version = get(ws, model)
    client = tracking_client(ws)
    with explained(ws):
        found = client.get_model_version(version.name, str(version.version)).tags
    return Tags(version, {key: found[key] for key in sorted(found) if not key.startswith(OURS)})


def tag(ws: Workspace, model: str, pairs: Sequence[str]) -> Tags:
    """Set tags of a version in MLflow; a pair without a value takes the tag away.

    MLflow is told first and the event follows: asked again after a crash in between, both are
    there once.

    Parameters
    ----------
    ws : Workspace
    model : str
        Such as delay@3; a bare name means its newest version.
    pairs : sequence of str
        Each ``key=value``.

    Raises
    ------
    Invalid
        One is no pair, too long, or a tag of this package.
    """
    asked = dict(_pair(one) for one in pairs)
    version = get(ws, model)
    client = tracking_client(ws)
    there = tags_of(ws, version.label).tags
    number = str(version.version)
    with explained(ws):
        for key, value in asked.items():
            if value:
                client.set_model_version_tag(version.name, number, key, value)
            elif key in there:
                client.delete_model_version_tag(version.name, number, key)
    with ws.write() as tx:
        tx.emit("model.tagged", version.ref, payload={"tags": asked})
    return tags_of(ws, version.label)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key or len(key) > LONGEST_KEY or len(value) > LONGEST_VALUE:
        raise Invalid(
            f"{text[:80]!r} is no tag",
            fix="write key=value; key= takes the tag away",
            code="E-MODEL-063",
        )
    if key.startswith((OURS, "mlflow.")):
        raise Invalid(
            f"the tag {key!r} isn't yours to set",
            f"those that begin with {OURS} or mlflow. are kept by the software",
            "choose another name",
            code="E-MODEL-064",
        )
    return key, value
