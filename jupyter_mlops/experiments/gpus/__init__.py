"""GPUs: which there are, and how much of them this process holds.

Names are loaded when they are first used.
"""

from __future__ import annotations

from jupyter_mlops.experiments.gpus.devices import Device, count, devices, held_here

__all__ = ["Device", "count", "devices", "held_here"]
