"""How environments look."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.experiments.environments.checking import EnvironmentCheck
from jupyter_mlops.experiments.environments.named import (
    NamedEnvironment,
    NamedEnvironments,
    RemovedEnvironment,
)
from jupyter_mlops.experiments.environments.stages import Stage
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Column,
    Fact,
    Facts,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.cells import time_text
from jupyter_mlops.views.params import bytes_text
from jupyter_mlops.views.registry import look

__all__ = [
    "check_view",
    "environment_view",
    "environments_view",
    "removed_view",
    "stage_view",
]

DIGITS = 12
#: The lines of a kernel's or a lock's notes that fit above the packages.
NOTES = 8
_SOURCES = {
    "this": "the running interpreter",
    "requirements": "requirements",
    "pyproject": "a project",
    "packages": "packages",
}


@look(NamedEnvironment)
def environment_view(result: NamedEnvironment) -> View:
    """One environment: what is special about it first, then its packages."""
    blocks: list[Block] = []
    if result.changes:
        text = f"{len(result.changes)} packages changed: {', '.join(result.changes[:10])}"
        more = " …" if len(result.changes) > 10 else ""
        blocks.append(Notice(level="good", text=f"{text}{more}."))
    blocks.append(Facts(items=_facts(result)))
    blocks += [Notice(text=note) for note in result.notes[:NOTES]]
    if len(result.notes) > NOTES:
        blocks.append(Notice(text=f"… and {len(result.notes) - NOTES} notes more."))
    rows = [_package(one) for one in result.packages]
    columns = [Column(key="package", label="Package"), Column(key="version", label="Version")]
    blocks.append(Table(title="Packages", columns=columns, rows=rows, total=len(rows)))
    blocks.append(
        Actions(
            items=[
                Action(label="Check", verb="env check", args={"name": result.name}),
                Action(label="Lock again", verb="env lock", args={"name": result.name}),
                Action(
                    label="Remove",
                    verb="env remove",
                    args={"name": result.name},
                    confirm=f"Remove {result.name}, its kernel and its files?",
                    danger=True,
                ),
            ]
        )
    )
    return View(
        kind="environment",
        title=result.name,
        subtitle=f"Python {result.python} · {_many(len(result.packages))}",
        ref=result.ref,
        line=f"%mlops env show {result.name}",
        blocks=blocks,
    )


@look(NamedEnvironments)
def environments_view(result: NamedEnvironments) -> View:
    """The environments in a table."""
    columns = [
        Column(key="name", label="Environment", kind="ref"),
        Column(key="python", label="Python"),
        Column(key="packages", label="Packages", kind="number"),
        Column(key="size", label="Size"),
        Column(key="own", label="Own disk"),
        Column(key="made", label="Made", kind="time"),
        Column(key="by", label="By"),
        Column(key="kernel", label="Kernel"),
        Column(key="lock", label="Lock"),
    ]
    empty = "No environments yet: `%mlops env create NAME --from this` makes one."
    return View(
        kind="environments",
        title="Environments",
        subtitle=f"{len(result):,} environment{'' if len(result) == 1 else 's'}",
        line="%mlops env ls",
        blocks=[
            Table(
                columns=columns, rows=[_row(one) for one in result], total=len(result), empty=empty
            )
        ],
    )


@look(Stage)
def stage_view(result: Stage) -> View:
    """What is being done and since when; how long it takes nobody knows."""
    facts = [
        Fact(label="Step", value=f"{result.done + 1} of {result.total}: {result.doing}"),
        Fact(label="Since", value=f"{result.seconds:.0f} s"),
    ]
    return View(kind="environment", title=f"Making {result.name}", blocks=[Facts(items=facts)])


@look(EnvironmentCheck)
def check_view(result: EnvironmentCheck) -> View:
    """The verdict, then what isn't right, each with its way out."""
    blocks: list[Block] = [Notice(level="bad", text=one) for one in result.problems]
    blocks += [Notice(level="warn", text=one) for one in result.unfit]
    if result.ok:
        text = "It is as it was recorded, and works together with what runs here."
        blocks.append(Notice(level="good", text=text))
    name = result.environment.name
    blocks.append(Facts(items=_facts(result.environment)))
    found = len(result.problems) + len(result.unfit)
    return View(
        kind="environment-check",
        title=f"Check of {name}",
        subtitle="all is well" if result.ok else f"{found} problem{'' if found == 1 else 's'}",
        ref=result.environment.ref,
        line=f"%mlops env check {name}",
        blocks=blocks,
    )


@look(RemovedEnvironment)
def removed_view(result: RemovedEnvironment) -> View:
    """What is gone."""
    text = f"{result.name} was removed, which gave back {bytes_text(result.freed)}."
    if result.kernel:
        text += f" Its kernel {result.kernel} is no longer offered."
    return View(
        kind="environments",
        title=f"Removed {result.name}",
        line="%mlops env ls",
        blocks=[Notice(level="good", text=text)],
    )


def _facts(result: NamedEnvironment) -> list[Fact]:
    added = f"{' and' if result.source != 'packages' else ':'} {', '.join(result.added)}"
    shared = "the rest is linked from uv's cache"
    return [
        Fact(
            label="Disk",
            value=f"{bytes_text(result.own_size)} of its own, {bytes_text(result.size)} in all",
            hint=shared if result.own_size < result.size else "",
        ),
        Fact(
            label="From",
            value=_SOURCES[result.source] + (added if result.added else ""),
            hint=result.file,
        ),
        Fact(label="Kernel", value=f"{result.name} (jupyter-mlops)" if result.kernel else "–"),
        Fact(label="Lock", value=result.lock[:DIGITS], hint="SHA-256 of all pins and hashes"),
        Fact(label="Digest", value=result.digest[:DIGITS], hint="what runs in it record"),
        Fact(label="Made", value=f"{time_text(result.made_at.isoformat())} by {result.actor}"),
        Fact(label="Folder", value=result.folder),
    ]


def _row(one: NamedEnvironment) -> dict[str, Any]:
    return {
        "name": one.ref,
        "python": one.python,
        "packages": len(one.packages),
        "size": bytes_text(one.size),
        "own": bytes_text(one.own_size),
        "made": one.made_at.isoformat(),
        "by": one.actor,
        "kernel": one.kernel or "–",
        "lock": one.lock[:DIGITS],
    }


def _package(one: str) -> dict[str, str]:
    name, at, url = one.partition(" @ ")
    if at:
        return {"package": name, "version": url}
    name, _, version = one.partition("==")
    return {"package": name, "version": version}


def _many(count: int) -> str:
    return f"{count:,} package{'' if count == 1 else 's'}"
