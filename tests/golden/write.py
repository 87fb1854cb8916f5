"""Write models of this version, which all later versions are to read: ``python tests/golden/write.py`` at a release."""

import gzip
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from test_io import MODELS, _data, _fitted, _outputs

import skae
from skae.io import save

KINDS = (
    skae.AutoEncoder,
    skae.ContractiveAE,
    skae.StackedAE,
    skae.StackedAEClassifier,
    skae.RBM,
    skae.DBN,
    skae.SparseCoder,
    skae.PSD,
    skae.ManifoldTangentClassifier,
    skae.AnomalyDetector,
)


def main():
    """Write one model of each kind, rows and what the model makes of them."""
    folder = Path(__file__).parent
    for Kind in KINDS:
        model = _fitted(next(each for each in MODELS if type(each) is Kind))
        name = f"{skae.__version__}-{Kind.__name__}"
        with tempfile.TemporaryDirectory() as place:
            save(model, Path(place) / name)
            content = (Path(place) / name).read_bytes()
        (folder / f"{name}.skops.gz").write_bytes(gzip.compress(content, mtime=0))
        rows = _data(model)[:9]
        np.savez_compressed(folder / f"{name}.npz", rows=rows, outputs=_outputs(model, rows))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
