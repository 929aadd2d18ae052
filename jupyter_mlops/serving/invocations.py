"""MLflow's scoring protocol, version 2: what `POST /invocations` takes and answers."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from jupyter_mlops.serving.intake import Intake, Rows
from jupyter_mlops.serving.refusals import Refusal, quoted

_NONE = type(None)
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def read_invocation(body: Any, intake: Intake, *, booleans: bool = True) -> Rows:
    """Check a decoded `/invocations` body against the signature.

    Parameters
    ----------
    body : object
        What JSON decoded to.
    intake : Intake
        The model's signature.
    booleans : bool
        Whether there may be booleans in the body.

    Raises
    ------
    Refusal
        The body is of another form, or a value does not fit the signature.
    """
    if type(body) is not dict:
        raise _form("the body is no JSON object")
    forms = [name for name in FORMS if name in body]
    if len(forms) != 1:
        raise _form("the body holds none of them" if not forms else "the body holds several")
    if type(body.get("params", {})) not in (dict, _NONE):
        raise Refusal(400, "E-SERVE-107", "`params` must be a JSON object")
    rows = _read(forms[0], body[forms[0]], intake, booleans)
    return intake.with_params(rows, body.get("params")) if intake.params else rows


def _read(form: str, data: Any, intake: Intake, booleans: bool) -> Rows:
    if form == "dataframe_split":
        return _split(data, intake, booleans)
    if type(data) is dict and form == "inputs" and not intake.unnamed:
        return _columns(data, intake)
    if intake.unnamed and form == "inputs" and type(data) not in (list, dict):
        data = [data]  # one value is one row
    if type(data) is not list:
        raise Refusal(400, "E-SERVE-107", f"`{form}` must be a list of rows")
    intake.limit(len(data))
    if type(data[0]) is dict and not intake.unnamed:
        return _records(data, intake)
    if form == "dataframe_records":
        raise Refusal(400, "E-SERVE-107", "`dataframe_records` must be a list of objects")
    if len(intake.names) == 1 and intake.exact and not intake.tensor:
        return intake.columns({intake.names[0]: data}, len(data))
    return intake.matrix(data)


def _form(found: str) -> Refusal:
    return Refusal(
        400,
        "E-SERVE-100",
        f"send a JSON object with exactly one of {', '.join(FORMS)}: {found}",
    )


def _split(data: Any, intake: Intake, booleans: bool) -> Rows:
    if type(data) is not dict or type(data.get("data")) is not list:
        raise Refusal(400, "E-SERVE-107", "`dataframe_split` must hold `columns` and `data`")
    rows = data["data"]
    names = data.get("columns")
    if names is None and (intake.tensor or intake.unnamed):
        return intake.matrix(rows)
    if type(names) is not list:
        raise Refusal(400, "E-SERVE-107", "`dataframe_split` must hold `columns` and `data`")
    if names != intake.listed:
        names = [name if type(name) is str else str(name) for name in names]
        if len(set(names)) != len(names):
            twice = next(name for i, name in enumerate(names) if name in names[:i])
            raise Refusal(400, "E-SERVE-108", f"column {quoted(twice)} is named twice")
    intake.limit(len(rows))
    at_once = intake.split(names, rows, booleans=booleans)
    if at_once is not None:
        return at_once
    width = len(names)
    for row, values in enumerate(rows):
        if type(values) is not list or len(values) != width:
            found = f"{len(values)} values" if type(values) is list else "no list"
            raise Refusal(
                400, "E-SERVE-106", f"row {row}: expected {len(names)} values, found {found}"
            )
    if intake.unnamed or (intake.tensor and set(names) != set(intake.names)):
        return intake.matrix(rows)
    return intake.columns(dict(zip(names, zip(*rows, strict=True), strict=True)), len(rows))


def _records(rows: Sequence[Any], intake: Intake) -> Rows:
    for row, record in enumerate(rows):
        if type(record) is not dict:
            raise Refusal(400, "E-SERVE-107", f"row {row} is no JSON object as the first row is")
    table: dict[str, Sequence[Any]] = {}
    # The first record says which columns there are; extra ones further down nobody asked for.
    for name in dict.fromkeys([*rows[0], *intake.known]):
        try:
            table[name] = list(map(itemgetter(name), rows))
        except KeyError:
            lacking = next(i for i, record in enumerate(rows) if name not in record)
            if all(name not in record for record in rows):
                continue
            if name in intake.known:
                raise Refusal(
                    400,
                    "E-SERVE-109",
                    f"row {lacking} lacks column {quoted(name)}: send null for a missing value",
                ) from None
    return intake.columns(table, len(rows))


def _columns(data: dict[str, Any], intake: Intake) -> Rows:
    if any(field.type.name == "nested" for field in intake.fields):
        # As MLflow reads it: with lists or objects among the columns, an object is one row.
        return intake.columns({name: [value] for name, value in data.items()}, 1)
    table = {name: v if type(v) is list else [v] for name, v in data.items()}
    if not table:
        raise Refusal(400, "E-SERVE-103", "the request holds no rows")
    first, count = next((name, len(values)) for name, values in table.items())
    for name, values in table.items():
        if len(values) != count:
            raise Refusal(
                400,
                "E-SERVE-106",
                f"column {quoted(name)} holds {len(values)} values and column {quoted(first)} "
                f"{count}",
            )
    return intake.columns(table, count)
