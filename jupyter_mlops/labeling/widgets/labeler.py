"""The labeler in a cell: an anywidget that shows the queue and holds no truth."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from jupyter_mlops.labeling.exchange import answer, describe
from jupyter_mlops.labeling.media import open_media
from jupyter_mlops.labeling.peaks import peaks_of
from jupyter_mlops.labeling.progress import TaskState
from jupyter_mlops.labeling.widgets.bundle import pad, script, style
from jupyter_mlops.workspace.errors import MLOpsError
from jupyter_mlops.workspace.records import new_id

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Labeler", "LabelerWidget"]


class LabelerWidget(anywidget.AnyWidget):  # type: ignore[misc]  # ipywidgets has no types
    """The widget: configuration out, and the store's answers where no server has them.

    Its script speaks to the Jupyter server when the server's workspace knows the task, and
    to this object otherwise; both say the same.
    """

    _esm = script()
    _css = style()

    task = traitlets.Dict().tag(sync=True)
    # What the script knows this widget by: its views share one queue.
    desk = traitlets.Unicode().tag(sync=True)

    def __init__(self, workspace: Workspace, task: dict[str, Any]) -> None:
        super().__init__(task=task, desk=new_id())
        self._workspace = workspace
        self.on_msg(self._on_message)

    def _on_message(self, _widget: Any, message: Any, _buffers: Any) -> None:
        if not isinstance(message, dict) or "turn" not in message:
            return
        reply, buffers = self.reply(message)
        self.send(reply, buffers)

    def reply(self, message: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """Answer one message ``{turn, action, body}`` with ``{turn, status, body}``."""
        ws, task = self._workspace, self.task["id"]
        action, body = str(message.get("action")), message.get("body")
        asked = body if isinstance(body, dict) else {}
        item, buffers = _whole(asked.get("item")), []
        try:
            if action == "media":
                media = open_media(ws, task, item, str(asked.get("side", "")))
                found, buffers = {"type": media.type, "digest": media.digest}, [media.read()]
            elif action == "peaks":
                found = peaks_of(ws, task, item).as_dict()
            elif action == "script":
                found, buffers = {}, [pad(str(asked.get("name")))]
            else:
                found = answer(ws, task, ws.user, action, body)
            return {"turn": message["turn"], "status": 200, "body": found}, buffers
        except MLOpsError as error:
            failed = {"turn": message["turn"], "status": error.status, "body": error.as_dict()}
            return failed, []


class Labeler(TaskState):
    """A task's state that shows the labeler where there is somebody to label."""

    widget: LabelerWidget

    @classmethod
    def of(cls, workspace: Workspace, state: TaskState) -> Labeler:
        """A labeler for a task."""
        found = cls(**{one.name: getattr(state, one.name) for one in fields(state)})
        object.__setattr__(found, "widget", LabelerWidget(workspace, describe(state.task)))
        return found

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        bundle = super()._repr_mimebundle_(include, exclude)
        shown = self.widget._repr_mimebundle_()
        view = shown[0] if isinstance(shown, tuple) else shown
        kind = "application/vnd.jupyter.widget-view+json"
        # The rest stays beside it: what a reader without a kernel, or GitHub, shows.
        return {**bundle, **{kind: view[kind]}} if view and kind in view else bundle


def _whole(value: Any) -> int:
    """A number of an item; one that no item has when it is no number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1
