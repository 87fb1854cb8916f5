"""Links from the HTML of an estimator to its page."""

import os
import sys

# The site has no fixed address; whoever hosts it, or has built it on a disk, sets it.
_ADDRESS = os.environ.get("SKAE_DOCS", "").rstrip("/")


def linked(cls):
    """Return ``cls``, whose HTML links to its page if the environment variable ``SKAE_DOCS`` has the site's address."""
    if _ADDRESS and cls.__module__.startswith("skae."):
        cls._doc_link_module = "skae"
        cls._doc_link_template = f"{_ADDRESS}/generated/{{page}}.html"
        cls._doc_link_url_param_generator = _page
    return cls


def _page(estimator):
    """Return the name of the page, which is the name that users import."""
    name, family = type(estimator).__name__, type(estimator).__module__.split(".")[1]
    inside = hasattr(sys.modules["skae"], name)
    return {"page": f"skae.{name}" if inside else f"skae.{family}.{name}"}
