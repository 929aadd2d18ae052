"""The extension itself: its settings, its routes, and what it does in the background."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Float, Int, Unicode

from jupyter_mlops.server.served import ServedWorkspace
from jupyter_mlops.server.watcher import Watcher

__all__ = ["EVENT_SCHEMA", "MLOpsApp"]

EVENT_SCHEMA = Path(__file__).parent / "events" / "event.yaml"


class MLOpsApp(ExtensionApp):
    """jupyter-mlops in Jupyter Server.

    The settings below may stand in ``jupyter_server_config.py`` as ``c.MLOpsApp.…`` or on
    the command line as ``--MLOpsApp.…``. No workspace is made because a server starts: it
    appears with the first command that keeps something.
    """

    name = "jupyter_mlops"
    load_other_extensions = True

    workspace = Unicode(
        "",
        help="""
        Folder of the workspace. Empty: the environment variable JUPYTER_MLOPS_WORKSPACE, else
        the nearest folder from the server's root upwards that holds one, else the server's root.
        """,
    ).tag(config=True)
    start_agent = Bool(
        True,
        help="Start the workspace's agent, which keeps endpoints running, when there is need.",
    ).tag(config=True)
    event_interval = Float(
        0.3,
        min=0.05,
        help="Seconds between two looks at the workspace's log for news to tell browsers.",
    ).tag(config=True)
    threads = Int(8, min=1, help="Commands that run at the same time.").tag(config=True)
    body_limit = Int(8 << 20, min=1024, help="Bytes accepted in one request.").tag(config=True)

    def initialize_settings(self) -> None:
        """Set up what the routes need. Nothing is opened yet: a server must start quickly."""
        assert self.serverapp is not None
        self.served = ServedWorkspace(
            Path(self.serverapp.root_dir), self.workspace, self.serverapp.contents_manager
        )
        self.served.tell_kernels()
        self.executor = ThreadPoolExecutor(self.threads, "mlops")
        logger = self.serverapp.event_logger
        assert logger is not None
        logger.register_event_schema(EVENT_SCHEMA)
        self.watcher = Watcher(
            self.served,
            emit=logger.emit,
            settings=self.serverapp.web_app.settings,
            log=self.log,
            interval=self.event_interval,
            start_agent=self.start_agent,
        )

    def initialize_handlers(self) -> None:
        """Add the routes."""
        from jupyter_mlops.server.routes import handlers

        self.handlers.extend(handlers())

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        self.watcher.start()

    async def stop_extension(self) -> None:
        """Stop what runs in the background; the agent goes on as long as it is needed."""
        self.watcher.stop()
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.served.close()
