"""A Redis server of the tests' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import redis as client

from servers.ports import Program, free_port

__all__ = ["Redis"]


class Redis:
    """A server that keeps what it acknowledged in a folder.

    Parameters
    ----------
    folder : Path
        Where it keeps everything.
    server : Path
        The program ``redis-server``.
    """

    user = "reader"
    password = "correct horse"

    def __init__(self, folder: Path, server: Path) -> None:
        self.port = free_port()
        # An option's words are words of a configuration line, quoted as there.
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(folder),
            "save": '""',
            "appendonly": "yes",
            "appendfsync": "always",
            "user": f'{self.user} on ">{self.password}" ~* +@read +@connection',
        }
        config = folder / "redis.conf"
        config.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
        self.program = Program([str(server), str(config)], folder / "log", self._ping)

    def connect(self) -> Any:
        """A connection of somebody who may write."""
        return client.Redis(port=self.port, protocol=2)

    def add(self, stream: str, entries: list[dict[str, Any]], ids: list[str] | None = None) -> None:
        """Write entries to a stream."""
        with self.connect() as connection, connection.pipeline() as pipe:
            for place, entry in enumerate(entries):
                pipe.xadd(stream, entry, id=ids[place] if ids else "*")
            pipe.execute()

    def uri(self, stream: str, options: str = "") -> str:
        """A source's URI; the password is the secret REDIS_PASSWORD."""
        return f"redis://{self.user}:secret:REDIS_PASSWORD@127.0.0.1:{self.port}/0/{stream}?timeout=5{options}"

    def _ping(self) -> None:
        with self.connect() as connection:
            connection.ping()
