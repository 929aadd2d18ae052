"""A connection to JetStream that outlives restarts, and consumers that leave nothing behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from jupyter_mlops.data.sources.streams.addresses import Address
from jupyter_mlops.workspace.errors import Conflict, Denied, Unavailable

__all__ = ["Consumer", "Server"]

_T = TypeVar("_T")


class Consumer:
    """A consumer on the server, for as long as the connection that made it."""

    def __init__(self, name: str, stream: str, pending: int, subscription: Any) -> None:
        self.name = name
        self.stream = stream
        self.pending = pending
        self.subscription = subscription
        self.broken = False


class Server:
    """A connection in a thread of its own: a notebook's event loop is busy with its cell."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.jetstream: Any = None
        self._connection: Any = None
        self._consumers: list[Consumer] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Take the consumers away and end the connection."""
        with suppress(Exception):
            self._await(self._leave(), 1)
        with suppress(Exception):
            self._await(_end_tasks(self._connection), 1)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2)
        if not self._thread.is_alive():
            self._loop.close()

    def ask(self, question: Any, patient: bool = True) -> Any:
        """The server's answer, also after a restart; its refusals as a sentence."""
        from nats import errors as nats
        from nats.js import errors as js

        deadline = time.monotonic() + (3 * self.address.timeout if patient else 0)
        while True:
            try:
                if self._connection is None or not self._connection.is_connected:
                    self._connect()
                return self._await(question())
            except js.NotFoundError:
                raise
            except (js.NoStreamResponseError, js.ServiceUnavailableError, nats.NoRespondersError):
                # A server that starts again answers before it has found its streams.
                if time.monotonic() >= deadline:
                    raise Unavailable(
                        f"{self.address.places} has no JetStream",
                        "it is off, or this user may not use it",
                        "start nats-server with -js, or get the right to read the stream",
                        code="E-STREAM-057",
                    ) from None
            except js.APIError as error:
                raise Unavailable(
                    f"{self.address.places} can't give the stream",
                    self.address.scrub(error.description or str(error)),
                    "check the URI and your rights to the stream",
                    code="E-STREAM-058",
                ) from None
            except (nats.Error, OSError, TimeoutError, Unavailable) as error:
                if time.monotonic() >= deadline:
                    raise (
                        error
                        if isinstance(error, Unavailable)
                        else self.silent(str(error) or type(error).__name__)
                    ) from None
            time.sleep(0.05)

    def pending(self, stream: str, subject: str | None, **start: Any) -> int:
        """How many messages there are from a place on."""
        consumer = self.consumer(stream, subject, **start)
        self.ask(lambda: self._forget(consumer))
        return consumer.pending

    def consumer(self, stream: str, subject: str | None, **start: Any) -> Consumer:
        """Make a consumer that begins at a number or a time."""
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
        from nats.js.errors import NotFoundError

        by_time = "opt_start_time" in start
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_TIME
            if by_time
            else DeliverPolicy.BY_START_SEQUENCE,
            ack_policy=AckPolicy.NONE,
            filter_subject=subject,
            inactive_threshold=60,
            mem_storage=True,
            num_replicas=1,
            **start,
        )

        async def make() -> Consumer:
            info = await self.jetstream.add_consumer(stream, config)
            subscription = await self.jetstream.pull_subscribe_bind(
                consumer=info.name, stream=stream
            )
            return Consumer(info.name, stream, info.num_pending, subscription)

        try:
            made: Consumer = self.ask(make)
        except NotFoundError:
            raise Conflict(
                f"the stream {stream!r} was removed while it was read",
                fix="check how it is stored, and what removed it",
                code="E-STREAM-060",
            ) from None
        self._consumers.append(made)
        return made

    def fetch(self, consumer: Consumer, count: int) -> list[Any]:
        """Some messages that are there; none, and a broken consumer, when the server went."""
        from nats import errors as nats

        try:
            wait = min(1.0, self.address.timeout)
            found: list[Any] = self._await(consumer.subscription.fetch(count, timeout=wait))
        except (nats.Error, OSError, TimeoutError):
            # They are there, so silence means that the server, or this consumer on it, is gone.
            consumer.broken = True
            return []
        consumer.pending = found[-1].metadata.num_pending if found else 0
        return found

    def _await(self, awaitable: Coroutine[Any, Any, _T], timeout: float | None = None) -> _T:
        running = asyncio.run_coroutine_threadsafe(awaitable, self._loop)
        try:
            return running.result(timeout or 2 * self.address.timeout)
        except BaseException:
            running.cancel()
            raise

    async def _forget(self, consumer: Consumer) -> None:
        self._consumers.remove(consumer)
        await consumer.subscription.unsubscribe()
        await self.jetstream.delete_consumer(consumer.stream, consumer.name)

    async def _leave(self) -> None:
        from nats import errors as nats

        if self._connection is not None and self._connection.is_connected:
            for consumer in list(self._consumers):
                with suppress(nats.Error):  # it goes by itself when it isn't used
                    await self._forget(consumer)

    def _connect(self) -> None:
        import nats
        from nats import errors

        address = self.address
        told: list[Exception] = []

        async def tell(error: Exception) -> None:
            told.append(error)

        secure: dict[str, Any] = {}
        if "ca" in address.options:
            import ssl

            secure["tls"] = ssl.create_default_context(cafile=address.options["ca"])
        if "creds" in address.options:
            secure["user_credentials"] = address.options["creds"]
        if "token" in address.options:
            secure["token"] = address.settings()["token"]
        if address.user is not None:
            secure |= {"user": address.user, "password": address.revealed()}

        async def connect() -> Any:
            return await nats.connect(
                servers=[f"nats://{host}" for host in address.hosts],
                name="jupyter-mlops",
                connect_timeout=max(1, int(address.timeout)),
                allow_reconnect=False,
                max_reconnect_attempts=1,  # fewer would mean for ever
                reconnect_time_wait=0.05,
                error_cb=tell,
                **secure,
            )

        for consumer in self._consumers:
            consumer.broken = True
        self._consumers.clear()
        try:
            self._connection = self._await(connect(), address.timeout)
        except (errors.Error, OSError, TimeoutError) as error:
            reason = next((e for e in told if str(e)), error)
            if "uthorization" in str(reason) or "uthorization" in str(error):
                raise Denied(
                    f"{address.places} refuses the credentials",
                    address.scrub(str(reason)),
                    "check the user and the secret",
                    code="E-STREAM-014",
                ) from None
            raise self.silent(str(reason) or type(reason).__name__) from None
        self.jetstream = self._connection.jetstream(timeout=address.timeout)

    def silent(self, reason: str) -> Unavailable:
        """The sentence for a server that doesn't answer."""
        return Unavailable(
            f"{self.address.places} doesn't answer",
            self.address.scrub(reason),
            "check that the server runs and can be reached; timeout=SECONDS in the URI's options "
            "waits longer",
            code="E-STREAM-013",
        )


async def _end_tasks(connection: Any) -> None:
    """Close a connection, and end what a client that was cut off left running."""
    if connection is not None:
        with suppress(TimeoutError):
            await asyncio.wait_for(connection.close(), 0.5)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
