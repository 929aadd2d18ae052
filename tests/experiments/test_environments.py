"""Environments of one's own: real uv, a real index, tiny packages."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from ast import literal_eval
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from jupyter_mlops.experiments import environments
from jupyter_mlops.experiments.environments import kernels, making, wishes
from jupyter_mlops.experiments.environments.ourselves import ourselves
from jupyter_mlops.experiments.environments.refusals import explain, missing_package
from jupyter_mlops.experiments.environments.resolving import EXCHANGED, Lock
from jupyter_mlops.experiments.environments.turns import turn
from jupyter_mlops.experiments.environments.uv import Uv
from jupyter_mlops.experiments.surroundings import Environment
from jupyter_mlops.verbs.progress import Shown, shown_by
from jupyter_mlops.verbs.table import find as verb
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import (
    Conflict,
    Denied,
    Invalid,
    MLOpsError,
    NotFound,
    Unavailable,
    Workspace,
)

#: A process of its own that makes an environment, and says how that went.
MAKE = """
import sys
from jupyter_mlops.experiments import environments
from jupyter_mlops.workspace import MLOpsError, Workspace
ws = Workspace.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    made = environments.create(ws, "tiny", add=sys.argv[2:], bare=True)
    print("made", *made.notes, flush=True)
except MLOpsError as error:
    print("refused", error, flush=True)
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache on the disk where the environments are, with what most tests install."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(folder))
        ws = Workspace.open(tmp_path_factory.mktemp("first"))
        environments.create(ws, "first", add=["six", "idna==3.7"], bare=True)
        environments.create(ws, "second", add=["idna==3.10"], bare=True)
    return folder


@pytest.fixture
def lab(ws: Workspace, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose environments come from that cache, and whose folder is the current one."""
    monkeypatch.setenv("UV_CACHE_DIR", str(cache))
    monkeypatch.chdir(ws.root)
    return ws


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Path]:
    """A copy of the environment that runs these tests, and where its kernel is."""
    prefix = tmp_path_factory.mktemp("prefix")
    ws = Workspace.open(tmp_path_factory.mktemp("copied"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "_prefix", lambda ws: prefix)
        environments.create(ws, "copy", source="this")
    return ws, prefix


def packages_in(python: Path) -> Path:
    (found,) = python.parents[1].glob("lib/python3*/site-packages")
    return found


def folders(ws: Workspace) -> list[str]:
    home = ws.home / "environments"
    return sorted(one.name for one in home.iterdir() if not one.name.startswith("."))


def kinds(ws: Workspace) -> list[str]:
    return [event.kind for event in ws.events() if event.kind.startswith("env.")]


def test_requirements_beside_the_notebook_become_a_locked_environment(lab: Workspace) -> None:
    notebook = lab.root / "deep" / "study.ipynb"
    notebook.parent.mkdir()
    notebook.write_text("{}")
    notebook.with_name("requirements.txt").write_text("six\nidna<3.8\n")
    made = verb("env create")(
        lab, name="tiny", namespace={"__session__": str(notebook)}, from_="requirements", bare=True
    )
    assert [one.partition("==")[0] for one in made.packages] == ["idna", "six"]
    assert made.packages[0] == "idna==3.7"
    lock = lab.artifacts.read_bytes(f"environments/{made.lock}.txt")
    assert hashlib.sha256(lock).hexdigest() == made.lock
    assert lock.count(b"--hash=sha256:") >= 4  # each has a wheel and an sdist
    python = environments.interpreter(lab, "env:tiny")
    told = [python, "-c", "import six, idna, sys; print(idna.__version__, sys.prefix)"]
    assert subprocess.check_output(told, text=True).split() == ["3.7", made.folder]
    assert kinds(lab) == ["env.created"]
    (event,) = lab.events(kind="env.created")
    assert event.payload["lock"] == made.lock
    assert event.outputs == (f"env:{environments.digest_of(python)}",)
    assert made.digest == environments.digest_of(python)
    assert environments.find(lab, "tiny") == made


def test_files_are_linked_from_the_cache_and_the_disk_used_is_told(
    lab: Workspace, cache: Path
) -> None:
    made = environments.create(lab, "tiny", add=["six"], bare=True, offline=True)
    file = packages_in(environments.interpreter(lab, "tiny")) / "six.py"
    inodes = {one.stat().st_ino for one in cache.rglob("six.py")}
    assert file.stat().st_ino in inodes
    assert file.stat().st_size < made.size - made.own_size
    # Copies share nothing.
    os.environ["UV_LINK_MODE"] = "copy"
    try:
        alone = environments.create(lab, "alone", add=["six"], bare=True, offline=True)
    finally:
        del os.environ["UV_LINK_MODE"]
    assert alone.own_size == alone.size == made.size
    text = mimebundle(made)["text/plain"]
    assert f"{made.own_size / 1024:.0f} KiB of its own, {made.size / 1024:.0f} KiB in all" in text


def test_a_conflict_is_one_sentence_before_anything_is_made(lab: Workspace) -> None:
    (lab.root / "requirements.txt").write_text("idna==3.7\n")
    with pytest.raises(Conflict, match=r"you require idna==3\.10 and idna==3\.7") as caught:
        verb("env create")(lab, name="tiny", from_="requirements", add=["idna==3.10"], bare=True)
    assert caught.value.code == "E-ENV-003"
    assert "\n" not in str(caught.value)
    with pytest.raises(Conflict, match=r"jupyter-mlops==\S+ depends on pandas>=\S+, and you"):
        environments.create(lab, "tiny", add=["pandas<2"])
    with pytest.raises(NotFound, match="'tiny' can't have six==99"):
        environments.create(lab, "tiny", add=["six==99"], bare=True)
    (lab.root / "bad.txt").write_text("six >\n")
    with pytest.raises(Invalid, match=r"can't be read: Couldn't parse requirement in `bad\.txt`"):
        environments.create(lab, "tiny", file="bad.txt", bare=True)
    assert folders(lab) == []
    assert kinds(lab) == []
    assert len(environments.list_environments(lab)) == 0


def test_without_a_network_it_says_what_still_works(
    lab: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    with pytest.raises(Unavailable, match=r"six was not found in the cache.*leave --offline out"):
        environments.create(lab, "tiny", add=["six"], bare=True, offline=True)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://ada:pass-word@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(Unavailable, match=r"the package index doesn't answer.*--offline") as caught:
        environments.create(lab, "tiny", add=["six"], bare=True)
    assert "pass-word" not in str(caught.value)


@pytest.mark.usefixtures("database")
def test_locking_again_takes_what_is_new_and_tells_it(lab: Workspace) -> None:
    file = lab.root / "requirements.txt"
    file.write_text("idna==3.7\nsix\n")
    first = environments.create(lab, "tiny", source="requirements", bare=True)
    assert environments.lock(lab, "tiny") == first
    assert kinds(lab) == ["env.created"]
    file.write_text("idna==3.10\nsix\n")
    second = environments.lock(lab, "tiny", offline=True)
    assert second.changes == ("idna 3.7 → 3.10",)
    assert (second.lock != first.lock, second.made_at) == (True, first.made_at)
    assert folders(lab) == [Path(second.folder).name]
    assert kinds(lab) == ["env.created", "env.locked"]
    assert lab.events(kind="env.locked")[0].payload["before"] == first.lock
    # What can't be resolved leaves it as it was.
    file.write_text("idna==3.10\nidna==3.7\n")
    with pytest.raises(Conflict):
        environments.lock(lab, "tiny", offline=True)
    assert environments.interpreter(lab, "tiny").is_relative_to(second.folder)
    file.unlink()
    assert any("is gone" in note for note in environments.lock(lab, "tiny", offline=True).notes)


def test_what_was_installed_by_hand_is_found_and_undone(lab: Workspace) -> None:
    made = environments.create(lab, "tiny", add=["six"], bare=True, offline=True)
    python = environments.interpreter(lab, "tiny")
    (packages_in(python) / "by_hand-1.0.dist-info").mkdir()
    checked = environments.check(lab, "tiny")
    assert not checked.ok
    assert "It was changed after it was made (by-hand – → 1.0)" in checked.problems[0]
    assert "env lock tiny" in mimebundle(checked)["text/plain"]
    environments.lock(lab, "tiny", offline=True)
    assert environments.check(lab, "tiny").problems == ()
    assert environments.find(lab, "tiny").lock == made.lock


def test_a_project_and_another_file(lab: Workspace) -> None:
    project = '[project]\nname = "p"\nversion = "1"\ndependencies = ["idna<3.8"]\n'
    (lab.root / "pyproject.toml").write_text(project)
    made = verb("env create")(
        lab, name="p", from_="pyproject", add=["six>1", "<2"], bare=True, offline=True
    )
    assert made.packages[0] == "idna==3.7"
    assert made.added == ("six>1,<2",)
    with pytest.raises(NotFound, match=r"no other\.txt: looked in .*name it with --file"):
        environments.create(lab, "q", file="other.txt")
    with pytest.raises(Invalid, match="nothing says what 'q' consists of"):
        environments.create(lab, "q")
    with pytest.raises(Invalid, match=r"'--index-url=x' is no package"):
        environments.create(lab, "q", add=["--index-url=x"])
    with pytest.raises(Invalid, match="--python can't be 'three'"):
        environments.create(lab, "q", add=["six"], python="three")


@pytest.fixture
def private_index() -> Iterator[str]:
    """An index that has one package, for whoever knows the password; its host and port."""
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        info = "own_thing-1.0.dist-info"
        archive.writestr("own_thing.py", "answer = 42\n")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: own-thing\nVersion: 1.0\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"own_thing.py,,\n{info}/RECORD,,\n")
    name = "own_thing-1.0-py3-none-any.whl"
    digest = hashlib.sha256(wheel.getvalue()).hexdigest()
    pages = {
        "/simple/own-thing/": (
            "text/html",
            f'<a href="/{name}#sha256={digest}">{name}</a>'.encode(),
        ),
        f"/{name}": ("application/zip", wheel.getvalue()),
    }
    known = "Basic " + base64.b64encode(b"ada:pass-word").decode()

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.headers.get("Authorization") == known
            kind, content = pages.get(self.path, ("text/plain", b""))
            self.send_response((200 if content else 404) if allowed else 401)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content) if allowed else 0))
            self.end_headers()
            if allowed and self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_passwords_of_an_index_are_used_and_not_kept(
    lab: Workspace, private_index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lab.root / "requirements.txt").write_text(
        f"--index-url http://ada:pass-word@{private_index}/simple\nown-thing\n"
    )
    made = environments.create(lab, "tiny", source="requirements", bare=True)
    assert made.packages == ("own-thing==1.0",)
    lock = lab.artifacts.read_bytes(f"environments/{made.lock}.txt").decode()
    assert f"--index-url http://***@{private_index}/simple" in lock
    assert "pass-word" not in lock + json.dumps(made.plan) + str(lab.events())
    # Made again from the lock it asks the same index, whose password is in a place of its own.
    shutil.rmtree(made.folder)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ada password pass-word\n")
    with pytest.raises(Denied, match="index says 401 Unauthorized; give its name and password"):
        environments.create(lab, "tiny")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert environments.create(lab, "tiny").packages == made.packages


def test_removing_gives_back_the_disk_and_keeps_the_lock(lab: Workspace) -> None:
    made = environments.create(lab, "tiny", add=["six"], bare=True, offline=True)
    removed = verb("env remove")(lab, name="tiny")
    assert (removed.freed, folders(lab)) == (made.own_size, [])
    assert lab.artifacts.exists(f"environments/{made.lock}.txt")
    assert kinds(lab) == ["env.created", "env.removed"]
    for use in (environments.interpreter, environments.check, environments.remove):
        with pytest.raises(NotFound, match="no environment is called 'tiny'"):
            use(lab, "tiny")


def test_one_that_is_gone_is_made_again_from_its_lock(lab: Workspace) -> None:
    made = environments.create(lab, "tiny", add=["idna==3.7"], bare=True, offline=True)
    shutil.rmtree(made.folder)
    with pytest.raises(Unavailable, match="is gone or broken; `env create tiny` makes it again"):
        environments.interpreter(lab, "tiny")
    again = environments.create(lab, "tiny", offline=True)
    assert (again.lock, again.packages) == (made.lock, made.packages)
    with pytest.raises(Conflict, match="called 'tiny' already"):
        environments.create(lab, "tiny", add=["six"], bare=True)
    # A lock that somebody changed isn't used.
    shutil.rmtree(made.folder)
    lab.artifacts.write_bytes(f"environments/{made.lock}.txt", b"# Python 3 on x\nsix==1.16.0\n")
    with pytest.raises(Conflict, match="isn't the one that was recorded"):
        environments.create(lab, "tiny", offline=True)


def started(ws: Workspace, *packages: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE, str(ws.root), *packages],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_killed_at_any_moment_it_is_whole_or_not_there(lab: Workspace) -> None:
    chance = random.Random(20261128)
    seen = set()
    for _ in range(5):
        with started(lab, "six", "idna==3.7") as process:
            assert process.stdin is not None
            print(file=process.stdin, flush=True)
            try:
                process.wait(chance.uniform(0.02, 0.35))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        try:
            python = environments.interpreter(lab, "tiny")
        except (NotFound, Unavailable) as error:
            seen.add(type(error))
            continue
        assert environments.check(lab, "tiny").problems == ()
        subprocess.check_call([python, "-c", "import six, idna"])
        environments.remove(lab, "tiny")
    assert seen
    made = environments.create(lab, "tiny", add=["six", "idna==3.7"], bare=True, offline=True)
    assert folders(lab) == [Path(made.folder).name]
    assert environments.check(lab, "tiny").problems == ()


@pytest.fixture
def stuck(lab: Workspace) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A process that makes an environment, and its uv, which waits for an answer for ever."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{port}/simple")
            process = started(lab, "never-seen-package")
        with process:
            assert process.stdin is not None
            print(file=process.stdin, flush=True)
            silent.accept()  # uv asks, and gets no answer
            (child,) = psutil.Process(process.pid).children()
            yield process, child
            for one in (process, child):
                if one.is_running() if isinstance(one, psutil.Process) else one.poll() is None:
                    one.kill()


def test_an_interrupt_ends_all_that_was_started(
    lab: Workspace, stuck: tuple[subprocess.Popen[str], psutil.Process]
) -> None:
    process, child = stuck
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    assert not child.is_running()
    assert folders(lab) == []


def test_while_an_orphan_works_nobody_else_begins(
    lab: Workspace, stuck: tuple[subprocess.Popen[str], psutil.Process]
) -> None:
    process, child = stuck
    process.kill()
    process.wait(60)
    assert child.is_running()
    with pytest.raises(Conflict, match="by another process"), turn(lab, "tiny", longest=0.2):
        pass
    child.kill()
    with turn(lab, "tiny", longest=10) as held:
        assert held.descriptor > 2


def test_a_file_that_is_not_what_its_hash_says_is_not_installed(
    lab: Workspace, tmp_path: Path
) -> None:
    text = f"# Python 3\nsix==1.17.0 \\\n    --hash=sha256:{'0' * 64}\n"
    with pytest.raises(Unavailable, match=r"Hash mismatch for `six==1\.17\.0`"):
        making.make(Uv.found(), "tiny", Lock(sys.executable, text), tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()


def test_a_half_made_one_is_never_used(lab: Workspace) -> None:
    half = lab.home / "environments" / "tiny-0123abcd" / "bin"
    half.mkdir(parents=True)
    (half / "python").symlink_to(sys.executable)
    with pytest.raises(Unavailable, match="isn't finished"):
        environments.interpreter(lab, "tiny")
    made = environments.create(lab, "tiny", add=["six"], bare=True, offline=True)
    assert folders(lab) == [Path(made.folder).name]


def test_two_that_make_one_name_take_turns(lab: Workspace) -> None:
    both = [started(lab, "six"), started(lab, "six")]
    for process in both:
        assert process.stdin is not None
        print(file=process.stdin, flush=True)
    said = sorted(process.communicate(timeout=60)[0].splitlines()[-1] for process in both)
    # The one that came second was told, whether it waited or came when all was done.
    assert said[0].startswith("made It is no kernel")
    assert "Another process made it meanwhile" in said[1] or "already" in said[1]
    assert kinds(lab) == ["env.created"]
    assert environments.check(lab, "tiny").problems == ()


def test_whoever_waits_too_long_is_told(lab: Workspace) -> None:
    with turn(lab, "tiny"), pytest.raises(Conflict, match="by another process"):
        with turn(lab, "tiny", longest=0.1):
            pass


def test_what_does_not_fit_is_said_before_anything_starts(lab: Workspace) -> None:
    environments.create(lab, "tiny", add=["idna==3.7"], bare=True, offline=True)
    fits = environments.check_fits
    assert fits(lab, "tiny", {"idna": "3.7", "python": sys.version.split()[0]}) == []
    assert fits(lab, "tiny", {"python": "3.99.1"}) == [
        f"Python is {sys.version.split()[0]} in env:tiny and 3.99.1 here, and code pickled by one"
        " can't be read by the other: make it again with --python 3.99."
    ]
    (missing,) = fits(lab, "tiny", {"distributed": "2026.8.0"})
    assert missing.startswith("distributed isn't in env:tiny, and 2026.8.0 is needed: make it")
    (other,) = fits(lab, "env:tiny", {"idna": "3.10"})
    assert other == (
        "idna is 3.7 in env:tiny and 3.10 here, and the versions must agree: make it again with"
        " --add idna==3.10."
    )
    # Without jupyter-mlops nothing else needs to be said.
    (ours,) = fits(lab, "tiny")
    assert "jupyter-mlops isn't in env:tiny" in ours
    # Patch releases of these read each other's pickles, and of the scheduler's don't speak.
    there = packages_in(environments.interpreter(lab, "tiny"))
    for package, version in (("numpy", "2.1.0"), ("pandas", "3.0.1"), ("dask", "2026.8.0")):
        folder = there / f"{package}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: {package}\nVersion: {version}\n")
    needs = {"numpy": "2.4.6", "pandas": "3.0.6", "dask": "2026.8.1"}
    (told,) = fits(lab, "tiny", needs)
    assert told.startswith("dask is 2026.8.0 in env:tiny and 2026.8.1 here, and its workers must")


def test_a_copy_says_what_it_cannot_have(lab: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    here = ("gone @ file:///gone/x.whl", "idna==3.7", "nobody-has-this-thing==1.0", "six==1.17.0")
    listed = Environment("3.11", "x", (*here, "jupyter-mlops @ file:///x"))
    monkeypatch.setattr(wishes, "environment", lambda: listed)
    made = environments.create(lab, "copy", source="this", bare=True)
    assert made.packages == ("idna==3.7", "six==1.17.0")
    assert made.notes[:2] == (
        "gone was installed from /gone/x.whl, which is gone: it was left out.",
        "No index has nobody-has-this-thing==1.0: it was left out.",
    )
    text = mimebundle(made)["text/plain"]
    assert "No index has nobody-has-this-thing==1.0" in text


def test_a_copy_of_this_runs_trials_with_the_digest_it_says(
    copied: tuple[Workspace, Path], tmp_path: Path
) -> None:
    ws, _ = copied
    made = environments.find(ws, "copy")
    assert any("jupyter-mlops is the checkout" in one or "was copied" in one for one in made.notes)
    assert environments.check_fits(ws, "copy") == []
    assert set(EXCHANGED) < {one.partition("==")[0] for one in made.packages}
    script = """
import sys
from pathlib import Path
from jupyter_mlops import experiments
from jupyter_mlops.experiments.environments.ourselves import ourselves
from jupyter_mlops.experiments import training
from jupyter_mlops.workspace import Workspace
training.send_later = lambda ws: None
ws = Workspace.open(sys.argv[1])
try:
    # What runs is recorded before it runs; a model would take seconds of imports.
    experiments.train(ws, "inside", "1 / 0", freeze=None)
except ZeroDivisionError:
    print(experiments.runs(ws)[0].environment)
print(ourselves().pack(Path(sys.argv[2])).parent.name)
"""
    python = environments.interpreter(ws, "copy")
    command = [python, "-c", script, str(ws.root), str(tmp_path)]
    digest, wheel = subprocess.check_output(command, cwd=ws.root, text=True).split()[-2:]
    assert digest == made.digest
    # jupyter-mlops there is what it is here, so an environment made from there has it too.
    assert wheel == ourselves().pack(tmp_path).parent.name
    assert environments.check(ws, "copy").ok


def test_a_copy_is_a_kernel_that_finds_its_workspace(
    copied: tuple[Workspace, Path], tmp_path: Path
) -> None:
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import KernelManager

    ws, prefix = copied
    made = environments.find(ws, "copy")
    place = str(prefix / "share" / "jupyter" / "kernels")
    specs = KernelSpecManager(kernel_dirs=[place], ensure_native_kernel=False)
    assert specs.get_kernel_spec(made.kernel).display_name == "copy (jupyter-mlops)"
    manager = KernelManager(kernel_name=made.kernel, kernel_spec_manager=specs)
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(60)
        code = "import sys; from jupyter_mlops.workspace import Workspace\n"
        code += "found = str(Workspace.open().root), sys.prefix"
        answer = client.execute(code, user_expressions={"found": "found"}, reply=True, timeout=60)
        found = answer["content"]["user_expressions"]["found"]["data"]["text/plain"]
        assert literal_eval(found) == (str(ws.root), made.folder)
        with pytest.raises(Conflict, match=r"a process runs in it \(\d+\); stop its kernels"):
            environments.remove(ws, "copy")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert making.users_of(Path(made.folder)) == []
    removed = environments.remove(ws, "copy")
    assert removed.kernel == made.kernel
    assert specs.find_kernel_specs() == {}


def test_its_kernel_goes_where_the_server_looks(
    lab: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ours, when we may write there; this user's, when not or when we run in such an environment.
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert kernels._prefix(lab) == tmp_path
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert kernels._prefix(lab) is None
    monkeypatch.undo()
    monkeypatch.setattr(sys, "prefix", str(lab.home / "environments" / "tiny-0123abcd"))
    assert kernels._prefix(lab) is None
    # A kernel of somebody else's is never removed.
    (tmp_path / "kernel.json").write_text(json.dumps({"argv": [sys.executable]}))
    assert not kernels.remove_kernel(str(tmp_path), lab.home / "environments")
    assert (tmp_path / "kernel.json").exists()


def test_whoever_waits_is_told_what_is_done(lab: Workspace) -> None:
    told: list[Shown] = []
    with shown_by(told.append):
        verb("env create")(lab, name="tiny", add=["six"], bare=True, offline=True)
    assert [one.done for one in told] == [0, 1, 2]
    assert told[1].line == "tiny: installing 1 package (step 2 of 4, 0 s)"
    assert "Step: 2 of 4: installing 1 package" in mimebundle(told[1])["text/plain"]


def test_every_look_is_short_and_static(lab: Workspace) -> None:
    made = environments.create(lab, "tiny", add=["six"], bare=True, offline=True)
    shown = {
        "environment": verb("env show")(lab, name="tiny"),
        "environments": verb("env ls")(lab),
        "environment-check": verb("env check")(lab, name="tiny"),
    }
    for kind, result in shown.items():
        bundle = mimebundle(result)
        assert len(bundle["text/plain"].splitlines()) <= 15
        assert "<script" not in bundle["text/html"]
        assert bundle[f"application/vnd.jupyter-mlops.{kind}.v1+json"]["kind"] == kind
    line = mimebundle(shown["environments"])["text/plain"].splitlines()[-1]
    for part in ("env:tiny", made.python, made.lock[:12], made.actor):
        assert part in line


def test_uv_in_one_sentence() -> None:
    chain = """error: No solution found when resolving dependencies
  cause: Because only ours==1 is available and ours==1 depends on b{sys_platform == 'x'}>2, we \
can conclude that all versions of ours depend on b>2.
         And because you require ours and b<2, we can conclude that it is unsatisfiable.

hint: something else"""
    error = explain(chain, "tiny")
    assert error.why == "ours==1 depends on b>2, and you require ours and b<2"
    assert missing_package(chain) is None
    assert isinstance(error, MLOpsError)
    error = explain("error: Failed to build `a==1`\n  cause: no compiler", "tiny")
    assert str(error) == "uv can't make 'tiny': Failed to build `a==1`: no compiler [E-ENV-006]"
