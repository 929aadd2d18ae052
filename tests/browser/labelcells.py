"""Labelers in the cells of an open notebook, and what came of them in the store."""

from __future__ import annotations

import av
import numpy as np
from sqlalchemy import select

from jupyter_mlops.labeling import get
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord
from jupyter_mlops.workspace import Workspace

LABELER = ".mlops-labeler"


def run_cell(page, source):
    """Put a source into the second cell and run it; don't wait until it is done."""
    page.evaluate(
        """async source => {
            const {content, sessionContext} = window.jupyterapp.shell.currentWidget;
            await sessionContext.session.kernel.info;
            content.widgets[1].model.sharedModel.setSource(source);
            content.activeCellIndex = 1;
            content.mode = 'command';
            void window.jupyterapp.commands.execute('notebook:run-cell');
        }""",
        source,
    )


def film(page, path, frames=50):
    """Two seconds of a square that moves to the right, as an MP4 that this browser plays."""
    # A browser that was built without patents' holders plays VP9 alone.
    plays = page.evaluate(
        """() => document.createElement('video').canPlayType('video/mp4; codecs="avc1.64000c"')"""
    )
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264" if plays else "libvpx-vp9", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(frames):
            picture = np.full((240, 320, 3), 40, np.uint8)
            picture[80:140, 4 * number : 4 * number + 60] = (255, 180, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def saved(page):
    """Wait until the labeler says that everything is."""
    page.wait_for_selector(f"{LABELER} .mlops-chip[data-link=saved]")


def answers(lab, name):
    """The answers that stand: item -> value."""
    ws = Workspace.open(lab.root)
    with ws.read() as session:
        rows = session.execute(
            select(ItemRecord.item, AnnotationRecord.value)
            .join(AnnotationRecord, AnnotationRecord.ev == ItemRecord.ev)
            .where(ItemRecord.task == get(ws, name).id, ItemRecord.state == "labeled")
        )
        return dict(rows.tuples().all())
