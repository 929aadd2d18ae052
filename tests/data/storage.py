"""An S3 server in a process of its own, and a web server that counts what it sends."""

from __future__ import annotations

import ctypes
import os
import pickle
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

_SERVER = """
import pickle, sys, threading
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

account = "123456789012"
store = s3_backends[account]["aws"]
# What is listed here is there before the server is, so a restart shows no moment without it.
for name, content in pickle.loads(open(sys.argv[1], "rb").read()).items():
    bucket, _, key = name.partition("/")
    if bucket not in store.buckets:
        store.create_bucket(bucket, "us-east-1")
    # moto reckons an ETag when it is first asked for, from a buffer that a second request may be
    # reading: two at once have made one that no content has.
    store.put_object(bucket, key, content).etag
users = iam_backends[account]["aws"]
users.create_user("us-east-1", "nobody")
key = users.create_access_key("nobody")
server = ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[2]), verbose=False)
server.start()
print(server.get_host_and_port()[1], key.access_key_id, key.secret_access_key, flush=True)
threading.Event().wait()
"""


class S3:
    """moto's server: what it holds survives a kill, as a real store's disk does."""

    def __init__(self, folder: Path, guarded: bool = False) -> None:
        self.file = folder / "objects.pickle"
        self.objects: dict[str, bytes] = {}
        self.port = _free_port()
        self.guarded = guarded
        self.user: tuple[str, str] = ("", "")
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def options(self) -> str:
        """What a URI needs to reach it."""
        return f"?endpoint_url={self.url}&key=secret:S3_ID&secret=secret:S3_KEY&region=us-east-1"

    def start(self) -> None:
        """Start it where it was, and wait until it answers."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it where it was; a server's parent is the thread that starts it."""
        self.file.write_bytes(pickle.dumps(self.objects))
        count = {"INITIAL_NO_AUTH_ACTION_COUNT": "0"} if self.guarded else {}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(self.file), str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | count,
            preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL),
        )

    def wait(self) -> None:
        """Wait until it answers."""
        assert self._process is not None
        assert self._process.stdout is not None
        while True:
            words = self._process.stdout.readline().split()
            assert words, "moto's server did not start"
            if words[0].isdigit():
                break
        self.port = int(words[0])
        self.user = (words[1], words[2])
        with socket.create_connection(("127.0.0.1", self.port), timeout=30):
            pass

    def put(self, name: str, content: bytes | None) -> None:
        """Write an object while the server runs, or remove it."""
        import s3fs

        client = s3fs.S3FileSystem(key="x", secret="x", endpoint_url=self.url)
        if content is None:
            client.rm_file(name)
        else:
            client.pipe_file(name, content)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


def _free_port() -> int:
    # Out of the range that outgoing connections take theirs from: while the server is away, a
    # client that tries again and again could otherwise occupy the port, or even meet itself.
    for port in random.Random(time.time_ns()).sample(range(20_000, 32_000), 100):
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Web(ThreadingHTTPServer):
    """Files by path, with or without byte ranges, and how many bytes were sent of them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.ranges = True
        self.sent = 0
        self.redirects: dict[str, str] = {}
        self.failures = 0
        self.authorization: list[str | None] = []
        self.queries: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Web
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.server.authorization.append(self.headers.get("Authorization"))
        self.server.queries.append(query)
        if self.server.failures:
            self.server.failures -= 1
            self._say(503, b"busy")
        elif path in self.server.redirects:
            self.send_response(302)
            self.send_header("Location", self.server.redirects[path])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path not in self.server.files:
            self._say(404, b"nothing here")
        else:
            self._file(path)

    def _file(self, path: str) -> None:
        content = self.server.files[path]
        asked = self.headers.get("Range", "")
        heads = {"Content-Type": self.server.types.get(path, "application/octet-stream")}
        if asked.startswith("bytes=") and self.server.ranges:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(content) - 1) + 1, len(content))
            heads["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
            self._say(206, content[start:end], heads)
        else:
            self._say(200, content, heads)

    def _say(self, status: int, body: bytes, heads: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (heads or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
            self.server.sent += len(body)
        except ConnectionError:  # who asked for the first byte only has gone
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def web_server() -> Iterator[Web]:
    server = Web()
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
