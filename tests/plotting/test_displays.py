"""Displays draw what they are given."""

import matplotlib
import numpy as np
import pytest
from sklearn.datasets import load_digits

from skae import AutoEncoder
from skae.plotting import FilterDisplay, ReconstructionDisplay, SpectrumDisplay, TangentDisplay

matplotlib.use("Agg")
X = load_digits().data / 16


def test_displays():
    model = AutoEncoder(9, max_iter=2, random_state=0).fit(X)
    filters = FilterDisplay.from_estimator(model)
    assert filters.ax_.images[0].get_array().shape == (26, 26)
    both = ReconstructionDisplay.from_estimator(model, X[:5], ax=filters.ax_)
    assert both.ax_ is filters.ax_
    np.testing.assert_array_equal(both.ax_.images[1].get_array()[:8, :8], X[0].reshape(8, 8))
    spectrum = SpectrumDisplay.from_estimator(model, X[:20])
    jacobian = model.jacobian(X[:20])
    expected = np.linalg.svd(jacobian, compute_uv=False).mean(axis=0)
    np.testing.assert_allclose(spectrum.ax_.lines[0].get_ydata(), expected)
    with pytest.raises(ValueError, match="image_shape"):
        FilterDisplay.from_estimator(AutoEncoder(3, max_iter=1).fit(X[:, :60]))
    few = SpectrumDisplay.from_estimator(model, X[:20], n_values=4)
    np.testing.assert_allclose(few.ax_.lines[0].get_ydata(), expected[:4], rtol=1e-4)


def test_tangents():
    model = AutoEncoder(9, max_iter=2, random_state=0).fit(X)
    display = TangentDisplay.from_estimator(model, X[:3], n_tangents=2, steps=(-1, 1))
    sheet = display.ax_.images[0].get_array()
    assert sheet.shape == (3 * 9 - 1, 5 * 9 - 1)
    np.testing.assert_allclose(sheet[:8, :8], X[0].reshape(8, 8))
    moved = np.clip(X[0] - display.basis[0, 0], 0, 1).reshape(8, 8)
    np.testing.assert_allclose(sheet[:8, 27:35], moved)
