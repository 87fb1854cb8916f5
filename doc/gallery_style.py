"""The style of the pictures in the gallery."""

from pathlib import Path


def use_style(gallery_conf, path):
    """Set the style before each example, as sphinx-gallery calls it."""
    import matplotlib.pyplot as plt

    plt.style.use(Path(__file__).with_name("gallery.mplstyle"))
