"""The module that files of earlier versions name: ``JointNormal`` is now in ``_imputation.py``."""

from ._imputation import JointNormal

__all__ = ["JointNormal"]
