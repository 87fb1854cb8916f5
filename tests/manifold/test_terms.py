import numpy as np
import pytest

from skae.manifold import tangent_terms

NAMES = ["gilt", "slow", "money", "yen"]


def test_words_of_the_largest_components():
    basis = np.array([[[0.1, -0.9, 0.4, 0.0], [0.8, 0.3, -0.5, 0.1]]])
    terms = tangent_terms(basis, NAMES, n_terms=3)
    assert terms.shape == (1, 2)
    assert list(terms[0]) == ["+slow -money -gilt", "+gilt -money +slow"]


def test_names_must_fit():
    with pytest.raises(ValueError, match="a name for each of 4 features"):
        tangent_terms(np.ones((2, 4)), NAMES[:3])
    with pytest.raises(ValueError, match="n_terms"):
        tangent_terms(np.ones((2, 4)), NAMES, n_terms=0)
