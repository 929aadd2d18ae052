"""Every setting in one place: a trait with its default, its environment name and its help.

A setting is taken from, in this order: what the program passes, the environment,
``<workspace>/.mlops/settings.json``, the default.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traitlets import Bool, Dict, Float, HasTraits, Int, TraitError, TraitType, Unicode

from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = ["SERVED", "Settings"]

#: Set where a Jupyter server runs a verb: its own packages are nobody's choice for a cluster.
SERVED = "JUPYTER_MLOPS_SERVED"


class Settings(HasTraits):
    """The settings of a workspace.

    Examples
    --------
    >>> Settings.load(environment={"JUPYTER_MLOPS_BUSY_TIMEOUT": "5"}).busy_timeout
    5.0
    """

    database_url = Unicode(
        "",
        help="SQLAlchemy URL of the store. Empty: SQLite in the workspace.",
    ).tag(env="JUPYTER_MLOPS_DATABASE_URL", secret=True)
    tracking_uri = Unicode(
        "",
        help="MLflow tracking server. Empty: SQLite in the workspace.",
    ).tag(env="MLFLOW_TRACKING_URI", secret=True)
    artifacts_url = Unicode(
        "", help="fsspec URL for artifacts. Empty: a folder in the workspace."
    ).tag(env="JUPYTER_MLOPS_ARTIFACTS_URL")
    traffic_url = Unicode(
        "", help="fsspec URL for logged traffic. Empty: a folder in the workspace."
    ).tag(env="JUPYTER_MLOPS_TRAFFIC_URL")
    reports_url = Unicode("", help="fsspec URL for reports. Empty: a folder in the workspace.").tag(
        env="JUPYTER_MLOPS_REPORTS_URL"
    )
    user = Unicode("", help="Who acts. Empty: JupyterHub's user, else the login name.").tag(
        env="JUPYTER_MLOPS_USER"
    )
    busy_timeout = Float(
        60.0, min=0.1, help="Seconds a write waits for another writer of the store."
    ).tag(env="JUPYTER_MLOPS_BUSY_TIMEOUT")
    copy_limit = Int(
        1 << 30,
        min=0,
        help="Files up to this many bytes are copied when added as a dataset.",
    ).tag(env="JUPYTER_MLOPS_COPY_LIMIT")
    agent_idle = Float(
        600.0, min=1.0, help="Seconds after which an agent with nothing to do ends."
    ).tag(env="JUPYTER_MLOPS_AGENT_IDLE")
    agent_start = Bool(True, help="Start the workspace's agent when something needs it.").tag(
        env="JUPYTER_MLOPS_AGENT_START"
    )
    clusters = Dict(
        help="Dask clusters by name: kind (local, cuda, gateway, jobqueue, kubernetes), workers, "
        "options, and address, system or idle_timeout."
    ).tag(env="JUPYTER_MLOPS_CLUSTERS")
    cluster_idle = Float(
        900.0, min=1.0, help="Seconds after which a cluster that nobody uses ends."
    ).tag(env="JUPYTER_MLOPS_CLUSTER_IDLE")
    gpu_wait = Float(
        600.0, min=0.0, help="Seconds a cluster or a kernel waits for a GPU before it gives up."
    ).tag(env="JUPYTER_MLOPS_GPU_WAIT")
    gpu_priority = Int(
        0, help="Who waits for a GPU with a higher number is served before others."
    ).tag(env="JUPYTER_MLOPS_GPU_PRIORITY")
    gpu_team = Unicode(
        "", help="Whose quota the GPUs that are asked for count to. Empty: the user's own."
    ).tag(env="JUPYTER_MLOPS_GPU_TEAM")
    gpu_grace = Float(
        30.0,
        min=0.0,
        help="Seconds that who uses more GPU memory than its lease has before it is stopped.",
    ).tag(env="JUPYTER_MLOPS_GPU_GRACE")
    gpu_idle = Float(
        0.0, min=0.0, help="Seconds after which a lease of an unused GPU is taken back. 0: never."
    ).tag(env="JUPYTER_MLOPS_GPU_IDLE")
    body_limit = Int(32 << 20, min=1024, help="Bytes an endpoint accepts in one request.").tag(
        env="JUPYTER_MLOPS_BODY_LIMIT"
    )
    row_limit = Int(50_000, min=1, help="Rows an endpoint accepts in one request.").tag(
        env="JUPYTER_MLOPS_ROW_LIMIT"
    )
    retrain_at_once = Int(
        1, min=1, help="Policies that train at the same time; others wait for their turn."
    ).tag(env="JUPYTER_MLOPS_RETRAIN_AT_ONCE")
    smtp_url = Unicode(
        "",
        help="Mail server for alerts, smtp://user:password@host:587 or smtps://…, or secret:NAME.",
    ).tag(env="JUPYTER_MLOPS_SMTP_URL", secret=True)
    mail_from = Unicode("", help="Address that alerts by mail come from.").tag(
        env="JUPYTER_MLOPS_MAIL_FROM"
    )
    allow_private_urls = Bool(False, help="Let URLs given by users reach private addresses.").tag(
        env="JUPYTER_MLOPS_ALLOW_PRIVATE_URLS"
    )

    @classmethod
    def load(
        cls,
        home: Path | None = None,
        environment: Mapping[str, str] | None = None,
        **given: Any,
    ) -> Settings:
        """Gather the settings of the workspace whose folder is `home`.

        Raises
        ------
        Invalid
            A setting's value doesn't fit, or the settings file names an unknown one.
        """
        settings = cls()
        environment = os.environ if environment is None else environment
        for name, value in (_read_file(home) if home else {}).items():
            settings._assign(name, value, f"{name} in settings.json")
        for name, trait in cls.class_traits(env=lambda env: env is not None).items():
            variable = str(trait.metadata["env"])
            if variable in environment:
                settings._assign(name, environment[variable], f"the variable {variable}")
        for name, value in given.items():
            settings._assign(name, value, name)
        if not settings.user:
            settings.user = environment.get("JUPYTERHUB_USER") or _login_name()
        return settings

    def _assign(self, name: str, value: Any, where: str) -> None:
        traits: dict[str, TraitType[Any, Any]] = self.traits()
        if name not in traits:
            raise Invalid(
                f"{name!r} is no setting ({where})",
                fix=closest(name, traits) or f"the settings are {', '.join(sorted(traits))}",
                code="E-SETTINGS-001",
            )
        try:
            trait = traits[name]
            setattr(
                self,
                name,
                trait.from_string(value) if isinstance(value, str) else value,
            )
        except (TraitError, ValueError) as error:
            # traitlets repeats the value in its message, and a secret is shown to nobody.
            secret = traits[name].metadata.get("secret")
            raise Invalid(
                f"{where} can't be {'that' if secret else repr(value)}",
                "it takes text" if secret else str(error),
                code="E-SETTINGS-002",
            ) from None

    def shown(self) -> dict[str, Any]:
        """Every setting's value for people to see, secret ones as ``***``."""
        return {
            name: "***" if trait.metadata.get("secret") and getattr(self, name) else value
            for name, trait in sorted(self.traits(env=lambda env: env is not None).items())
            for value in [getattr(self, name)]
        }


def _read_file(home: Path) -> dict[str, Any]:
    path = home / "settings.json"
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it isn't an object of names and values")
    except (OSError, ValueError) as error:
        raise Invalid(
            f"{path} can't be read", str(error), "mend or remove it", code="E-SETTINGS-003"
        ) from None
    return found


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container user without a passwd entry
        return f"uid-{os.getuid()}" if hasattr(os, "getuid") else "unknown"
