"""What notebooks show of an estimator."""

import pytest
import sklearn
from sklearn.utils.fixes import parse_version

from skae import AutoEncoder
from skae._estimators import doc_links
from skae.manifold import LocalPCA


@pytest.mark.parametrize(
    ("Estimator", "page", "tooltip"),
    [
        (AutoEncoder, "skae.AutoEncoder", "Width of the code."),
        (LocalPCA, "skae.manifold.LocalPCA", "Number of training points around each point"),
    ],
)
def test_html_links_to_the_page_of_an_estimator(monkeypatch, Estimator, page, tooltip):
    assert Estimator()._get_doc_link() == ""
    monkeypatch.setattr(doc_links, "_ADDRESS", "https://example.org/docs")
    names = {"__module__": Estimator.__module__, "__doc__": Estimator.__doc__}
    model = doc_links.linked(type(Estimator.__name__, (Estimator,), names))()
    address = f"https://example.org/docs/generated/{page}.html"
    assert model._get_doc_link() == address
    html = model._repr_html_()
    assert address in html
    if parse_version(sklearn.__version__) >= parse_version("1.9"):  # the first with tooltips
        assert tooltip in html
