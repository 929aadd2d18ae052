"""The verb that writes what serves a model elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from jupyter_mlops.verbs.table import File, verb

if TYPE_CHECKING:
    from jupyter_mlops.serving.exporting import Export
    from jupyter_mlops.workspace import Workspace


@verb("export", writes=True)
def export(
    ws: Workspace,
    model: str,
    *,
    as_: Literal["oci", "kserve", "rayserve", "triton", "mlflow"],
    to: File,
    name: str | None = None,
    image: str | None = None,
) -> Export:
    """Write a folder with all that serves a model elsewhere: on KServe, Ray, Triton, anywhere.

    A bundle holds the model's verified files, this server or what takes its place, locked
    requirements, manifests, and a README that says how to build, run and test it. Clients ask it
    as they ask an endpoint here.

    Parameters
    ----------
    model : str
        Such as delay@champion or delay@3.
    as_ : {"oci", "kserve", "rayserve", "triton", "mlflow"}
        A container's build context; that with an InferenceService; a Ray Serve application; an
        ONNX repository for Triton; the plain MLflow model.
    to : str
        A folder that is empty or doesn't exist yet.
    name : str
        How clients call the model in V2 paths; the model's name if not given.
    image : str
        How the container's image is called.

    Examples
    --------
    >>> %mlops export delay@champion --as oci --to bundle
    """
    from jupyter_mlops import models
    from jupyter_mlops.serving import exporting

    return exporting.export(ws, models.get(ws, model), as_, to, name=name, image=image)
