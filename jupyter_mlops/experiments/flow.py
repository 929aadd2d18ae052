"""Which names a cell takes from the notebook: those it may read before it has bound them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

__all__ = ["free_names"]


def free_names(tree: ast.Module) -> frozenset[str]:
    """Names that the code may read from what was there before it ran, builtins included.

    Statements are followed in order. Both arms of an ``if`` must bind a name for it to be
    bound afterwards; loops and ``with`` count as entered. What functions read is looked up
    when they are called, so only names that the code never binds are free in them.

    Examples
    --------
    >>> sorted(free_names(ast.parse("X = rows.drop('y')\\nmodel = fit(X)")))
    ['fit', 'rows']
    """
    flow = _Flow()
    flow.run(tree.body)
    return frozenset(flow.free | (flow.late - flow.ever))


class _Flow(ast.NodeVisitor):
    """Walks statements in the order in which they run."""

    def __init__(self) -> None:
        self.bound: set[str] = set()
        self.ever: set[str] = set()
        self.free: set[str] = set()
        self.late: set[str] = set()

    def run(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def bind(self, name: str) -> None:
        self.bound.add(name)
        self.ever.add(name)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.bind(node.id)
        elif isinstance(node.ctx, ast.Del):
            self.bound.discard(node.id)
        elif node.id not in self.bound:
            self.free.add(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.run([node.value, *node.targets])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.run([node.annotation, node.value])
        if node.value is not None:
            self.visit(node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id not in self.bound:
            self.free.add(node.target.id)
        self.run([node.value, node.target])

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.run([node.value, node.target])

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self.bind(alias.asname or alias.name.partition(".")[0])

    visit_ImportFrom = visit_Import

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.run([node.iter, node.target, *node.body, *node.orelse])

    visit_AsyncFor = visit_For

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._arms([node.body, node.orelse])

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        # Without a case that takes all, none may run.
        self._arms([[case] for case in node.cases] + [[]])

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self.run([node.pattern])
        if node.name is not None:
            self.bind(node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name is not None:
            self.bind(node.name)

    def visit_Try(self, node: ast.Try) -> None:
        before = set(self.bound)
        self.run([*node.body, *node.orelse])
        after = set(self.bound)
        for handler in node.handlers:
            # The error may have come before the body bound anything.
            self.bound = set(before)
            if handler.name is not None:
                self.bind(handler.name)
            self.run([handler.type, *handler.body])
            if not _leaves(handler.body):
                after &= self.bound
        self.bound = after
        self.run(node.finalbody)

    visit_TryStar = visit_Try  # type: ignore[assignment]

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.run(node.decorator_list)
        self._signature(node.args)
        self.bind(node.name)
        self._deferred(node.args, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._signature(node.args)
        self._deferred(node.args, [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.run([*node.decorator_list, *node.bases, *node.keywords])
        outside, ever = set(self.bound), set(self.ever)
        self.run(node.body)
        # What a class body binds are attributes.
        self.bound, self.ever = outside, ever
        self.bind(node.name)

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> None:
        self._comprehension(node.generators, [node.elt])

    visit_SetComp = visit_ListComp
    visit_GeneratorExp = visit_ListComp

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node.generators, [node.key, node.value])

    def _arms(self, arms: Sequence[Sequence[ast.AST]]) -> None:
        before = set(self.bound)
        ends: list[set[str]] = []
        for arm in arms:
            self.bound = set(before)
            self.run(arm)
            if not _leaves(arm):
                ends.append(self.bound)
        self.bound = set.intersection(*ends) if ends else before

    def _comprehension(self, generators: list[ast.comprehension], results: list[ast.expr]) -> None:
        outside, ever = set(self.bound), set(self.ever)
        for one in generators:
            self.run([one.iter, one.target, *one.ifs])
        self.run(results)
        self.bound, self.ever = outside, ever

    def _signature(self, args: ast.arguments) -> None:
        self.run([*args.defaults, *args.kw_defaults])

    def _deferred(self, args: ast.arguments, body: Sequence[ast.AST]) -> None:
        inner = _Flow()
        every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
        inner.bound = {one.arg for one in every if one is not None}
        inner.run(body)
        declared = {
            name
            for node in body
            for found in ast.walk(node)
            if isinstance(found, ast.Global)
            for name in found.names
        }
        # A function's own names are local even where it reads them before binding them.
        self.late |= {
            name for name in inner.free | inner.late if name not in inner.ever or name in declared
        }


def _leaves(body: Sequence[ast.AST]) -> bool:
    """Whether a block ends the cell, so that what follows never runs after it."""
    return bool(body) and isinstance(body[-1], ast.Raise)
