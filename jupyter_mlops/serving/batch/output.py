"""The folder of a batch prediction: its plan, its parts with their receipts, its manifest.

::

    _plan.json                    which job writes here; the first file
    part-00000.parquet …          answers
    _rejected/part-00000.parquet  rows that were put aside, each with its reason
    _parts/part-00000.json        receipts while the job goes on
    manifest.json                 everything, written last
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from jupyter_mlops.serving.batch.job import Job, Receipt
from jupyter_mlops.serving.batch.places import Place
from jupyter_mlops.workspace import Conflict

__all__ = ["ANSWERS", "MANIFEST", "Output"]

MANIFEST: Final = "manifest.json"
PLAN: Final = "_plan.json"
#: The files of answers, for whoever reads them.
ANSWERS: Final = "part-*.parquet"
_FOLDERS: Final = {"answers": "", "rejected": "_rejected"}


class Output:
    """What a job has written, and where the next part goes.

    Parameters
    ----------
    place : Place
    job : Job
    """

    def __init__(self, place: Place, job: Job) -> None:
        self.place = place
        self.job = job

    def begin(self) -> dict[int, Receipt]:
        """Take the folder, and return the parts that are done, each checked by its digest.

        Raises
        ------
        Conflict
            Something else lies there, or another process writes there.
        """
        self.place.take()
        keys = self.place.keys()
        if not keys:
            self.place.write(PLAN, json.dumps(self.job.about(), indent=1).encode())
            return {}
        self._check_plan(keys)
        return {one.part: one for one in self._receipts(keys) if self._is_there(one)}

    def _check_plan(self, keys: list[str]) -> None:
        content = self.place.read(PLAN)
        if content is None:
            raise Conflict(
                f"{self.place.shown} isn't empty",
                f"it holds {', '.join(keys[:3])}{' …' if len(keys) > 3 else ''}",
                "name an empty folder, or one that doesn't exist yet",
                code="E-BATCH-020",
            )
        there = json.loads(content)
        if there.get("job") == self.job.fingerprint:
            return
        mine = self.job.about()
        names = ("model", "version", "digest", "data_digest", "part_rows", "keep",
                 "probabilities", "mode")  # fmt: skip
        other = [name.replace("_", " ") for name in names if there.get(name) != mine[name]]
        raise Conflict(
            f"{self.place.shown} holds predictions of another job",
            f"it differs in {', '.join(other)}" if other else "it was another release's",
            "name another folder, or repeat the line that began it",
            code="E-BATCH-021",
        )

    def _receipts(self, keys: list[str]) -> Iterable[Receipt]:
        whole = self.place.read(MANIFEST) if MANIFEST in keys else None
        if whole is not None:
            for told in json.loads(whole)["parts"]:
                yield Receipt(**told)
            return
        for key in keys:
            if key.startswith("_parts/"):
                content = self.place.read(key)
                if content is not None:
                    yield Receipt.read(content)

    def _is_there(self, one: Receipt) -> bool:
        """Whether a part's files are what its receipt says."""
        return (one.start, one.stop) == self.job.bounds(one.part) and all(
            self.place.seal(file["name"]) == file["sha256"] for file in one.files.values()
        )

    def key(self, kind: str, part: int) -> str:
        """Where a part's file of a kind goes."""
        return posixpath.join(_FOLDERS[kind], f"part-{part:05d}.parquet")

    def draft(self, kind: str, part: int, scratch: Path) -> Path:
        """Where to write it meanwhile: beside its place, or in a scratch folder."""
        if self.place.is_local:
            return self.place.draft()
        return scratch / f"{kind}-{part:05d}.parquet"

    def publish(self, part: int, outcome: dict[str, Any]) -> Receipt:
        """Let a part's files appear, then its receipt.

        Parameters
        ----------
        part : int
        outcome : dict
            As `jupyter_mlops.serving.batch.worker` tells it.
        """
        files = {}
        for kind, file in outcome["files"].items():
            key = self.key(kind, part)
            self.place.put(key, file["content"] if "content" in file else Path(file["path"]))
            files[kind] = {"name": key, "sha256": file["sha256"], "size": file["size"]}
        start, stop = self.job.bounds(part)
        receipt = Receipt(
            part, start, stop, outcome["rows"], outcome["rejected"], files,
            outcome["violations"], outcome["classes"],
        )  # fmt: skip
        self.place.write(f"_parts/part-{part:05d}.json", receipt.write())
        return receipt

    def finish(self, receipts: dict[int, Receipt], told: dict[str, Any]) -> None:
        """Write the manifest, then remove the receipts that it holds."""
        parts = [vars(receipts[part]) for part in sorted(receipts)]
        content = {**self.job.about(), **told, "parts": parts}
        self.place.write(MANIFEST, json.dumps(content, indent=1).encode())
        self.place.drop([f"_parts/part-{part:05d}.json" for part in sorted(receipts)])

    @property
    def finished(self) -> dict[str, Any] | None:
        """The manifest, once it is written."""
        content = self.place.read(MANIFEST)
        return None if content is None else json.loads(content)
