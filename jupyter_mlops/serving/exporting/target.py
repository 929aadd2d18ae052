"""What is exported, and under which names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from jupyter_mlops.serving.modelfile import ModelFile

__all__ = ["Target"]


@dataclass(frozen=True)
class Target:
    """A model to be served elsewhere.

    Attributes
    ----------
    name, version, digest : str
    path : Path
        Its files.
    file : ModelFile
        What they say.
    endpoint : str
        How clients call the model in V2 paths.
    image : str
        How the container's image is called.
    """

    name: str
    version: int
    digest: str
    path: Path
    file: ModelFile
    endpoint: str
    image: str

    @property
    def label(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"

    @property
    def resource(self) -> str:
        """The endpoint's name as Kubernetes allows it (RFC 1035, cut to leave room for suffixes).

        Examples
        --------
        >>> re.sub(r"[^a-z0-9]+", "-", "Delay_2.0".lower())
        'delay-2-0'
        """
        plain = re.sub(r"[^a-z0-9]+", "-", self.endpoint.lower()).strip("-")
        plain = plain if plain[:1].isalpha() else f"m-{plain}"
        return plain[:40].rstrip("-")
