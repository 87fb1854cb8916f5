"""A warning points to the line of the user's code, however many functions are between that line and the warning."""

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import DBN, PSD, RBM, AutoEncoder, StackedAE, StackedAEClassifier

rng = np.random.default_rng(0)
X, Y = rng.random((40, 6)), np.arange(40) % 2
STEPS = {"learning_rate": "constant", "max_iter": 1, "n_iter_no_change": 1, "random_state": 0}
LBFGS = {"solver": "lbfgs", "max_iter": 1, "random_state": 0}
STOPPED = "stopped at max_iter=1 before it converged"


def _stack(layer):
    return StackedAE([("low", layer)], random_state=0)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: AutoEncoder(3, **STEPS).fit(X), STOPPED),
        (lambda: AutoEncoder(3, **LBFGS).fit(X), STOPPED),
        (lambda: AutoEncoder(3, **STEPS).fit_transform(X), STOPPED),
        (lambda: make_pipeline(StandardScaler(), AutoEncoder(3, **STEPS)).fit(X), STOPPED),
        (lambda: cross_val_score(AutoEncoder(3, **STEPS), X, cv=2), STOPPED),
        (lambda: _stack(AutoEncoder(3, **STEPS)).fit(X), STOPPED),
        (lambda: _stack(AutoEncoder(3, max_iter=1)).fit(np.ones((40, 6))), "codes of"),
        (lambda: DBN([("low", RBM(3, n_chains=2, max_iter=1))]).fit(X), "n_chains=2 of RBM"),
        (lambda: StackedAEClassifier([3], **STEPS).fit(X, Y), STOPPED),
        (lambda: PSD(3, alpha=0.1, **STEPS).fit(X), STOPPED),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_warnings_point_to_the_code_of_the_user(call, text):
    with pytest.warns(UserWarning, match=text) as caught:
        call()
    assert {each.filename for each in caught if text in str(each.message)} == {__file__}
