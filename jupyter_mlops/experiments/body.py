"""A cell's body: what it reads and binds, and running it so that its tracebacks show its lines."""

from __future__ import annotations

import ast
import builtins
import dis
import linecache
import random
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jupyter_mlops.experiments.digests import Budget, ValueDigest, digest_value
from jupyter_mlops.experiments.flow import free_names
from jupyter_mlops.experiments.localcode import codes_of
from jupyter_mlops.workspace import Invalid

__all__ = ["Body", "free_variables"]


@dataclass(frozen=True)
class Body:
    """A parsed body.

    Attributes
    ----------
    source : str
        As it was written.
    tree : ast.Module
    reads : frozenset of str
        Global names that it or a function in it looks up, builtins included.
    free : frozenset of str
        Those that it may take from the notebook, see `free_names`.
    binds : frozenset of str
        Global names that it assigns, imports, defines or loops over.
    """

    source: str
    tree: ast.Module
    reads: frozenset[str]
    free: frozenset[str]
    binds: frozenset[str]
    filename: str

    @classmethod
    def parse(cls, source: str, name: str, namespace: Mapping[str, Any] | None = None) -> Body:
        """Read the body of the cell `name`.

        Raises
        ------
        Invalid
            The body is empty.
        SyntaxError
            It isn't Python; the error carries the cell's line.
        """
        if not source.strip():
            raise Invalid(
                "the cell has no body to train with",
                fix="write the training code below the %%mlops line",
                code="E-TRAIN-001",
            )
        text = plain_python(source, namespace or {})
        filename = f"<cell train {name}>"
        # With no modification time linecache never drops or re-reads the entry.
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        tree = ast.parse(text, filename)
        reads, binds = _globals_of(compile(tree, filename, "exec"))
        return cls(source, tree, frozenset(reads), free_names(tree), frozenset(binds), filename)

    @property
    def mentions(self) -> frozenset[str]:
        """Every global name in the body, read or bound."""
        return self.reads | self.binds

    def run(self, namespace: dict[str, Any], seed: int) -> None:
        """Run the body in `namespace` after seeding `random` and NumPy's global generator."""
        __tracebackhide__ = True  # IPython then shows the user's frames only
        random.seed(seed)
        np.random.seed(seed)
        code = compile(self.tree, self.filename, "exec", dont_inherit=True)
        namespace.setdefault("__builtins__", builtins)
        exec(code, namespace)  # noqa: S102  running the user's cell is what this is for


def free_variables(
    body: Body, namespace: Mapping[str, Any], skip: frozenset[str] = frozenset()
) -> dict[str, ValueDigest]:
    """Digest what the body takes from the notebook, and what the functions among it take.

    Functions defined in the notebook bring their own globals along as
    ``function.name``.

    Parameters
    ----------
    body : Body
    namespace : mapping
        The notebook's names before the body runs.
    skip : frozenset of str
        Names already accounted for otherwise, such as a dataset by its reference.

    Returns
    -------
    dict
        Name to digest, sorted by name so that the byte budget is spent in the same order.
    """
    found: dict[str, ValueDigest] = {}
    budget = Budget()
    waiting = {name: name for name in body.free}
    seen: set[str] = set()
    while waiting:
        path = min(waiting)
        name = waiting.pop(path)
        if name in seen or name in skip or name not in namespace or name.startswith("__"):
            continue
        seen.add(name)
        value = namespace[name]
        if is_machinery(name):
            continue
        found[path] = digest_value(value, budget)
        for code in codes_of(value):
            inner, _ = _globals_of(code)
            waiting.update({f"{path}.{reads}": reads for reads in inner})
    return dict(sorted(found.items()))


def is_machinery(name: str) -> bool:
    """IPython's own names, which are different in every session and mean nothing."""
    shell = name in {"get_ipython", "In", "Out", "exit", "quit", "open", "display"}
    return shell or (name.startswith("_") and name.strip("_idho0123456789") == "")


def _globals_of(code: types.CodeType) -> tuple[set[str], set[str]]:
    """Names a code object, with those nested in it, loads from and stores in the globals."""
    reads: set[str] = set()
    binds: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in {"LOAD_NAME", "LOAD_GLOBAL"}:
            reads.add(str(instruction.argval))
        elif instruction.opname == "STORE_GLOBAL" or (
            # A class body stores its attributes by name too; those are not globals.
            instruction.opname == "STORE_NAME" and code.co_name == "<module>"
        ):
            binds.add(str(instruction.argval))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner_reads, inner_binds = _globals_of(constant)
            reads |= inner_reads
            binds |= inner_binds
    return reads, binds


def plain_python(source: str, namespace: Mapping[str, Any]) -> str:
    """Turn `!command` and `%magic` lines into Python the way the notebook itself would."""
    shell = namespace.get("get_ipython")
    transform: Callable[[str], str] | None = getattr(
        shell() if callable(shell) else None, "transform_cell", None
    )
    return transform(source) if transform is not None else source
