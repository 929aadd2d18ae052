"""A PostgreSQL server of the tests' own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg

from servers.ports import Program, unprivileged

__all__ = ["PostgreSQL"]


class PostgreSQL:
    """A server reached through a socket in a folder of its own.

    Parameters
    ----------
    folder : Path
        Where it keeps everything; a socket's path must be short.
    programs : Path
        The folder of ``initdb`` and ``postgres``.
    **settings : str
        Settings of the server that go before those below.
    """

    port = 5432

    def __init__(self, folder: Path, programs: Path, **settings: str) -> None:
        self.folder = folder
        self.programs = programs
        self._made = 0
        self._as = unprivileged(folder)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": folder,
            # Only a power cut needs the disk's word, and the tests make none.
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "64MB",
            "max_connections": "100",
            **settings,
        }
        command = [str(programs / "postgres"), "-D", str(folder / "data"), "-p", str(self.port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        self._program = Program(command, folder / "log", self._ask, self._as)
        self.start = self._program.start
        self.stop = self._program.stop

    def create(self) -> None:
        """Make the files of a server that trusts its socket's users."""
        command = [self.programs / "initdb", "-D", self.folder / "data", "-U", "mlops"]
        command += ["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self._as)

    def address(self, database: str) -> str:
        """What libpq needs to find a database."""
        return f"host={self.folder} port={self.port} user=mlops dbname={database}"

    def new_database(self) -> str:
        """Make an empty database; its SQLAlchemy URL."""
        self._made += 1
        name = f"store_{self._made}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return f"postgresql://mlops@/{name}?host={self.folder}&port={self.port}"

    def _ask(self) -> None:
        psycopg.connect(self.address("postgres"), connect_timeout=20).close()
