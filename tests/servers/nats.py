"""A NATS server of the tests' own, with JetStream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import nats as client

from servers.ports import Program, free_port

__all__ = ["Nats"]


class Nats:
    """A server that keeps its streams in a folder.

    Parameters
    ----------
    folder : Path
        Where it keeps everything.
    server : Path
        The program ``nats-server``.
    """

    user = "reader"
    password = "correct horse"

    def __init__(self, folder: Path, server: Path) -> None:
        self.port = free_port()
        config = folder / "nats.conf"
        config.write_text(
            f"""
            host: "127.0.0.1"
            port: {self.port}
            jetstream {{ store_dir: {json.dumps(str(folder))} }}
            authorization {{ users: [
                {{ user: "anyone", password: "anything" }}
                {{ user: {json.dumps(self.user)}, password: {json.dumps(self.password)} }}
            ] }}
            no_auth_user: "anyone"
            """
        )
        self.program = Program(
            [str(server), "-c", str(config)], folder / "log", lambda: self.run(_ready)
        )

    def run(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        """Do something with JetStream, as somebody who may write."""

        async def connected() -> Any:
            async def quiet(error: Exception) -> None:
                pass

            connection = await client.connect(
                f"nats://127.0.0.1:{self.port}",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0.02,
                error_cb=quiet,
            )
            try:
                return await work(connection.jetstream())
            finally:
                await connection.close()

        return asyncio.run(connected())

    def add(self, stream: str, messages: list[tuple[str, Any]], **config: Any) -> None:
        """Write messages, each with its subject, to a stream that is made when it isn't there."""

        async def write(jetstream: Any) -> None:
            await jetstream.add_stream(name=stream, subjects=[f"{stream.lower()}.>"], **config)
            for place, (subject, payload) in enumerate(messages):
                data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
                await jetstream.publish_async(subject, data)
                if place % 200 == 199:
                    await jetstream.publish_async_completed()
            await jetstream.publish_async_completed()

        self.run(write)

    def uri(self, stream: str, options: str = "") -> str:
        """A source's URI; the password is the secret NATS_PASSWORD."""
        return f"nats://{self.user}:secret:NATS_PASSWORD@127.0.0.1:{self.port}/{stream}?timeout=5{options}"


async def _ready(jetstream: Any) -> None:
    await jetstream.account_info()
