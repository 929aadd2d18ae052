"""What `/invocations` takes and answers, by content type: JSON, CSV, lines of JSON, Arrow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from jupyter_mlops.serving.arrowbody import ARROW, read_arrow, write_arrow
from jupyter_mlops.serving.asking import Reply
from jupyter_mlops.serving.csvbody import read_csv
from jupyter_mlops.serving.intake import Intake, Rows
from jupyter_mlops.serving.invocations import read_invocation
from jupyter_mlops.serving.jsonbody import read_json, write_json
from jupyter_mlops.serving.lines import LINES, read_lines, write_lines
from jupyter_mlops.serving.refusals import quoted

__all__ = ["CSV", "JSON", "Form", "form_of", "json_answer", "want_json"]

JSON: Final = "application/json"
CSV: Final = "text/csv"
_READ: Final[dict[str, Callable[[bytes, Intake, int], Rows]]] = {
    JSON: lambda body, intake, _: read_invocation(
        read_json(body), intake, booleans=b"true" in body or b"false" in body
    ),
    CSV: lambda body, intake, _: read_csv(body, intake),
    LINES: lambda body, intake, _: read_lines(body, intake),
    ARROW: read_arrow,
}


@dataclass(frozen=True)
class Form:
    """How a request's body is written, and how its answer is to be.

    Attributes
    ----------
    sent, wanted : str
        Content types.
    """

    sent: str
    wanted: str

    @property
    def flows(self) -> bool:
        """Whether rows can be answered while others are on their way."""
        return self.sent in (LINES, ARROW) and self.wanted == self.sent

    def read(self, body: bytes, intake: Intake, limit: int) -> Rows:
        """Decode and check a whole body of at most `limit` bytes.

        Raises
        ------
        Refusal
            It is of another form, or doesn't fit the signature.
        """
        return _READ[self.sent](body, intake, limit)

    def write(self, reply: Reply, request_id: str) -> Response:
        """Return the answer."""
        if self.wanted == ARROW:
            content = write_arrow(reply, request_id)
        elif self.wanted == LINES:
            content = write_lines(reply)
        else:
            content = json_answer(reply, request_id)
        headers = {**reply.version.headers, "x-request-id": request_id}
        return Response(content, headers=headers, media_type=self.wanted)


def form_of(headers: Mapping[str, str]) -> Form:
    """Read a request's headers; lines and Arrow are answered in kind unless asked otherwise.

    Raises
    ------
    HTTPException
        Nobody here reads what was sent (415).
    """
    sent = headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent not in (CSV, LINES, ARROW):
        want_json(headers, missing_is_fine=False)
        sent = JSON
    accepted = headers.get("accept", "").lower()
    for kind in (ARROW, LINES, JSON):
        if kind in accepted:
            return Form(sent, kind)
    return Form(sent, sent if sent in (LINES, ARROW) else JSON)


def want_json(headers: Mapping[str, str], *, missing_is_fine: bool) -> None:
    """Refuse what is not said to be JSON in UTF-8.

    Raises
    ------
    HTTPException
        It is said to be something else (415).
    """
    given = headers.get("content-type", "")
    kind, _, rest = given.partition(";")
    charset = rest.strip().lower().replace('"', "")
    if missing_is_fine and not given:
        return
    if kind.strip().lower() != JSON or charset not in ("", "charset=utf-8"):
        raise HTTPException(
            415,
            f"send Content-Type: {JSON}, in UTF-8; /invocations takes {CSV}, {LINES} and {ARROW}, "
            "too",
        )


def json_answer(reply: Reply, request_id: str) -> bytes:
    """Return an answer in JSON, as MLflow's with more to it."""
    answer = reply.outcome.answer
    body: dict[str, Any] = {"predictions": answer.predictions}
    if answer.probability is not None:
        body["probabilities"] = answer.probability
        body["classes"] = reply.version.portrait.classes
    body["prediction_ids"] = list(reply.outcome.ids)
    body["model"] = reply.version.about
    body["request_id"] = request_id
    if reply.rows.ignored:
        names = ", ".join(map(quoted, reply.rows.ignored[:5]))
        body["warnings"] = [f"columns the model does not know were ignored: {names}"]
    return write_json(body)
