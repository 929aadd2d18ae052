"""The modules beside the notebook that a cell uses: found by imports, fixed by file digest."""

from __future__ import annotations

import ast
import dis
import hashlib
import site
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

__all__ = [
    "codes_of", "files_of", "imported_names", "is_installed", "local_files", "local_modules"
]  # fmt: skip

LIMIT = 500


def local_modules(tree: ast.AST, namespace: Mapping[str, Any]) -> dict[str, str]:
    """Digest the files of every module beside the notebook that code can reach.

    Modules of Python itself and of installed packages are left out: the environment's
    listing fixes those. Files are read, never imported.

    Parameters
    ----------
    tree : ast.AST
        The cell.
    namespace : mapping
        Where its names are looked up: a module, or a function of a module, counts as used, and
        so does what the notebook's own functions and classes among them use.

    Returns
    -------
    dict
        Module name to the SHA-256 of its file, sorted by name.
    """
    return {
        name: hashlib.sha256(content).hexdigest()
        for name, (_, content) in _reachable(tree, namespace).items()
    }


def local_files(tree: ast.AST, namespace: Mapping[str, Any]) -> dict[str, Path]:
    """The files of the modules that `local_modules` digests, by module name."""
    return {name: path for name, (path, _) in _reachable(tree, namespace).items()}


def files_of(modules: Iterable[str]) -> dict[str, Path]:
    """The files of those of the modules that are beside the notebook, and of what they import."""
    return {name: path for name, (path, _) in _found(list(modules)).items()}


def codes_of(value: Any) -> list[CodeType]:
    """The code of a notebook's own function, or of the methods of its class or an object's."""
    owner = getattr(value, "__module__", None)
    if not isinstance(owner, str) or is_installed(owner):
        return []
    value = value if isinstance(value, type) else getattr(value, "__wrapped__", value)
    if isinstance(value, FunctionType):
        return [value.__code__]
    kind = value if isinstance(value, type) else type(value)
    members = [getattr(m, "__func__", m) for m in vars(kind).values()]
    return [m.__code__ for m in members if hasattr(m, "__code__")]


def _reachable(tree: ast.AST, namespace: Mapping[str, Any]) -> dict[str, tuple[Path, bytes]]:
    """Modules beside the notebook that code can reach: their files and content, by name."""
    modules = list(imported_names(tree))
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    looked_up: set[str] = set()
    while names:
        name = names.pop()
        if name in looked_up or name not in namespace:
            continue
        looked_up.add(name)
        value = namespace[name]
        owner = (
            value.__name__
            if isinstance(value, ModuleType)
            else getattr(value, "__module__", None) or getattr(type(value), "__module__", None)
        )
        if isinstance(owner, str):
            modules.append(owner)
        for code in codes_of(value):
            _look_into(code, names, modules)
    return _found(modules)


def _look_into(code: CodeType, names: list[str], modules: list[str]) -> None:
    """Add the global names that code looks up, and the modules that it imports."""
    package = ""
    for step in dis.get_instructions(code):
        if step.opname in {"LOAD_NAME", "LOAD_GLOBAL"}:
            names.append(str(step.argval))
        elif step.opname == "IMPORT_NAME":
            package = str(step.argval)
            modules.append(package)
        elif step.opname == "IMPORT_FROM":
            modules.append(f"{package}.{step.argval}")
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _look_into(constant, names, modules)


def _found(waiting: list[str]) -> dict[str, tuple[Path, bytes]]:
    found: dict[str, tuple[Path, bytes]] = {}
    seen: set[str] = set()
    while waiting and len(found) < LIMIT:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        path = _local_file(name)
        if path is None:
            continue
        try:
            content = path.read_bytes()
            inner = ast.parse(content)
        except (OSError, SyntaxError):
            continue  # importing it fails in the cell itself, with a better message
        found[name] = path, content
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        waiting.extend(imported_names(inner, package))
    return dict(sorted(found.items()))


def imported_names(tree: ast.AST, package: str = "") -> Iterable[str]:
    """The modules that `import` statements anywhere in the code may mean."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if package else []
            root = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            origin = ".".join(part for part in (root, node.module or "") if part)
            if origin:
                yield origin
                # `from package import name` may mean a submodule.
                yield from (f"{origin}.{alias.name}" for alias in node.names)


@cache
def is_installed(module: str) -> bool:
    """Whether a module belongs to Python or to an installed package; unknown ones don't."""
    top = module.partition(".")[0]
    if top == "__main__":
        return False  # the notebook itself, whichever program it runs in
    if top in sys.builtin_module_names or top in sys.stdlib_module_names:
        return True
    path = _file(top)
    return path is not None and _below(path, _library_folders())


def _local_file(name: str) -> Path | None:
    path = _file(name)
    if path is None or path.suffix != ".py" or _below(path, _library_folders()):
        return None
    return None if name.partition(".")[0] == "jupyter_mlops" else path


def _file(name: str) -> Path | None:
    module = sys.modules.get(name)
    origin = getattr(module, "__file__", None)
    if origin is None and module is None:
        parent = name.rpartition(".")[0]
        # find_spec imports the parents of a dotted name; only look where that has happened.
        if parent and parent not in sys.modules:
            return _beside(name)
        try:
            spec: ModuleSpec | None = find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return None
        origin = spec.origin if spec and spec.has_location else None
    return Path(origin).resolve() if origin else None


def _beside(name: str) -> Path | None:
    """The file of a dotted module whose package isn't imported yet."""
    top, _, rest = name.partition(".")
    package = _file(top)
    if package is None or package.name != "__init__.py":
        return None
    stem = package.parent.joinpath(*rest.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _library_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {*site.getsitepackages(), site.getusersitepackages()}
    return tuple(Path(folder).resolve() for folder in folders)


def _below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
