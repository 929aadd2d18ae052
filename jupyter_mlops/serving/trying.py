"""Ask an endpoint about one row that a person wrote down."""

from __future__ import annotations

import ast
import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
import orjson

from jupyter_mlops.serving.calling import check_running, open_client
from jupyter_mlops.serving.endpoints import Endpoint, get
from jupyter_mlops.serving.refusals import quoted
from jupyter_mlops.workspace import Invalid, Result, Unavailable, Workspace, closest

__all__ = ["Misfit", "Tried", "read_row", "try_row"]

_NAME: Final = re.compile(r"(?:^|\s)([^\s=]+)=")
_WHERE: Final = re.compile(r"^row 0, column .*?: (?=expected|the )")


class Misfit(Invalid):
    """A row does not fit; `fields` says for each column what is wrong with it."""

    def __init__(
        self,
        what: str,
        why: str = "",
        fix: str = "",
        *,
        code: str,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(what, why, fix, code=code)
        self.fields = dict(fields or {})


@dataclass(frozen=True)
class Tried(Result):
    """The answer to one row.

    Attributes
    ----------
    endpoint, model, version : str
        Who answered.
    row : dict
        What was asked, in the types of the signature.
    prediction : object
    probabilities : dict of str to float
        By class, the most likely first; empty where the model gives none.
    request_id, prediction_id : str
        By which the traffic log knows it, and `feedback` finds it.
    milliseconds : float
        Until the answer was here.
    """

    endpoint: str
    model: str
    version: str
    row: dict[str, Any]
    prediction: Any
    probabilities: dict[str, float]
    request_id: str
    prediction_id: str
    milliseconds: float
    warnings: tuple[str, ...] = ()

    @property
    def ref(self) -> str:
        """``endpoint:name``."""
        return f"endpoint:{self.endpoint}"


def try_row(ws: Workspace, endpoint: str, row: str | Mapping[str, Any] = "") -> Tried:
    """Send one row through an endpoint.

    It is answered, checked and logged as any other request.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    row : str or mapping
        Values by column: a mapping, a JSON object, or words such as ``hour=17 carrier=AA``.
        Texts become what the signature asks for. Without any, the model's input example.

    Raises
    ------
    Misfit
        The endpoint refused the row; its `fields` name the columns.
    Unavailable
        The endpoint does not run or cannot answer.

    Examples
    --------
    >>> try_row(ws, "delay", {"hour": 17, "distance": 300}).prediction  # doctest: +SKIP
    1
    """
    found = get(ws, endpoint)
    check_running(found)
    if not found.url:
        raise Unavailable(
            f"endpoint '{found.name}' is {found.state}",
            fix="ask it again in a moment",
            code="E-SERVE-048",
        )
    given = read_row(row) if isinstance(row, str) else dict(row)
    typed = _typed(found, given or dict(found.example))
    body = _body(typed)
    started = time.perf_counter()
    try:
        with open_client(ws, found.name) as client:
            answer = client.post(f"{found.url}/invocations", content=body)
    except httpx.HTTPError as error:
        raise Unavailable(
            f"endpoint '{found.name}' does not answer",
            f"{type(error).__name__}: {error}" if str(error) else type(error).__name__,
            f"`%mlops endpoint logs {found.name}` says more",
            code="E-SERVE-048",
        ) from error
    milliseconds = round(1000 * (time.perf_counter() - started), 2)
    if answer.status_code != 200:
        raise _refused(found, answer)
    said = orjson.loads(answer.content)
    return Tried(
        endpoint=found.name,
        model=str(said["model"]["model"]),
        version=str(said["model"]["version"]),
        row=typed,
        prediction=said["predictions"][0],
        probabilities=_probabilities(said),
        request_id=str(said["request_id"]),
        prediction_id=str(said["prediction_ids"][0]),
        milliseconds=milliseconds,
        warnings=tuple(said.get("warnings", ())),
    )


def read_row(text: str) -> dict[str, Any]:
    """Read values by column from a JSON object or from words.

    Raises
    ------
    Invalid
        It is neither.

    Examples
    --------
    >>> read_row("hour=17 carrier=AA"), read_row('{"hour": 17}')
    ({'hour': '17', 'carrier': 'AA'}, {'hour': 17})
    """
    text = text.strip()
    if text.startswith("{"):
        try:
            row = json.loads(text)
        except ValueError:
            row = _literal(text)
        if isinstance(row, dict):
            return {str(name): value for name, value in row.items()}
    parts = _NAME.split(text)
    if parts[0].strip() or (text and len(parts) == 1):
        raise Invalid(
            "the row can't be read",
            "it is no JSON object and not made of words such as hour=17",
            "write for example `hour=17 carrier=AA`",
            code="E-SERVE-047",
        )
    return {name: value.strip() for name, value in zip(parts[1::2], parts[2::2], strict=True)}


def _literal(text: str) -> Any:
    """A dict as Python writes it: what a cell's variable becomes in a line."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _typed(endpoint: Endpoint, given: dict[str, Any]) -> dict[str, Any]:
    kinds = {name: kind for name, kind, _ in endpoint.inputs}
    known = [*kinds, *(name for name in (endpoint.key, endpoint.time) if name)]
    for name in given:
        if name not in known:
            raise Misfit(
                f"endpoint '{endpoint.name}' knows no column {name!r}",
                fix=closest(name, known) or f"its columns are {', '.join(known[:20])}",
                code="E-SERVE-049",
            )
    return {name: _value(kinds.get(name, "string"), value) for name, value in given.items()}


def _value(kind: str, value: Any) -> Any:
    """What a text means; one that means nothing stays, for the endpoint to say so."""
    if not isinstance(value, str) or kind not in _READERS:
        return value
    try:
        return _READERS[kind](value.strip())
    except (ValueError, KeyError):
        return value


def _body(row: dict[str, Any]) -> bytes:
    inputs = {"inputs": {name: [value] for name, value in row.items()}}
    try:
        return orjson.dumps(inputs, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        # A number of more than 64 bits is the endpoint's to refuse, and so is what JSON lacks.
        return json.dumps(inputs, default=str).encode()


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


_READERS: Final[dict[str, Any]] = {
    "integer": int,
    "long": int,
    "float": _number,
    "double": _number,
    "boolean": lambda text: {"true": True, "false": False}[text.lower()],
}


def _probabilities(said: dict[str, Any]) -> dict[str, float]:
    if "probabilities" not in said:
        return {}
    found, classes = said["probabilities"][0], [str(one) for one in said["classes"]]
    # Of two classes the second one's is told.
    shares = found if isinstance(found, list) else [1 - found, found]
    ordered = sorted(zip(classes, shares, strict=True), key=lambda pair: -pair[1])
    return {name: float(share) for name, share in ordered}


def _refused(endpoint: Endpoint, answer: httpx.Response) -> Exception:
    try:
        message = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        message = f"it answered HTTP status {answer.status_code}"
    what = f"endpoint '{endpoint.name}' refused the row"
    if answer.status_code not in (400, 413, 422):
        return Unavailable(what, message, code="E-SERVE-048")
    named = [
        name
        for name in [*(name for name, _, _ in endpoint.inputs), endpoint.key, endpoint.time]
        if name and f"column {quoted(name)}" in message
    ]
    fields = {name: _WHERE.sub("", message) for name in named[:1]}
    return Misfit(what, message, code="E-SERVE-056", fields=fields)
