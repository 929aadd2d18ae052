"""The number of the language that is spoken with processes of models.

An environment of a person's own may hold another jupyter-mlops than the agent's. What the two
say to each other (tasks, portraits, `frames`, parts of a batch) may gain names that the other
side leaves out; whatever else changes about it changes this number, and then they refuse each
other in a sentence. This module imports nothing, so that asking for the number takes no time.
"""

from __future__ import annotations

from typing import Final

__all__ = ["WIRE"]

WIRE: Final = 1
