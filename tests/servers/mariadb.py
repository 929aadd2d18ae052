"""A MariaDB server of the tests' own."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pymysql

__all__ = ["MariaDB"]


class MariaDB:
    """A server reached through a socket in a folder of its own.

    Parameters
    ----------
    folder : Path
        Where it keeps everything.
    server : Path
        The program ``mariadbd``.
    """

    user = "mlops"
    password = "correct horse"

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder = folder
        self.server = server
        self.socket = folder / "socket"
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        # MariaDB refuses to run as root.
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(folder, "nobody", "nogroup")

    def create(self) -> None:
        """Make the system tables, and a user with a password."""
        script = shutil.which("mariadb-install-db") or "mariadb-install-db"
        command = [script, "--no-defaults", f"--datadir={self.folder / 'data'}"]
        command += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        command += ["--innodb-log-file-size=8M", "--innodb-buffer-pool-size=16M"]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self._as)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "datadir": self.folder / "data",
            "socket": self.socket,
            "pid-file": self.folder / "pid",
            "innodb-buffer-pool-size": "32M",
            "innodb-log-file-size": "8M",
            "character-set-server": "utf8mb4",
            # Only a power cut needs the disk's word, and the tests make none.
            "innodb-flush-log-at-trx-commit": "0",
        }
        command = [str(self.server), "--no-defaults", "--skip-networking", "--skip-log-bin"]
        command += [f"--{name}={value}" for name, value in options.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                preexec_fn=_end_with_parent,
                start_new_session=True,
                **self._as,
            )
        deadline = time.monotonic() + 90
        while True:
            try:
                self.run("SELECT 1")
                break
            except pymysql.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    said = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise AssertionError(f"MariaDB did not start: {error}\n{said}") from None
                time.sleep(0.05)
        self.run(f"CREATE USER IF NOT EXISTS {self.user}@localhost IDENTIFIED BY '{self.password}'")

    def kill(self) -> None:
        """End the server as a power cut does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(60)
            self._process = None

    def run(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run statements as the administrator; the last one's rows."""
        connection = pymysql.connect(
            unix_socket=str(self.socket), user="root", database=database, autocommit=True
        )
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def new_database(self, *statements: str) -> str:
        """Make a database that the user may read; its name."""
        self._made += 1
        name = f"shop_{self._made}"
        self.run(f"CREATE DATABASE {name}", f"GRANT ALL ON {name}.* TO {self.user}@localhost")
        if statements:
            self.run(*statements, database=name)
        return name

    def uri(self, database: str, named: str = "") -> str:
        """A source's URI; the password is the secret MARIADB_PASSWORD."""
        options = f"?unix_socket={self.socket}"
        address = f"mariadb://{self.user}:secret:MARIADB_PASSWORD@localhost/{database}{options}"
        return f"{address}#{named}" if named else address


def _end_with_parent() -> None:
    # A test run that is killed leaves no server behind: PR_SET_PDEATHSIG is 1, prctl(2).
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
