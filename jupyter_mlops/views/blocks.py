"""The view model: a title and blocks. Its JSON is what the panels and the cell renderer draw."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, computed_field
from pydantic import Field as Pydantic

__all__ = [
    "Action",
    "Actions",
    "Block",
    "Canary",
    "Chart",
    "Code",
    "Column",
    "Distribution",
    "Explorer",
    "Fact",
    "Facts",
    "Field",
    "Finding",
    "Findings",
    "Form",
    "Frame",
    "Heat",
    "HeatColumn",
    "HeatRow",
    "Level",
    "Notice",
    "Preview",
    "Progress",
    "Query",
    "Series",
    "Snippets",
    "Table",
    "View",
]

Level = Literal["info", "good", "warn", "bad"]
CellKind = Literal[
    "text", "number", "percent", "time", "ref", "bar", "spark", "badge", "link", "actions"
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fact(_Model):
    """One number or word with its name.

    `path` leads on from Jupyter Server's own address, `ref` to a record's panel: in a panel the
    value is a link there.
    """

    label: str
    value: str
    hint: str = ""
    path: str = ""
    ref: str = ""


class Facts(_Model):
    """The few things to know first; a `title` where they have something in common."""

    type: Literal["facts"] = "facts"
    items: list[Fact]
    title: str = ""


class Column(_Model):
    """A table's column; `kind` says how its cells are drawn.

    ``percent`` and ``bar`` take fractions from 0 to 1 (a bar also ``{"share": …, "text": …}``,
    whose text stands beside it), ``time`` ISO 8601 in UTC, ``spark`` a list of numbers or
    ``{"values": …, "against": …, "ends": [low, high]}``, ``ref`` a reference or
    ``{"text": …, "ref": …}``, ``badge`` ``{"text": …, "level": …}``, ``link``
    ``{"text": …, "path": …}`` as a `Fact` has it, ``actions`` a list of what an `Action` holds.
    Numbers have four significant digits, or `digits` decimals.
    """

    key: str
    label: str
    kind: CellKind = "text"
    digits: int | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def align(self) -> Literal["left", "right"]:
        """Numbers are compared by their last digits, words by their first letters."""
        return "right" if self.kind in {"number", "percent"} else "left"


class Table(_Model):
    """Rows by column key; `total` counts the rows there are when not all are here."""

    type: Literal["table"] = "table"
    title: str = ""
    columns: list[Column]
    rows: list[dict[str, Any]]
    total: int | None = None
    empty: str = "Nothing here yet."


class Chart(_Model):
    """A Vega-Lite chart with its data inside, and the same as a PNG for static places."""

    type: Literal["chart"] = "chart"
    title: str = ""
    spec: dict[str, Any]
    png: str = ""
    alt: str


class Notice(_Model):
    """A sentence that matters, and what to do about it."""

    type: Literal["notice"] = "notice"
    level: Level = "info"
    text: str
    fix: str = ""


class Preview(_Model):
    """A few rows of data as text."""

    type: Literal["preview"] = "preview"
    columns: list[str]
    rows: list[list[str]]
    total: int | None = None


class Code(_Model):
    """Something to copy; `insert` says that it is a cell for the notebook."""

    type: Literal["code"] = "code"
    language: str = "python"
    text: str
    title: str = ""
    insert: bool = False


class Snippets(_Model):
    """The same thing in several languages, of which a person wants one."""

    type: Literal["snippets"] = "snippets"
    title: str = ""
    items: list[Code]


class Action(_Model):
    """A verb a person can set off from here; `line` is how to write it where it has flags.

    With `insert`, a cell, it puts that into the notebook where there is one.
    """

    label: str
    verb: str
    args: dict[str, Any] = Pydantic(default_factory=dict)
    confirm: str = ""
    danger: bool = False
    line: str = ""
    insert: str = ""


class Actions(_Model):
    """Buttons in the panels; the lines to write instead, in static places."""

    type: Literal["actions"] = "actions"
    items: list[Action]


class Series(_Model):
    """One table's share of each bar of a distribution."""

    label: str
    shares: list[float]


class Distribution(_Model):
    """How values are spread: bars between `ends`, or one bar for each of `labels`."""

    type: Literal["distribution"] = "distribution"
    title: str = ""
    labels: list[str] = Pydantic(default_factory=list)
    ends: list[str] = Pydantic(default_factory=list)
    series: list[Series]
    note: str = ""


class Finding(_Model):
    """One thing that is wrong or worth knowing, with its evidence and a fix to copy."""

    level: Level
    subject: str
    finding: str
    evidence: str
    action: str = ""
    code: str = ""


class Findings(_Model):
    """Findings, the most pressing first; `total` counts them when not all are here."""

    type: Literal["findings"] = "findings"
    title: str = ""
    items: list[Finding]
    total: int | None = None
    empty: str = "Nothing found."


class Query(_Model):
    """A verb that only reads: a place with a server asks it for what isn't here.

    `names` says how its arguments are called where they aren't called as others call them.
    """

    verb: str
    args: dict[str, Any] = Pydantic(default_factory=dict)
    names: dict[str, str] = Pydantic(default_factory=dict)


class Explorer(_Model):
    """A table of things that open: each row has a ``key``, and `details` by that key.

    What doesn't fit into a notebook is asked for where there is a server: `pages` takes
    ``page``, ``size``, ``search``, ``sort`` and ``descending``, `detail` takes ``position``.
    `names` holds the names of all things, one a line in their order, as far as there is room.
    With a `condition`, an example of one, the search takes conditions, and `pages` reads them.
    """

    type: Literal["explorer"] = "explorer"
    title: str = ""
    columns: list[Column]
    rows: list[dict[str, Any]]
    details: dict[str, list[Block]] = Pydantic(default_factory=dict)
    total: int
    names: str = ""
    pages: Query | None = None
    detail: Query | None = None
    condition: str = ""
    empty: str = "Nothing here yet."


class Progress(_Model):
    """How far something is that goes on; `total` is None when nobody knows.

    `remaining` are the seconds until it ends, where that is known better than from the rate.
    """

    type: Literal["progress"] = "progress"
    done: int
    total: int | None = None
    unit: str = "rows"
    seconds: float = 0.0
    remaining: float | None = None


class Field(_Model):
    """One thing to fill in. A ``dataset`` is chosen among those of the workspace; ``lines`` is text
    of more than one.

    What is `required` is marked so; whether it may be left out, the verb decides. `emptied` is
    what is sent where a person takes away what stood there; None leaves it out. `unset` is what is
    chosen while nothing is.
    """

    name: str
    label: str
    kind: Literal["text", "lines", "number", "choice", "dataset", "switch", "list"] = "text"
    value: str = ""
    choices: list[str] = Pydantic(default_factory=list)
    hint: str = ""
    required: bool = False
    unset: str = ""
    emptied: str | None = None


class Form(_Model):
    """A verb whose arguments a person fills in; empty fields are left out.

    With `changes` only what differs from the fields' values is sent. With `into` the fields
    are no arguments: the verb's argument of that name takes them all as one JSON object.
    `inline` says that the answer belongs below the form, `confirm` what is asked first.
    """

    type: Literal["form"] = "form"
    title: str = ""
    submit: str
    verb: str
    args: dict[str, Any] = Pydantic(default_factory=dict)
    fields: list[Field]
    changes: bool = False
    into: str = ""
    inline: bool = False
    confirm: str = ""
    danger: bool = False


class HeatColumn(_Model):
    """A column of a heat map; `args` are what a question about one of its cells says of it."""

    label: str
    hint: str = ""
    args: dict[str, Any] = Pydantic(default_factory=dict)


class HeatRow(_Model):
    """A row of a heat map: for each column a level and a figure, None where there is none."""

    label: str
    levels: list[Level | None]
    values: list[float | None]
    args: dict[str, Any] = Pydantic(default_factory=dict)


class Heat(_Model):
    """Levels by row and column, as squares; the higher a level, the larger its square.

    `unit` names the figures, `words` the levels. A place with a server asks `detail` about a cell
    that is chosen, with the arguments of its column and its row.
    """

    type: Literal["heat"] = "heat"
    title: str = ""
    columns: list[HeatColumn]
    rows: list[HeatRow]
    unit: str = ""
    words: dict[Level, str] = Pydantic(default_factory=dict)
    detail: Query | None = None
    total: int | None = None
    note: str = ""


class Canary(_Model):
    """Which share of an endpoint's requests another version answers, for a person to move.

    `primary` is the version that answers the others; without a canary `version` is empty.
    """

    type: Literal["canary"] = "canary"
    title: str = ""
    endpoint: str
    model: str
    primary: str
    version: str = ""
    share: float = 0.0


class Frame(_Model):
    """A page that Jupyter Server keeps, shown in a sandboxed frame where the panels' code runs.

    `path` leads on from the server's own address. Text and static HTML leave it out, so that
    whoever adds a frame says beside it where the page is.
    """

    type: Literal["frame"] = "frame"
    title: str
    path: str


Block = Annotated[
    Facts
    | Table
    | Chart
    | Notice
    | Preview
    | Code
    | Actions
    | Distribution
    | Findings
    | Explorer
    | Progress
    | Form
    | Snippets
    | Heat
    | Canary
    | Frame,
    Pydantic(discriminator="type"),
]


class View(_Model):
    """What is shown of one result.

    Parameters
    ----------
    kind : str
        One of `KINDS`; names the MIME type.
    title, subtitle : str
        One line each.
    ref : str, optional
        The record's reference, by which a panel opens it again.
    line : str, optional
        The ``%mlops`` line that shows the same.
    blocks : list of Block
        What it consists of, the most important first.
    """

    kind: str
    title: str
    subtitle: str = ""
    ref: str | None = None
    line: str = ""
    blocks: list[Block] = Pydantic(default_factory=list)


Explorer.model_rebuild()
