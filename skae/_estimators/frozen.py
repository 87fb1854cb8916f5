"""Parts that are fitted already: ``prefit=True``, or scikit-learn's ``FrozenEstimator``, which clones leave fitted."""

from sklearn.frozen import FrozenEstimator


def is_prefit(estimator, name="base"):
    """Return whether the part of ``estimator`` that its parameter ``name`` gives is taken as it is."""
    frozen = isinstance(getattr(estimator, name, None), FrozenEstimator)
    return frozen or getattr(estimator, "prefit", False)


def unfrozen(part):
    """Return the estimator in a ``FrozenEstimator``, and any other part as it is."""
    return part.estimator if isinstance(part, FrozenEstimator) else part
