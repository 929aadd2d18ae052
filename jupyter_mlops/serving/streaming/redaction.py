"""What a dead letter may hold of a record: no more than the endpoint's log would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from jupyter_mlops.data.sources.streams.payloads import parse
from jupyter_mlops.serving.endpoints import Endpoint
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.places import hash_key_path
from jupyter_mlops.serving.pseudonyms import Pseudonyms
from jupyter_mlops.workspace import Workspace

__all__ = ["Redaction"]

#: Bytes of a record that are kept in a dead letter.
_KEPT: Final = 64 << 10
_LEFT_OUT: Final = "left out: the endpoint's log redacts columns, and this is no JSON object"


@dataclass(frozen=True)
class Redaction:
    """Redacts records as an endpoint's log does.

    Attributes
    ----------
    policy : LogPolicy
    key : str, optional
        The endpoint's key column.
    pseudonyms : Pseudonyms, optional
        Hash what the policy has hashed.
    """

    policy: LogPolicy
    key: str | None
    pseudonyms: Pseudonyms | None

    @classmethod
    def of(cls, ws: Workspace, endpoint: Endpoint) -> Redaction:
        """That of an endpoint.

        Raises
        ------
        Unavailable
            The key of the hashes cannot be read.
        """
        hashes = Pseudonyms.read(hash_key_path(ws)) if endpoint.log.hashed else None
        return cls(endpoint.log, endpoint.key, hashes)

    def letter(self, key: str | None, payload: Any) -> tuple[str | None, str]:
        """Return a record's key and text as a dead letter may hold them."""
        if not self.policy.hides:
            return key, _text(payload)
        if self.pseudonyms is not None and self.key in self.policy.hashed:
            key = self.pseudonyms.of(key)
        found = parse(payload) if isinstance(payload, bytes) else payload
        if not isinstance(found, dict):
            return key, _LEFT_OUT
        kept = {name: one for name, one in found.items() if name not in self.policy.dropped}
        if self.pseudonyms is not None:
            kept |= {n: self.pseudonyms.of(kept[n]) for n in self.policy.hashed if n in kept}
        return key, _text(kept)


def _text(payload: Any) -> str:
    content = payload if isinstance(payload, bytes) else orjson.dumps(payload, default=str)
    return content[:_KEPT].decode(errors="replace")
