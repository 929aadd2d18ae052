"""True classes from people of unequal skill, as in the paper that found out how."""

from __future__ import annotations

import numpy as np
import pytest

from jupyter_mlops.labeling.consensus import dawid_skene, majority

# Dawid and Skene 1979, table 1: 45 patients, five anaesthetists, the first of whom three times.
# fmt: off
PATIENTS = [
    "1111111", "3334334", "1122122", "2223121", "2223222", "2223322", "1222111", "3333433",
    "2222223", "2322223", "4444444", "2223343", "1111111", "2223212", "1211111", "1112111",
    "1111111", "1111111", "2222221", "2221322", "2222222", "2222221", "2223222", "2212222",
    "1111111", "1111111", "2322222", "1111111", "1111111", "1121121", "1111111", "3333233",
    "1111111", "2222222", "2223232", "4334343", "2212232", "2323233", "3333432", "1111111",
    "1111111", "1212111", "2322222", "1211111", "2222222",
]
# fmt: on


def test_the_papers_estimates_for_the_papers_patients():
    votes = [
        (row, max(0, place - 2), int(said) - 1)
        for row, patient in enumerate(PATIENTS)
        for place, said in enumerate(patient)
    ]
    items, people, classes = np.array(votes).T
    found = dawid_skene(items, people, classes, (45, 5, 4), smoothing=0, tolerance=1e-9)
    # Table 2: how common each class is; table 3: the first anaesthetist's own error rates.
    assert found.priors == pytest.approx([0.40, 0.42, 0.11, 0.07], abs=0.006)
    assert found.confusion[0][0] == pytest.approx([0.89, 0.11, 0, 0], abs=0.006)
    assert found.confusion[0][1] == pytest.approx([0.07, 0.88, 0.05, 0], abs=0.006)
    assert found.posterior.sum(axis=1) == pytest.approx(np.ones(45))


def test_two_careful_people_outweigh_four_careless_ones():
    chance = np.random.default_rng(5)
    truth = chance.integers(0, 3, 400)
    skill = np.array([0.95, 0.9, 0.45, 0.45, 0.45, 0.45])
    said = np.array(
        [
            np.where(chance.random(400) < one, truth, (truth + chance.integers(1, 3, 400)) % 3)
            for one in skill
        ]
    ).T
    items, people = np.indices(said.shape)
    found = dawid_skene(items.ravel(), people.ravel(), said.ravel(), (400, 6, 3))
    votes = majority(items.ravel(), said.ravel(), (400, 3))
    weighed = (found.posterior.argmax(axis=1) == truth).mean()
    assert weighed > (votes.argmax(axis=1) == truth).mean() + 0.1
    assert found.skill == pytest.approx(skill, abs=0.06)


def test_an_item_without_votes_has_the_priors():
    found = dawid_skene([0, 0, 1], [0, 1, 0], [1, 1, 1], (3, 2, 2))
    assert found.posterior[2] == pytest.approx(found.priors)
    assert majority([0], [1], (2, 2)).tolist() == [[0, 1], [0.5, 0.5]]
