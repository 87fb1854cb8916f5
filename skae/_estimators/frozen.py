"""Sub-estimators that are fitted already: by ``prefit=True``, or as a ``FrozenEstimator``, whose clones stay fitted."""

from sklearn.frozen import FrozenEstimator


def is_prefit(estimator, name="base"):
    """Return whether the sub-estimator in the parameter ``name`` of ``estimator`` is used as it is, without being fitted."""
    frozen = isinstance(getattr(estimator, name, None), FrozenEstimator)
    return frozen or getattr(estimator, "prefit", False)


def unfrozen(part):
    """Return the estimator in a ``FrozenEstimator``, and any other one as it is."""
    return part.estimator if isinstance(part, FrozenEstimator) else part
