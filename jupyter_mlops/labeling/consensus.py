"""What an item most likely is, from people or rules of unequal skill.

Source: Dawid and Skene, Maximum Likelihood Estimation of Observer Error-Rates Using the EM
Algorithm, Applied Statistics 28(1), 1979, equations 2.3 to 2.5; started as in 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Consensus", "dawid_skene", "majority"]

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
_TINY = 1e-300


@dataclass(frozen=True)
class Consensus:
    """What votes come to.

    Attributes
    ----------
    posterior : numpy.ndarray of shape (items, classes)
        How likely each class is; rows sum to 1. An item without votes has the priors.
    priors : numpy.ndarray of shape (classes,)
        How common each class is.
    confusion : numpy.ndarray of shape (voters, classes, responses)
        How likely each voter gives a response where a class is true; the first responses
        are the classes.
    rounds : int
        Rounds of estimation until nothing changed.
    """

    posterior: Floats
    priors: Floats
    confusion: Floats
    rounds: int

    @property
    def skill(self) -> Floats:
        """How often each voter is right, over items as they come, shape (voters,)."""
        right = np.diagonal(self.confusion, axis1=1, axis2=2)
        return np.asarray(right @ self.priors)


def dawid_skene(
    items: npt.ArrayLike,
    voters: npt.ArrayLike,
    classes: npt.ArrayLike,
    shape: tuple[int, int, int],
    *,
    responses: int | None = None,
    start: Floats | None = None,
    smoothing: float = 0.01,
    rounds: int = 200,
    tolerance: float = 1e-6,
) -> Consensus:
    """Estimate true classes and everybody's confusions together, by expectation maximisation.

    Parameters
    ----------
    items, voters, classes : array of int, shape (votes,)
        One vote each: the item's, the voter's and the class's number, from 0. A voter may
        vote on an item more than once.
    shape : tuple of int
        How many items, voters and classes there are.
    responses : int, optional
        How many things a voter may say, when there are more than classes: a rule that says
        nothing about an item tells something too.
    start : array of shape (items, classes), optional
        The first guess; the share of votes unless given.
    smoothing : float
        Votes added to each cell of a confusion matrix, so that one that was never seen isn't
        impossible. 0 gives the maximum likelihood of the paper.
    rounds : int
        The most rounds of estimation.
    tolerance : float
        The change of any posterior below which estimation ends.

    Returns
    -------
    Consensus

    Examples
    --------
    >>> found = dawid_skene([0, 0, 0, 1, 1], [0, 1, 2, 0, 1], [1, 1, 0, 0, 0], (2, 3, 2))
    >>> found.posterior.argmax(axis=1).tolist()
    [1, 0]
    """
    rows, people, said = (np.asarray(one, np.int64) for one in (items, voters, classes))
    number, voter_count, class_count = shape
    posterior = majority(rows, said, (number, class_count)) if start is None else start
    priors = np.full(class_count, 1 / class_count)
    said_count = responses or class_count
    heard = np.zeros((voter_count, said_count, class_count))
    voted = np.zeros(number, bool)
    voted[rows] = True
    done = 0
    while done < rounds:
        done += 1
        before = posterior
        priors = posterior[voted].mean(axis=0) if voted.any() else priors
        # Indexed voter, said, true: one vote adds its item's posterior to one row.
        heard = np.zeros((voter_count, said_count, class_count))
        np.add.at(heard, (people, said), posterior[rows])
        heard += smoothing
        heard /= np.maximum(heard.sum(axis=1, keepdims=True), _TINY)
        logs = np.tile(np.log(np.maximum(priors, _TINY)), (number, 1))
        np.add.at(logs, rows, np.log(np.maximum(heard[people, said], _TINY)))
        logs -= logs.max(axis=1, keepdims=True)
        posterior = np.exp(logs)
        posterior /= posterior.sum(axis=1, keepdims=True)
        if np.abs(posterior - before).max(initial=0.0) < tolerance:
            break
    return Consensus(posterior, priors, heard.transpose(0, 2, 1), done)


def majority(items: npt.ArrayLike, classes: npt.ArrayLike, shape: tuple[int, int]) -> Floats:
    """The share of an item's votes for each class, shape (items, classes).

    An item without votes has the same share for each class.
    """
    counts = np.zeros(shape)
    np.add.at(counts, (np.asarray(items, np.int64), np.asarray(classes, np.int64)), 1)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.full(shape, 1 / shape[1])
    return np.asarray(np.divide(counts, totals, out=shares, where=totals > 0))
