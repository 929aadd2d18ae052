"""In the model's process: how strange the rows of a batch are, within a limit of time.

An answer never fails because of it, and hardly waits: what isn't done in time isn't looked at.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from jupyter_mlops.models.outliers import FILE, MOST_REASONS, Scorer, read
from jupyter_mlops.serving.expectations import FILE as CONTRACT
from jupyter_mlops.serving.expectations import Expectations, Rule
from jupyter_mlops.serving.fields import Array

__all__ = ["Watch"]

#: Seconds for each row of a batch, and for any batch.
A_ROW: Final = 50e-6
A_BATCH: Final = 0.002
_ROWS: Final = 1024


class Watch:
    """Looks at the rows that a model is asked about.

    Parameters
    ----------
    scorer : Scorer
    rules : sequence of Rule
        Of the model's contract: a row that breaks one is no commoner than the rule allows.
    a_row, a_batch : float
        Seconds that it may take.
    """

    def __init__(
        self,
        scorer: Scorer,
        rules: Sequence[Rule] = (),
        *,
        a_row: float = A_ROW,
        a_batch: float = A_BATCH,
    ) -> None:
        self.scorer = scorer
        self.rules = rules
        self.a_row, self.a_batch = a_row, a_batch
        self._said = False
        # A row that a rule has never seen broken is as rare as the rows can tell.
        self._least = 1 / (scorer.rows + 1)

    @classmethod
    def of(cls, folder: Path, names: Sequence[str]) -> Watch | None:
        """That of the model in a folder whose digest was checked; None where there is none."""
        file = folder / FILE
        if not file.is_file():
            return None
        try:
            scorer = read(file)
            contract = folder / CONTRACT
            told = json.loads(contract.read_bytes()) if contract.is_file() else {}
            rules = Expectations(told).rules
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"outliers aren't told: {FILE}: {error}", file=sys.stderr, flush=True)
            return None
        if not set(scorer.names) <= set(names):
            print("outliers aren't told: the columns are called otherwise", file=sys.stderr)
            return None
        return cls(scorer, [rule for rule in rules if rule.column in names])

    def __call__(self, columns: Mapping[str, Array]) -> dict[str, Any] | None:
        """Say how strange rows are, as it travels to the gateway; None when that failed.

        Parameters
        ----------
        columns : mapping of str to array, each of shape (n,)
        """
        try:
            return self._look(columns)
        except Exception as error:
            if not self._said:
                # One line: what fails on one row fails on many. Libraries quote what they
                # stumbled on, which isn't ours to write.
                self._said = True
                where = traceback.extract_tb(error.__traceback__)[-1]
                told = f"{type(error).__name__} ({where.filename}:{where.lineno})"
                print(f"outliers can't be told: {told}", file=sys.stderr, flush=True)
            return None

    def _look(self, columns: Mapping[str, Array]) -> dict[str, Any]:
        count = len(next(iter(columns.values())))
        until = time.perf_counter() + max(self.a_batch, self.a_row * count)
        p = np.full(count, np.nan)
        reasons: dict[int, list[str]] = {}
        for start in range(0, count, _ROWS):
            if time.perf_counter() > until:
                break
            part = columns
            if count > _ROWS:
                part = {name: one[start : start + _ROWS] for name, one in columns.items()}
            found = self.scorer(part)
            some, told = found.p, found.reasons
            for rule in self.rules:
                self._break(rule, part[rule.column], some, told)
            p[start : start + len(some)] = some
            reasons |= {start + row: names for row, names in told.items()}
        return {"p": p, "reasons": reasons}

    def _break(self, rule: Rule, values: Array, p: Array, told: dict[int, list[str]]) -> None:
        failing = rule.failing(values)
        if not failing.any():
            return
        rare = max(rule.share, self._least)
        for row in np.flatnonzero(failing & (rare < 1)).tolist():
            p[row] = min(p[row], rare)
            named = [one for one in told.get(row, []) if one != rule.column]
            told[row] = [rule.column, *named][:MOST_REASONS]
