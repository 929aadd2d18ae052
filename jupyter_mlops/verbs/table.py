"""The command table: one typed function is a magic, a command, a Python call and a REST route.

A verb's first parameter is the workspace. Its other parameters are positional
arguments, or flags where they are keyword-only; their types say how text becomes a
value, and the NumPy-style docstring says what they mean.
"""

from __future__ import annotations

import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = [
    "Body",
    "Data",
    "File",
    "Namespace",
    "Parameter",
    "Rest",
    "Verb",
    "all_verbs",
    "find",
    "verb",
]

Data = Annotated[Any, "data"]
"""A dataset's name or reference, a URI, or a pandas or polars frame."""
File = Annotated[str, "file"]
"""A file that is read or written; over HTTP one of those that the file browser shows."""
Rest = Annotated[str, "rest"]
"""All words that are left on the line, as one text; the last argument of its verb."""
Body = Annotated[str, "body"]
"""The cell below the magic, ``--file`` or standard input of the command."""
Namespace = Annotated[dict[str, Any], "namespace"]
"""The kernel's variables: handed in by the magic, never an argument."""

Kind = Literal[
    "text",
    "integer",
    "number",
    "switch",
    "choice",
    "list",
    "data",
    "file",
    "rest",
    "body",
    "namespace",
]
_KINDS: dict[Any, Kind] = {str: "text", int: "integer", float: "number", bool: "switch"}
_INFRASTRUCTURE = {"table", "line", "facade", "glance", "place", "progress", "reference"}
_VERBS: dict[str, Verb] = {}

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Parameter:
    """One argument or flag of a verb.

    `name` is what a person writes, in a line, in JSON and in a URL; `keyword` is how the function
    calls it, with an underscore where Python keeps the word for itself (``as_``).
    """

    name: str
    kind: Kind
    flag: bool
    required: bool
    default: Any
    choices: tuple[str, ...]
    help: str
    keyword: str

    @property
    def option(self) -> str:
        """How the flag is written, e.g. ``--window``."""
        return "--" + self.name.replace("_", "-")

    def parse(self, text: str) -> Any:
        """Make the value that a written argument means."""
        try:
            if self.kind == "integer":
                return int(text)
            if self.kind == "number":
                return float(text)
            if self.kind == "list":
                return [part.strip() for part in text.split(",") if part.strip()]
            if self.kind == "switch":
                return {"true": True, "false": False}[text.lower()]
        except (ValueError, KeyError):
            raise self._misfit(text) from None
        return self.check(text)

    def check(self, value: Any) -> Any:
        """Return `value` if it fits, as JSON or Python hands it over; else raise `Invalid`."""
        if value is None and not self.required:
            return None
        if self.kind == "data":
            return value
        if self.kind == "list" and isinstance(value, str):
            return self.parse(value)
        if self.kind == "list" and isinstance(value, list | tuple):
            # JSON's lists may hold anything where names are meant; numbers can be names.
            if any(isinstance(one, bool) or not isinstance(one, str | Real) for one in value):
                raise self._misfit(value)
            return [str(one) for one in value]
        # NumPy's numbers register as these, and frames are full of them.
        if self.kind == "number" and isinstance(value, Real) and not isinstance(value, bool):
            return float(value)
        if self.kind == "integer" and isinstance(value, Integral) and not isinstance(value, bool):
            return int(value)
        wanted: dict[str, type] = {"integer": int, "number": float, "switch": bool, "list": list}
        expected = wanted.get(self.kind, str)
        if self.kind == "namespace":
            expected = dict
        if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
            raise self._misfit(value)
        if self.choices and value not in self.choices:
            raise self._misfit(value)
        return value

    def _misfit(self, value: Any) -> Invalid:
        wanted = {
            "integer": "a whole number",
            "number": "a number",
            "switch": "true or false",
            "list": "names separated by commas",
            "choice": f"one of {', '.join(self.choices)}",
        }.get(self.kind, "text")
        # A frame's own text is a page of numbers.
        plain = value is None or isinstance(value, str | int | float | list | tuple | dict)
        shown = repr(value) if plain else f"of type {type(value).__name__}"
        error = Invalid(
            f"{self.label} can't be {shown if len(shown) < 80 else shown[:77] + '…'}",
            f"it takes {wanted}",
            closest(value, self.choices) if isinstance(value, str) and self.choices else "",
            code="E-VERB-003",
        )
        error.fields[self.name] = f"it takes {wanted}"
        return error

    @property
    def label(self) -> str:
        """How the parameter is called in a message: ``--flag`` or ``NAME``."""
        return self.option if self.flag else self.name.upper()

    def schema(self) -> dict[str, Any]:
        """The parameter as JSON Schema."""
        types: dict[Kind, dict[str, Any]] = {
            "integer": {"type": "integer"},
            "number": {"type": "number"},
            "switch": {"type": "boolean"},
            "list": {"type": "array", "items": {"type": "string"}},
            "choice": {"type": "string", "enum": list(self.choices)},
        }
        schema = dict(types.get(self.kind, {"type": "string"}))
        schema["description"] = self.help
        if not self.required and self.default is not None:
            schema["default"] = self.default
        return schema


@dataclass(frozen=True)
class Verb:
    """One entry of the table."""

    name: str
    function: Callable[..., Any]
    writes: bool
    isolated: bool
    anywhere: bool = False

    @property
    def slug(self) -> str:
        """The name in a URL: ``data-add``."""
        return self.name.replace(" ", "-")

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """What can be given, the workspace left out."""
        helps = self._docs["parameters"]
        scope = vars(sys.modules[self.function.__module__])
        found = list(inspect.signature(self.function).parameters.values())[1:]
        return tuple(_read(one, scope, helps.get(one.name, "")) for one in found)

    @property
    def arguments(self) -> tuple[Parameter, ...]:
        """The parameters a person may write."""
        return tuple(one for one in self.parameters if one.kind not in {"body", "namespace"})

    @property
    def body(self) -> Parameter | None:
        """The parameter that takes the cell's body, if the verb has one."""
        return next((one for one in self.parameters if one.kind == "body"), None)

    @property
    def summary(self) -> str:
        """The docstring's first sentence."""
        return str(self._docs["summary"])

    @property
    def description(self) -> str:
        """The docstring's text below the first sentence."""
        return str(self._docs["description"])

    @property
    def examples(self) -> str:
        """The docstring's examples."""
        return str(self._docs["examples"])

    @property
    def usage(self) -> str:
        """One line: ``data add NAME SOURCE [--key KEY]``."""
        words = [self.name]
        for one in self.arguments:
            if not one.flag:
                label = one.label + (" …" if one.kind == "rest" else "")
                words.append(label if one.required else f"[{label}]")
            elif one.kind == "switch":
                words.append(f"[{one.option}]")
            else:
                value = "|".join(one.choices) if one.choices else one.name.upper()
                text = f"{one.option} {value}"
                words.append(text if one.required else f"[{text}]")
        return " ".join(words)

    def bind(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Check arguments given by name, and name them as the function does.

        Raises
        ------
        Invalid
            One is unknown, missing or of the wrong type.
        """
        known = {one.name: one for one in self.parameters}
        # Python callers write `as_`, everybody else `as`.
        spelled = {one.keyword: one.name for one in self.parameters if one.name not in given}
        named: dict[str, Any] = {}
        for name, value in given.items():
            plain = spelled.get(name, name)
            if plain not in known:
                raise Invalid(
                    f"`{self.name}` takes no {name!r}",
                    fix=closest(name, known) or f"usage: {self.usage}",
                    code="E-VERB-001",
                )
            named[plain] = value
        for one in self.parameters:
            if one.required and one.name not in named and one.kind != "namespace":
                raise Invalid(
                    f"`{self.name}` needs {'a cell body' if one.kind == 'body' else one.label}",
                    fix=f"usage: {self.usage}",
                    code="E-VERB-002",
                )
        # JSON says null for what is left out.
        told = {
            name: value
            for name, value in named.items()
            if value is not None or known[name].required
        }
        bound = {known[name].keyword: known[name].check(value) for name, value in told.items()}
        for one in self.parameters:
            if one.kind == "namespace":
                bound.setdefault(one.keyword, {})
        return bound

    def __call__(self, workspace: Any, **given: Any) -> Any:
        """Run the verb; its result can show itself."""
        __tracebackhide__ = True
        result = self.function(workspace, **self.bind(given))
        import_module("jupyter_mlops.views")
        return result

    @cached_property
    def _docs(self) -> dict[str, Any]:
        from docstring_parser import DocstringStyle, parse

        text = inspect.getdoc(self.function) or ""
        docs = parse(text, style=DocstringStyle.NUMPYDOC)
        _, _, examples = text.partition("Examples\n--------\n")
        return {
            "summary": docs.short_description or "",
            "description": docs.long_description or "",
            "parameters": {
                one.arg_name: " ".join((one.description or "").split()) for one in docs.params
            },
            "examples": examples.strip(),
        }


def verb(
    name: str, *, writes: bool = False, isolated: bool = False, anywhere: bool = False
) -> Callable[[Function], Function]:
    """Enter a function into the table.

    Parameters
    ----------
    name : str
        One or two words: ``profile``, ``data add``.
    writes : bool
        Whether it changes anything; a verb that doesn't may be asked by GET.
    isolated : bool
        Whether it runs a person's code, which a server must leave to a process of its own.
    anywhere : bool
        Whether it works where no workspace is, or none that opens. Its first argument is a
        function that opens it (`jupyter_mlops.verbs.place.Opener`).
    """

    def enter(function: Function) -> Function:
        if name in _VERBS and _VERBS[name].function.__module__ != function.__module__:
            raise RuntimeError(f"two modules define the verb {name!r}")
        _VERBS[name] = Verb(name, function, writes, isolated, anywhere)
        return function

    return enter


def all_verbs() -> dict[str, Verb]:
    """Every verb by its name, sorted."""
    package = import_module("jupyter_mlops.verbs")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name not in _INFRASTRUCTURE:
            import_module(f"jupyter_mlops.verbs.{module.name}")
    return dict(sorted(_VERBS.items()))


def find(name: str) -> Verb:
    """The verb of that name, written with spaces or dashes.

    Raises
    ------
    Invalid
        There is none; the error names the closest.
    """
    verbs = all_verbs()
    slugs = {one.slug: one for one in verbs.values()}
    found = verbs.get(name) or slugs.get(name)
    if found is None:
        raise Invalid(
            f"{name!r} is no command",
            fix=closest(name, verbs) or "`%mlops help` lists them all",
            code="E-VERB-004",
        )
    return found


def _read(found: inspect.Parameter, scope: dict[str, Any], help: str) -> Parameter:
    annotation = found.annotation
    if isinstance(annotation, str):
        # Annotations are strings here, and names under TYPE_CHECKING can't be resolved:
        # parameters other than the workspace use builtins and this module's names alone.
        annotation = eval(annotation, dict(scope))  # noqa: S307  our own source text
    required = found.default is inspect.Parameter.empty
    default = None if required else found.default
    if get_origin(annotation) in {Union, UnionType}:
        annotation = next(one for one in get_args(annotation) if one is not NoneType)
    kind, choices = _kind(annotation, found.name)
    flag = found.kind is inspect.Parameter.KEYWORD_ONLY
    name = found.name.removesuffix("_")
    return Parameter(name, kind, flag, required, default, choices, help, found.name)


def _kind(annotation: Any, name: str) -> tuple[Kind, tuple[str, ...]]:
    origin = get_origin(annotation)
    if origin is Annotated:
        marker: Kind = get_args(annotation)[1]
        return marker, ()
    if origin is Literal:
        return "choice", tuple(str(one) for one in get_args(annotation))
    if origin is list:
        return "list", ()
    if annotation in _KINDS:
        return _KINDS[annotation], ()
    raise TypeError(f"a verb's parameter can't be {annotation!r} ({name})")
