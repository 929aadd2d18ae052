"""Labels survive a server that is killed, by the labeler's own outbox and the real extension."""

from __future__ import annotations

from pathlib import Path

from faults.labelstorm import storm


def test_a_killed_server_loses_no_label_and_stores_none_twice(tmp_path: Path) -> None:
    found = storm(tmp_path, kills=6, items=3000, pace=25, window=0.3)
    assert found.faults == ()
    assert (found.lost, found.missing, found.twice, found.altered) == (0, 0, 0, 0)
    assert (found.out_of_order, found.beyond_overlap, found.refused) == (0, 0, 0)
    assert set(found.kinds) == {"label", "skip", "undo"}
    # It was hard: decisions were sent again, and pages came back.
    assert found.sent_again > found.known_already >= 0
    assert (found.kills, found.crashes) == (6, 2)
    assert found.holds
    assert found.acknowledged >= found.decided > 30
