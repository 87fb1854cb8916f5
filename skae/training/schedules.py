"""How long a training is, and how the learning rate changes in it: factors of ``learning_rate_init``."""

import math

AUTO_ITERATIONS = 200  # of L-BFGS
_STEPS = 2000  # of minibatches, at least,
_FEWEST, _MOST = 12, 1000  # where that is between so many epochs


def auto_epochs(n_rows, batch_size):
    """Return the number of epochs that ``max_iter='auto'`` stands for: small data need more of them."""
    return min(max(_FEWEST, math.ceil(_STEPS / math.ceil(n_rows / batch_size))), _MOST)


def constant(share):
    """Return 1, whatever ``share`` of the training is behind."""
    return 1.0


def cosine(share):
    """Return half a cosine: 1 at the start of the training, 0 at its end (Loshchilov & Hutter 2017)."""
    return (1 + math.cos(math.pi * share)) / 2


SCHEDULES = {"constant": constant, "cosine": cosine}
