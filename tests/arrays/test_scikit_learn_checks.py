"""scikit-learn's own checks of estimators whose tags promise the array API."""

import pytest
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from skae import (
    DBM,
    DBN,
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)

pytest.importorskip("array_api_strict")
FAST = {"max_iter": 1, "random_state": 0}
LAYERS = [("one", ContractiveAE(4, **FAST))]
MODELS = [
    AutoEncoder(4, **FAST),
    DenoisingAE(4, **FAST),
    ContractiveAE(4, **FAST),
    RBM(4, **FAST),
    DBN([("one", RBM(4, **FAST))]),
    DBM([("one", RBM(4, **FAST)), ("two", RBM(3, **FAST))], **FAST),
    SparseAutoEncoder(4, sparse_output=False, **FAST),  # dense codes of numpy, too
    SparseCoder(4, algorithm="fista", max_iter=1, random_state=0),
    StackedAE(LAYERS, **FAST),
    StackedAEClassifier(LAYERS, **FAST),
    StackedAERegressor(LAYERS, **FAST),
    ManifoldTangentClassifier(ContractiveAE(4, **FAST), n_tangents=2, **FAST),
]


@pytest.mark.filterwarnings("ignore")  # one epoch learns little
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_array_api_checks(model):
    assert get_tags(model).array_api_support
    n_passed = 0
    for estimator, check in estimator_checks_generator(model):
        if "array_api" not in str(check):
            continue
        try:
            check(estimator)
        except (pytest.skip.Exception, ImportError, NotImplementedError):
            continue
        except Exception as error:
            # A PyTorch for GPUs where there is none.
            if type(error).__name__ in ("SkipTest", "AcceleratorError"):
                continue
            raise
        n_passed += 1
    if n_passed == 0:
        pytest.skip("this scikit-learn has no such checks")
