"""Images: convolutional features, patches, whitening, contrast, denoising."""

from ._features import ConvolutionalFeatures
from ._patches import denoise, normalize_contrast, sample_patches
from ._psd import ConvolutionalPSD
from ._stack import ConvolutionalStack
from ._whitening import ZCA

__all__ = [
    "ZCA",
    "ConvolutionalFeatures",
    "ConvolutionalPSD",
    "ConvolutionalStack",
    "denoise",
    "normalize_contrast",
    "sample_patches",
]
