"""GPUs: which there are, and how much of them this process holds.

Leases are in `leases`, which loads the store; looking at the devices doesn't.
"""

from __future__ import annotations

from jupyter_mlops.experiments.gpus.devices import Device, count, devices, held_here

__all__ = ["Device", "count", "devices", "held_here"]
