"""How the learning rate changes during a training: factors of ``learning_rate_init``."""

import math


def constant(share):
    """Return 1, whatever ``share`` of the training is behind."""
    return 1.0


def cosine(share):
    """Return half a cosine: 1 at the start of the training, 0 at its end (Loshchilov & Hutter 2017)."""
    return (1 + math.cos(math.pi * share)) / 2


SCHEDULES = {"constant": constant, "cosine": cosine}
