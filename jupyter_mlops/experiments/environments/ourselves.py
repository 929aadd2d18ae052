"""The running jupyter-mlops as something that another environment can install.

A checkout or a wheel of somebody's own is on no index, and building it anew takes Node and a
network. What is installed is known file by file, so it is packed into a wheel again: the same
code, or for a checkout the same pointer to it, without a build.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from jupyter_mlops.experiments.environments.wishes import US
from jupyter_mlops.workspace import Unavailable

__all__ = ["Ourselves", "ourselves"]

#: An installer writes these; they aren't the package's.
_INSTALLERS: Final = {
    "INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json",
}  # fmt: skip
#: The same files must give the same wheel, and so the same lock.
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Ourselves:
    """The running jupyter-mlops.

    Attributes
    ----------
    version : str
    python : str
        Which Pythons it runs on.
    requires : tuple of str
        What it needs, without its extras.
    on_index : bool
        Whether it came from an index, and so can come from there again.
    checkout : str
        The folder whose code runs, when it is installed in editable mode.
    """

    version: str
    python: str
    requires: tuple[str, ...]
    on_index: bool
    checkout: str

    def project(self) -> str:
        """A ``pyproject.toml`` with its requirements alone: resolving needs no more."""
        lines = [
            "[project]",
            f"name = {json.dumps(US)}",
            f"version = {json.dumps(self.version)}",
            f"requires-python = {json.dumps(self.python or '>=3.11')}",
            f"dependencies = {json.dumps(self.requires)}",
        ]
        return "\n".join(lines) + "\n"

    def pack(self, folder: Path) -> Path:
        """Write the wheel into a folder named by its content, and return its path."""
        content = _wheel(distribution(US))
        digest = hashlib.sha256(content).hexdigest()
        place = folder / digest[:16]
        path = place / f"{US.replace('-', '_')}-{self.version}-py3-none-any.whl"
        if not path.is_file():
            place.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}.draft")
            draft.write_bytes(content)
            draft.replace(path)
        return path


def ourselves() -> Ourselves:
    """What runs here.

    Raises
    ------
    Unavailable
        The code runs without being installed, so nothing says what it needs.
    """
    try:
        found = distribution(US)
    except PackageNotFoundError:
        raise Unavailable(
            "jupyter-mlops isn't installed here as a package, so it can't be put elsewhere",
            fix="install it, or leave it out with --bare",
            code="E-ENV-016",
        ) from None
    told = json.loads(found.read_text("direct_url.json") or "{}")
    checkout = ""
    if told.get("dir_info", {}).get("editable"):
        checkout = url2pathname(urlsplit(told["url"]).path)
    requires = tuple(one for one in found.requires or () if "extra ==" not in one)
    python = str(found.metadata["Requires-Python"] or "")
    return Ourselves(found.version, python, requires, not told, checkout)


def _wheel(found: Distribution) -> bytes:
    files = dict(sorted(_files(found)))
    stem = next(name for name in files if name.endswith(".dist-info/METADATA")).split("/")[0]
    rows = [f"{name},sha256={_hash(content)},{len(content)}" for name, content in files.items()]
    record = f"{stem}/RECORD"
    files[record] = ("\n".join([*rows, f"{record},,"]) + "\n").encode()
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return packed.getvalue()


def _files(found: Distribution) -> Iterator[tuple[str, bytes]]:
    """The distribution's files, where a wheel has them."""
    data = f"{US.replace('-', '_')}-{found.version}.data/data"
    prefix = Path(sys.prefix).resolve()
    for one in found.files or ():
        path = Path(str(one.locate()))
        if one.suffix == ".pyc" or not path.is_file():
            continue
        if ".." not in one.parts:
            name = re.sub(r"[^/]+\.dist-info/", "", one.as_posix())
            if name not in _INSTALLERS:
                yield one.as_posix(), path.read_bytes()
            continue
        resolved = path.resolve()
        # Scripts are made anew by whoever installs it, for the other interpreter.
        if resolved.is_relative_to(prefix) and resolved.parent.name not in {"bin", "Scripts"}:
            yield f"{data}/{resolved.relative_to(prefix).as_posix()}", path.read_bytes()


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
