"""
One auto-encoder on a CPU or a GPU
==================================

The same lines run on either: training uses the GPU if PyTorch finds one, and numpy otherwise. Codes are returned as
numpy arrays, and the model can be loaded on a machine without a GPU.
"""

# %%
import pickle
import time

from sklearn.datasets import load_digits

import skae

skae.show_engines()
try:
    import torch

    device = "cuda" if torch.cuda.is_available() else None
except ImportError:
    device = None

# %%
X = load_digits().data.astype("float32") / 16
model = skae.ContractiveAE(100, max_iter=50, random_state=0, device=device)
start = time.perf_counter()
codes = model.fit_transform(X)
print(f"device={device!r}: {time.perf_counter() - start:.1f} s, loss {model.loss_:.2f}")

# %%
# Pickles contain numpy arrays.
copy = pickle.loads(pickle.dumps(model)).set_params(device=None)
print("largest difference of the codes:", abs(copy.transform(X) - codes).max())
