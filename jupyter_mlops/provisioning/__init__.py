"""Kernels that hold a GPU: the provisioner that Jupyter asks when a kernelspec says so."""

from __future__ import annotations

from jupyter_mlops.provisioning.kernels import GpuProvisioner

__all__ = ["GpuProvisioner"]
