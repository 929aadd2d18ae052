"""Open a model, in the endpoint's own process only, and only what is known to be harmless."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from jupyter_mlops.models.ways import Way
from jupyter_mlops.serving.exact import Exact
from jupyter_mlops.serving.intake import Intake
from jupyter_mlops.serving.invocations import read_invocation
from jupyter_mlops.serving.modelfile import ModelFile, directory_digest
from jupyter_mlops.serving.predictor import Predictor
from jupyter_mlops.serving.refusals import Refusal
from jupyter_mlops.workspace.errors import Denied, Invalid, MLOpsError


def open_predictor(file: ModelFile, digest: str, *, pickles: bool = False) -> Predictor | Exact:
    """Open the model in `file`, and ask it as its signature and its format allow.

    Raises
    ------
    Denied, Invalid
        As for `open_model`.
    """
    model = open_model(file, digest, pickles=pickles)
    # What only MLflow may open under a waiver comes as MLflow's whatever the folder said.
    if file.way.exact or type(model).__name__ == "PyFuncModel":
        return Exact(model, file)
    return Predictor(model, file.fields, tensor=file.tensor)


def open_model(file: ModelFile, digest: str, *, pickles: bool = False) -> Any:
    """Return the estimator kept in `file`, or MLflow's ``PyFuncModel`` of it.

    Parameters
    ----------
    file : ModelFile
        What MLmodel says.
    digest : str
        The digest the model had when it was registered.
    pickles : bool
        Whether it may run code when it is opened: its model's waiver was looked at by who
        started this process, which is the model's own.

    Raises
    ------
    Denied
        The files are not the registered ones, or hold types outside the reviewed list.
    Invalid
        The payload cannot be opened.
    """
    if directory_digest(file.root) != digest:
        raise Denied(
            "the model's files are not the ones that were registered",
            "their digest has changed",
            "register the model again, and find out who changed it",
            code="E-SERVE-010",
        )
    from jupyter_mlops.models.formats import open_exact, open_payload

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if file.way.exact:
                return open_exact(file.root, file.way, pickles=pickles)
            try:
                return open_payload(file.root, file.payload, pickles=pickles)
            except Denied:
                if not (pickles and file.way.skops):
                    raise
                # Types that nobody reviewed, and a waiver for them.
                return open_exact(file.root, Way(True, file.way.file, skops=True), pickles=True)
    except MLOpsError:
        raise
    except Exception as error:  # a file of another scikit-learn may raise anything
        raise Invalid(
            "the model's file cannot be opened",
            f"{type(error).__name__}: {str(error)[:200]}",
            "train and register it again with the libraries installed here",
            code="E-SERVE-012",
        ) from error


def warm_up(predictor: Predictor | Exact, file: ModelFile) -> str:
    """Answer the input example once, so that the first caller waits for no lazy import.

    Returns
    -------
    str
        Why it wasn't answered, without any data; empty where it was, or there is none.
    """
    if file.example is None:
        return ""
    try:
        rows = read_invocation(file.example, Intake.of(file))
        if isinstance(predictor, Exact):
            predictor.settle(predictor(rows.inputs, rows.params, rows.absent))
        else:
            predictor.settle(predictor(rows.inputs))
            predictor.hasten(rows.inputs)
    except Refusal as refusal:
        print(f"the input example does not fit the signature: {refusal}", file=sys.stderr)
        return f"its input example does not fit its signature: {refusal}"
    except Exception as error:
        # It may still answer other rows: what is served first is served all the same.
        print(f"the model failed on its input example: {error!r}", file=sys.stderr)
        return f"it raised {type(error).__name__} on its input example"
    return ""
