"""Ask an endpoint about records, and find the bad ones among them."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import httpx
import orjson

from jupyter_mlops.data.sources.streams.payloads import parse
from jupyter_mlops.serving.calling import open_client
from jupyter_mlops.serving.endpoints import get
from jupyter_mlops.serving.streaming.messages import Batch, Document, Marks, Record, advance, beyond
from jupyter_mlops.serving.streaming.redaction import Redaction
from jupyter_mlops.workspace import Denied, Unavailable, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Asking"]

_AGAIN: Final = (408, 429, 502, 503, 504)
_FIRST, _LONGEST = 0.05, 5.0
_ROW: Final = re.compile(r"\brow (\d+)\b")
_NUMBERS: Final = ("integer", "long", "float", "double")
#: Seconds between two looks at what the endpoint's log redacts.
_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True)
class _Refused:
    code: str
    message: str


class Asking:
    """Asks an endpoint about batches of records; several threads may ask at once.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    stream : str
        Its name, for dead letters.
    patience : float
        Seconds over which an endpoint that is busy or away is asked again.
    hurry : threading.Event
        Set when the stream is to end: patience is short then.
    """

    def __init__(
        self, ws: Workspace, endpoint: str, stream: str, patience: float, hurry: threading.Event
    ) -> None:
        self.ws = ws
        self.stream = stream
        self.patience = patience
        self.hurry = hurry
        #: Requests that were sent again.
        self.retries = 0
        #: Why the last one was; empty after an answer.
        self.trouble = ""
        self._endpoint = get(ws, endpoint)
        self._redacted = Redaction.of(ws, self._endpoint)
        self._looked = time.monotonic()
        self._client = open_client(ws, self._endpoint.name)
        self._types = {name: kind for name, kind, _ in self._endpoint.inputs}
        self._optional = [name for name, _, required in self._endpoint.inputs if not required]
        extra = [n for n in (self._endpoint.key, self._endpoint.time) if n]
        self._wanted = dict.fromkeys([*self._types, *extra])

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def answer(self, records: Sequence[Record], done: Marks) -> Batch:
        """Answer what isn't done yet of some records, each with an answer or a dead letter.

        Raises
        ------
        Unavailable
            The endpoint stayed away for longer than `patience`.
        Denied
            It refuses the token.
        """
        answers: list[Document] = []
        letters: list[Document] = []
        good: list[tuple[Record, dict[str, Any]]] = []
        for record in records:
            if not beyond(done, record):
                continue
            found = self._read(record)
            if isinstance(found, _Refused):
                letters.append(self._letter(record, found))
            else:
                good.append((record, found))
        if good:
            self._ask(good, answers, letters)
        place = {(one.partition, one.mark): at for at, one in enumerate(records)}
        letters.sort(key=lambda one: place[one.partition, one.mark])
        return Batch(answers, letters, advance({}, records))

    def _read(self, record: Record) -> dict[str, Any] | _Refused:
        payload = record.payload
        if payload is None:
            return _Refused("E-STREAM-130", "the source removed the record before it was read")
        found = parse(payload) if isinstance(payload, bytes) else payload
        if found is None:
            return _Refused("E-STREAM-131", "the record is no JSON object")
        return self._row(found, record.texts and isinstance(payload, dict))

    def _row(self, found: dict[str, Any], texts: bool) -> dict[str, Any]:
        row = {name: found[name] for name in self._wanted if name in found}
        if texts:
            for name, value in row.items():
                row[name] = _typed(value, self._types.get(name, "string"))
        return row

    def _ask(
        self,
        good: Sequence[tuple[Record, dict[str, Any]]],
        answers: list[Document],
        letters: list[Document],
    ) -> None:
        """Ask about rows together; when they are refused, about fewer, down to the bad ones."""
        told = self._post([row for _, row in good])
        if not isinstance(told, _Refused):
            answers += self._documents(good, told)
        elif len(good) == 1:
            letters.append(self._letter(good[0][0], told))
        else:
            for part in _parts(len(good), told.message):
                self._ask(good[part], answers, letters)

    def _post(self, rows: list[dict[str, Any]]) -> dict[str, Any] | _Refused:
        for name in self._optional:
            if any(name in row for row in rows):
                for row in rows:
                    row.setdefault(name, None)
        options = orjson.OPT_SERIALIZE_NUMPY
        try:
            body = orjson.dumps({"dataframe_records": rows}, default=_plain, option=options)
        except TypeError as error:
            return _Refused("E-STREAM-132", f"a value can't be written as JSON: {error}")
        deadline = time.monotonic() + self.patience
        pause = _FIRST
        while True:
            wait = 0.0
            try:
                url = f"{self._endpoint.url}/invocations"
                answer = self._client.post(url, content=body)
                if answer.status_code == 200:
                    self.trouble = ""
                    told: dict[str, Any] = orjson.loads(answer.content)
                    return told
                if answer.status_code in (401, 403):
                    raise self._denied(answer)
                refused = _refusal(answer)
                if answer.status_code not in _AGAIN:
                    return refused
                self.trouble = f"{answer.status_code}: {refused.message}"
                given = answer.headers.get("retry-after", "")
                wait = float(given) if given.isdecimal() else 0.0
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                self.trouble = (
                    f"{type(error).__name__}: {error}" if str(error) else str(type(error))
                )
            self.retries += 1
            if self.hurry.is_set():
                deadline = min(deadline, time.monotonic() + _LONGEST)
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"endpoint '{self._endpoint.name}' gives no answers",
                    self.trouble,
                    f"`%mlops endpoints --name {self._endpoint.name}` shows its state",
                    code="E-STREAM-133",
                )
            # "Full jitter", so that batches that failed together don't come back together.
            time.sleep(min(max(wait, random.uniform(0, pause)), max(self.patience, _FIRST)))  # noqa: S311
            pause = min(_LONGEST, 2 * pause)
            # A restart may have moved it.
            self._endpoint = get(self.ws, self._endpoint.name)

    def _denied(self, answer: httpx.Response) -> Denied:
        return Denied(
            f"endpoint '{self._endpoint.name}' refuses the stream",
            _refusal(answer).message,
            "serve the model again, which makes a new token",
            code="E-STREAM-134",
        )

    def _documents(
        self, good: Sequence[tuple[Record, dict[str, Any]]], told: dict[str, Any]
    ) -> list[Document]:
        model = told["model"]
        about = {
            "model": model["model"],
            "version": str(model["version"]),
            "digest": model["digest"],
        }
        ids, predictions = told["prediction_ids"], told["predictions"]
        probabilities = told.get("probabilities")
        found = []
        for at, (record, row) in enumerate(good):
            key = record.key
            if self._endpoint.key and row.get(self._endpoint.key) is not None:
                key = str(row[self._endpoint.key])
            body = {
                "position": record.place,
                "key": key,
                "prediction_id": ids[at],
                "prediction": predictions[at],
            }
            if probabilities is not None:
                body["probability"] = probabilities[at]
            found.append(Document(record.partition, record.mark, key, body | about))
        return found

    def _letter(self, record: Record, refused: _Refused) -> Document:
        key, text = self._redaction().letter(record.key, record.payload)
        body = {
            "position": record.place,
            "key": key,
            "reason": refused.message,
            "code": refused.code,
            "stream": self.stream,
            "endpoint": self._endpoint.name,
            "at": utcnow().isoformat(),
            "record": text,
        }
        return Document(record.partition, record.mark, key, body)

    def _redaction(self) -> Redaction:
        """What a dead letter may hold: the endpoint may have been declared anew meanwhile."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            self._redacted = Redaction.of(self.ws, get(self.ws, self._endpoint.name))
        return self._redacted


def _parts(count: int, message: str) -> list[slice]:
    """Where to divide rows of which some are bad: around the row that was named, or in halves."""
    named = _ROW.search(message)
    row = int(named[1]) if named else count
    if row >= count:
        return [slice(0, count // 2), slice(count // 2, count)]
    return [part for part in (slice(0, row), slice(row, row + 1), slice(row + 1, count))
            if part.stop > part.start]  # fmt: skip


def _refusal(answer: httpx.Response) -> _Refused:
    try:
        told = orjson.loads(answer.content)
        code = told.get("code") or told.get("error_code") or ""
        return _Refused(str(code), str(told["message"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return _Refused(f"HTTP {answer.status_code}", f"HTTP status {answer.status_code}")


def _typed(value: Any, kind: str) -> Any:
    """A text as the column's type, where it is one; the endpoint says what is wrong with others."""
    if not isinstance(value, str):
        return value
    if kind == "boolean":
        return {"true": True, "false": False}.get(value.lower(), value)
    if kind in _NUMBERS:
        if value == "":
            return None
        if "_" in value:
            return value  # Python's own way of writing numbers
        try:
            return int(value)
        except ValueError:
            pass
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
