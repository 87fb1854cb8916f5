"""
Training on a cluster
=====================

One model is trained on the workers of a Dask cluster, here two threads of this process, and codes are computed lazily.
For another cluster, only the line with ``LocalCluster`` changes, to ``Client("tcp://scheduler:8786")``.
"""

# %%
import numpy as np
from dask import array
from distributed import Client, LocalCluster
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import AutoEncoder
from skae.distributed import Distributed

X = load_digits().data.astype(np.float32) / 16
rows = array.from_array(X, chunks=(300, 64))  # such as array.from_zarr("rows.zarr")
model = AutoEncoder(20, max_iter=30, random_state=0)

# %%
# If all workers compute the gradient of each minibatch, the steps are those of one process. ``sync_every`` averages
# parameters instead, and waits less for the network. As each of two parts takes half of the steps of an epoch, there
# are twice as many epochs.
options = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
with LocalCluster(**options) as cluster, Client(cluster):
    exact = Distributed(model, n_parts=2).fit(rows)
    longer = clone(model).set_params(max_iter=60)
    averaged = Distributed(longer, n_parts=2, sync_every=4).fit(rows)

for name, each in {"one process": model.fit(X), "exact": exact, "averaged": averaged}.items():
    print(f"{name:12} {each.score(X):.4f}")

# %%
# ``to_local`` returns the plain fitted estimator, and codes of a Dask array need no cluster.
codes = exact.transform(rows)
print(codes)
print(type(exact.to_local()).__name__, codes[:3].compute().shape)
