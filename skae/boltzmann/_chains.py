"""What all samplers of the room ask of their arguments."""

from numbers import Integral

from sklearn.utils import check_scalar


def check_chains(n_samples, n_steps):
    """Raise where these are no counts."""
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    check_scalar(n_steps, "n_steps", Integral, min_val=1)
