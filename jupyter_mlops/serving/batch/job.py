"""What a batch prediction is: which model on which rows, cut where, and what came of a part."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from jupyter_mlops.serving.expectations import Mode

__all__ = ["Job", "Receipt", "Spec"]

FORMAT: Final = 1


@dataclass(frozen=True)
class Spec:
    """What a process that holds the model must know.

    Attributes
    ----------
    path : str
        The model's folder.
    digest : str
        What its files had when it was registered.
    model : str
        ``name@version``.
    keep : tuple of str
        Columns of the data that go along into the output.
    probabilities : bool
    mode : {"observe", "enforce", "off"}
    job : str
        The job's fingerprint.
    """

    path: str
    digest: str
    model: str
    keep: tuple[str, ...]
    probabilities: bool
    mode: Mode
    job: str

    @classmethod
    def read(cls, text: str | bytes) -> Spec:
        """From JSON."""
        told = json.loads(text)
        return cls(**{**told, "keep": tuple(told["keep"])})

    def write(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Job:
    """A batch prediction. Two of one fingerprint give the same parts.

    Attributes
    ----------
    model, version, digest : str
    data : str
        How the data are called.
    data_digest : str
        Their content.
    rows, part_rows : int
        All rows, and those of each part but the last.
    """

    model: str
    version: str
    digest: str
    data: str
    data_digest: str
    rows: int
    part_rows: int
    keep: tuple[str, ...]
    probabilities: bool
    mode: Mode

    @property
    def label(self) -> str:
        """``name@version``."""
        return f"{self.model}@{self.version}"

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits of everything that decides what the parts hold."""
        told = {**asdict(self), "format": FORMAT}
        # How the data are called changes nothing of the answers.
        del told["data"]
        text = json.dumps(told, sort_keys=True).encode()
        return hashlib.blake2b(text, digest_size=16).hexdigest()

    @property
    def parts(self) -> int:
        """How many parts."""
        return -(-self.rows // self.part_rows)

    def bounds(self, part: int) -> tuple[int, int]:
        """The first row of a part, and the one after its last."""
        start = part * self.part_rows
        return start, min(start + self.part_rows, self.rows)

    def about(self) -> dict[str, Any]:
        """As it stands in the plan and in the manifest."""
        return {
            "format": FORMAT,
            "job": self.fingerprint,
            "model": self.model,
            "version": self.version,
            "digest": self.digest,
            "data": self.data,
            "data_digest": self.data_digest,
            "rows": self.rows,
            "part_rows": self.part_rows,
            "boundaries": [self.bounds(part)[0] for part in range(self.parts)] + [self.rows],
            "keep": list(self.keep),
            "probabilities": self.probabilities,
            "mode": self.mode,
        }

    def spec(self, path: str) -> Spec:
        """What a process needs to answer its parts."""
        return Spec(
            path, self.digest, self.label, self.keep, self.probabilities, self.mode,
            self.fingerprint,
        )  # fmt: skip


@dataclass(frozen=True)
class Receipt:
    """What came of a part.

    Attributes
    ----------
    part, start, stop : int
    rows, rejected : int
        Answered, and left out with a reason.
    files : dict of str to dict
        ``answers`` and ``rejected``, as far as there are any: ``name``, ``sha256``, ``size``.
    violations : dict of str to int
        Rows that break a rule of the contract, by ``column rule``.
    classes : list, optional
        The model's classes.
    """

    part: int
    start: int
    stop: int
    rows: int
    rejected: int
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    violations: dict[str, int] = field(default_factory=dict)
    classes: list[Any] | None = None

    @classmethod
    def read(cls, content: bytes) -> Receipt:
        """From JSON."""
        return cls(**json.loads(content))

    def write(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()

    def named(self, kind: str, name: str) -> Receipt:
        """With the name under which a file was kept."""
        return replace(self, files={**self.files, kind: {**self.files[kind], "name": name}})
