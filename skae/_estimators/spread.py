"""The ``alpha`` of coders: a number, ``'auto'``, which is their ``_spread``, or a multiple of that."""

from .parameters import resolved


@property
def resolved_alpha(self):
    """The weight of the penalty as a number, before ``fit``, too."""
    return resolved(self.alpha, "alpha", self._spread)


@property
def alpha_(self) -> float:
    """The weight of the penalty: ``alpha``, or what ``'auto'`` stands for."""
    self._history("alpha_")
    return self._alpha
