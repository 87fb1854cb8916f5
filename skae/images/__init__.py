"""Images: patches, whitening, contrast, denoising."""

from ._patches import denoise, normalize_contrast, sample_patches
from ._whitening import ZCA

__all__ = ["ZCA", "denoise", "normalize_contrast", "sample_patches"]
