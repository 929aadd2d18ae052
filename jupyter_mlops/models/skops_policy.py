"""Model files of skops: which types they may hold beyond what it trusts by itself, and why.

skops trusts scikit-learn's public estimators and plain containers. The types here were
reviewed one by one: constructing them from a file runs no code of the file's choosing. Some
are safe only with the right content, which `check_contents` looks at before a loaded model
may predict: compiled code indexes the nodes of trees without bounds checks, and a partial
calls what it holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import skops.io
from sklearn.utils.validation import check_array
from skops.io.exceptions import UnsupportedTypeException, UntrustedTypesFoundException

from jupyter_mlops.workspace.errors import Denied, Unavailable

__all__ = ["TRUSTED", "check_contents", "read", "refused", "write"]

_TREES = {
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
}
# Plain values, compiled holders of arrays, and functions of NumPy, SciPy and scikit-learn that
# an estimator stores as a setting. None takes a name or code from the file.
TRUSTED: frozenset[str] = frozenset(
    {
        *_TREES,
        "collections.OrderedDict",
        "collections.defaultdict",
        # Boosting with categories holds partial(check_array, …); `check_contents` lets in
        # no other.
        "functools.partial",
        "sklearn.utils.validation.check_array",
        "numpy.dtype",
        "numpy.mean",
        "numpy.median",
        "scipy.interpolate._bsplines.BSpline",
        "scipy.sparse._csr.csr_array",
        "scipy.sparse._csr.csr_matrix",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.feature_selection._mutual_info.mutual_info_classif",
        "sklearn.feature_selection._mutual_info.mutual_info_regression",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.CompoundKernel",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.DotProduct",
        "sklearn.gaussian_process.kernels.ExpSineSquared",
        "sklearn.gaussian_process.kernels.Exponentiation",
        "sklearn.gaussian_process.kernels.Matern",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.RationalQuadratic",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
        "sklearn.metrics._classification.accuracy_score",
        "sklearn.metrics._classification.balanced_accuracy_score",
        "sklearn.metrics._classification.f1_score",
        "sklearn.metrics._classification.log_loss",
        "sklearn.metrics._ranking.average_precision_score",
        "sklearn.metrics._ranking.roc_auc_score",
        "sklearn.metrics._regression.mean_absolute_error",
        "sklearn.metrics._regression.mean_squared_error",
        "sklearn.metrics._regression.r2_score",
        "sklearn.metrics._regression.root_mean_squared_error",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.metrics._scorer._CurveScorer",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.metrics._scorer._Scorer",
        "sklearn.model_selection._split.GroupKFold",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.RepeatedKFold",
        "sklearn.model_selection._split.RepeatedStratifiedKFold",
        "sklearn.model_selection._split.ShuffleSplit",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.model_selection._split.StratifiedShuffleSplit",
        "sklearn.model_selection._split.TimeSeriesSplit",
        "sklearn.multiclass._ConstantPredictor",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
    }
)
_LEAF = -1


def write(model: Any) -> tuple[bytes, tuple[str, ...]]:
    """A model's file, and the reviewed types among its contents.

    Raises
    ------
    Denied
        The model holds something that isn't reviewed, or that has no safe form.
    """
    try:
        content = skops.io.dumps(model)
        held = skops.io.get_untrusted_types(data=content)
    except UnsupportedTypeException as error:
        raise Denied(
            f"a {type(model).__name__} has no safe file format",
            str(error),
            "use a scikit-learn estimator that skops supports",
            code="E-MODEL-022",
        ) from error
    except Exception as error:  # what an unusual attribute makes skops raise is anything
        raise Denied(
            f"the {type(model).__name__} can't be written in a safe file format",
            f"{type(error).__name__}: {error}",
            "keep only numbers, texts, arrays and scikit-learn objects in its attributes",
            code="E-MODEL-023",
        ) from error
    bad = refused(held)
    if bad:
        raise Denied(
            f"it holds {', '.join(bad[:5])}, which can't be loaded safely",
            fix="replace it by what scikit-learn itself offers, and keep your own "
            "preparation in the cell, before the model",
            code="E-MODEL-020",
        )
    check_contents(model)
    return content, tuple(held)


def read(path: Path) -> Any:
    """The model in a file; see `freezing.thaw`."""
    try:
        held = skops.io.get_untrusted_types(file=path)
        bad = refused(held)
        if bad:
            raise UntrustedTypesFoundException(bad)
        model = skops.io.load(path, trusted=held)
    except UntrustedTypesFoundException as error:
        raise Denied(
            f"{path.name} holds types that aren't allowed in a model",
            str(error),
            "register a model that was trained here",
            code="E-MODEL-024",
        ) from error
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise Unavailable(
            f"the model file {path} can't be read",
            str(error),
            "register the run again",
            code="E-MODEL-025",
        ) from error
    check_contents(model)
    return model


def refused(types: Iterable[str]) -> list[str]:
    """The types among these that no model may hold, sorted.

    Examples
    --------
    >>> refused(["numpy.dtype", "__main__.Shift"])
    ['__main__.Shift']
    """
    return sorted(set(types) - TRUSTED)


def check_contents(model: Any) -> None:
    """Refuse a model whose trees point outside themselves, or that calls what it shouldn't.

    Raises
    ------
    Denied
        A node's child or feature doesn't exist, which would read foreign memory; or a
        partial holds another function than scikit-learn puts there.
    """
    for found in _walk(model):
        if isinstance(found, partial) and found.func is not check_array:
            raise Denied(
                "the model's file holds a call that scikit-learn doesn't make",
                f"it calls {getattr(found.func, '__name__', found.func)!s}",
                "train the model again and register that run",
                code="E-MODEL-026",
            )
        kind = f"{type(found).__module__}.{type(found).__qualname__}"
        if kind not in _TREES:
            continue
        sound = _sound_tree(found) if kind.endswith(".Tree") else _sound_predictor(found)
        if not sound:
            raise Denied(
                "the model's file holds a tree that points outside itself",
                "it was made or changed by hand",
                "train the model again and register that run",
                code="E-MODEL-021",
            )


def _sound_tree(tree: Any) -> bool:
    left, right, count = tree.children_left, tree.children_right, tree.node_count
    inner = left != _LEAF
    place = np.arange(count)
    # Children come after their parents, so a walk always ends.
    return bool(
        len(tree.value) == count
        and np.array_equal(inner, right != _LEAF)
        and (left[inner] > place[inner]).all()
        and (right[inner] > place[inner]).all()
        and (left[inner] < count).all()
        and (right[inner] < count).all()
        and (tree.feature[inner] >= 0).all()
        and (tree.feature[inner] < tree.n_features).all()
    )


def _sound_predictor(predictor: Any) -> bool:
    nodes = predictor.nodes
    inner = nodes[nodes["is_leaf"] == 0]
    place = np.flatnonzero(nodes["is_leaf"] == 0)
    categorical = inner[inner["is_categorical"] == 1]
    bitsets = len(predictor.raw_left_cat_bitsets)
    return bool(
        len(nodes) > 0
        and (inner["left"] > place).all()
        and (inner["right"] > place).all()
        and (inner["left"] < len(nodes)).all()
        and (inner["right"] < len(nodes)).all()
        and (categorical["bitset_idx"] < bitsets).all()
    )


def _walk(root: Any) -> Iterable[Any]:
    """Everything that estimators hold of each other, arrays of estimators included."""
    waiting, seen = [root], set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, str | bytes | int | float | None):
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        elif isinstance(value, np.ndarray):
            if value.dtype.hasobject:
                waiting.extend(value.ravel().tolist())
        else:
            waiting.extend(getattr(value, "__dict__", {}).values())
