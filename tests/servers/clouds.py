"""Google's and Azure's object storage, as their emulators speak it on this machine."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from servers.ports import Program, free_port

__all__ = ["Azurite", "FakeGCS"]


class _Cloud:
    """An emulator in memory, with the bucket or container ``lake``."""

    kind: str
    #: What the URIs name, and what the secrets hold.
    secrets: dict[str, str]
    program: Program

    def __init__(self) -> None:
        self.port = free_port()

    @property
    def options(self) -> str:
        """What a URI needs to reach it."""
        raise NotImplementedError

    def client(self) -> Any:
        """A client of somebody who may write."""
        raise NotImplementedError

    def start(self, objects: dict[str, bytes]) -> None:
        """Start it, and fill it."""
        self.program.start()
        client = self.client()
        client.mkdir("lake")
        for name, content in objects.items():
            client.pipe_file(name, content)

    def put(self, name: str, content: bytes | None) -> None:
        """Write an object, or remove it."""
        if content is None:
            self.client().rm_file(name)
        else:
            self.client().pipe_file(name, content)

    def uri(self, path: str, options: str | None = None) -> str:
        """The URI of a path."""
        return f"{self.kind}://{path}{self.options if options is None else options}"

    def _answers(self) -> None:
        socket.create_connection(("127.0.0.1", self.port), timeout=10).close()


class FakeGCS(_Cloud):
    """fake-gcs-server, which takes every token for a right one.

    Parameters
    ----------
    folder : Path
        For its log.
    server : Path
        The program.
    """

    kind = "gs"
    secrets = {"GCS_TOKEN": "ya29.hunter2-of-google"}  # noqa: RUF012

    def __init__(self, folder: Path, server: Path) -> None:
        super().__init__()
        command = [str(server), "-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port)]
        command += ["-backend", "memory", "-public-host", f"127.0.0.1:{self.port}"]
        self.program = Program(command, folder / "log", self._answers)

    @property
    def options(self) -> str:
        """With an access token."""
        return f"?endpoint_url=http://127.0.0.1:{self.port}&project=p&token=secret:GCS_TOKEN"

    def client(self) -> Any:
        """One that asks as nobody."""
        from gcsfs.core import GCSFileSystem

        url = f"http://127.0.0.1:{self.port}"
        return GCSFileSystem(token="anon", project="p", endpoint_url=url, use_listings_cache=False)


class Azurite(_Cloud):
    """Microsoft's Azurite, with the account that it always has.

    Parameters
    ----------
    folder : Path
        For its log.
    server : Path
        The program ``azurite-blob``.
    """

    kind = "az"
    account = "devstoreaccount1"
    #: Published by Microsoft for everybody's tests.
    secrets = {  # noqa: RUF012
        "AZURE_KEY": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/"
        "KBHBeksoGMGw=="
    }

    def __init__(self, folder: Path, server: Path) -> None:
        super().__init__()
        command = [str(server), "--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
        # The client may be newer than the server.
        command += ["--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck"]
        self.program = Program(command, folder / "log", self._answers)
        self.url = f"http://127.0.0.1:{self.port}/{self.account}"

    @property
    def options(self) -> str:
        """With the account's key."""
        who = f"account_name={self.account}&account_key=secret:AZURE_KEY"
        return f"?endpoint_url={self.url}&{who}"

    @property
    def connection_string(self) -> str:
        """As Azure's portal gives it to people."""
        key = self.secrets["AZURE_KEY"]
        return f"AccountName={self.account};AccountKey={key};BlobEndpoint={self.url}"

    def client(self) -> Any:
        """One of the account's owner."""
        from adlfs import AzureBlobFileSystem

        return AzureBlobFileSystem(connection_string=self.connection_string)
