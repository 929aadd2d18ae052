"""What a model's process replies: answers to requests, or what can be told of its failing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jupyter_mlops.serving.answers import Answer, Unusual, Whole
from jupyter_mlops.serving.fields import has_missing
from jupyter_mlops.serving.intake import Rows
from jupyter_mlops.serving.refusals import Refusal, quoted

__all__ = ["read_reply"]


def read_reply(batch: Sequence[Rows], told: Mapping[str, Any]) -> list[Answer | Refusal]:
    """Read what a model's process answered to the rows of several requests, one after the other.

    Raises
    ------
    ValueError, KeyError, TypeError
        It answered something else, as a process does that isn't to be trusted any more.
    """
    try:
        return _read(batch, told)
    except (AttributeError, IndexError) as error:
        raise ValueError("the model's process answered something else") from error


def _read(batch: Sequence[Rows], told: Mapping[str, Any]) -> list[Answer | Refusal]:
    total = sum(rows.count for rows in batch)
    unusual = _unusual(told["unusual"], total) if told.get("unusual") else None
    if "parts" in told:
        replies = told["parts"]
        if len(replies) != len(batch):
            raise ValueError("the model's process answered other requests")
        answered: list[Answer | Refusal] = []
        start = 0
        for rows, part in zip(batch, replies, strict=True):
            if part.get("failed"):
                answered.append(_refused(rows, part))
            else:
                found = None if unusual is None else unusual.part(start, start + rows.count)
                answered.append(replace(_checked(part, rows.count), unusual=found))
            start += rows.count
        return answered
    whole = _checked(told, total)
    if unusual is not None:
        whole = replace(whole, unusual=unusual)
    if len(batch) == 1:
        return [whole]
    results: list[Answer | Refusal] = []
    start = 0
    for rows in batch:
        results.append(whole.part(start, start + rows.count))
        start += rows.count
    return results


def _checked(told: Mapping[str, Any], count: int) -> Answer:
    columns = told["prediction"], told.get("probability")
    if not isinstance(columns[0], np.ndarray) or not isinstance(columns[1], np.ndarray | None):
        raise TypeError("the model's process answered no arrays")
    whole = told.get("whole")
    answer = Answer(
        told["prediction"],
        told.get("probability"),
        None if whole is None else Whole(whole["value"]),
    )
    if len(answer.prediction) != count or (
        answer.probability is not None and len(answer.probability) != count
    ):
        raise ValueError("the model's process answered other rows")
    return answer


def _unusual(told: Mapping[str, Any], count: int) -> Unusual:
    p, reasons = told["p"], told["reasons"]
    if p.shape != (count,) or p.dtype.kind != "f":
        raise ValueError("the model's process looked at other rows")
    return Unusual(
        p,
        {
            int(row): [str(name) for name in names]
            for row, names in reasons.items()
            if 0 <= int(row) < count
        },
    )


def _refused(rows: Rows, part: Mapping[str, Any]) -> Refusal:
    """Tell the caller what can be told without the data; the model's process logged the rest."""
    if part.get("parameter") in (rows.params or ()):
        return Refusal(
            400,
            "E-SERVE-117",
            f"parameter {quoted(part['parameter'])} isn't of the type that the signature says",
        )
    if part.get("misfit"):
        return Refusal(
            400, "E-SERVE-118", "MLflow refuses these rows by the signature; the log says why"
        )
    holes = [name for name, column in rows.inputs.items() if has_missing(column)]
    hint = f" (missing values in {', '.join(map(quoted, holes[:5]))})" if holes else ""
    return Refusal(
        422, "E-SERVE-120", f"the model failed on these rows{hint}; the endpoint's log says why"
    )
