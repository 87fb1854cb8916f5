"""The mathematics of one model on one batch: network, losses, corruptions, penalties, objective."""
