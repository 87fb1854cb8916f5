"""
The uncertainty of an auto-encoder
==================================

The criterion of an auto-encoder is used as a joint energy of data and parameters (Bengio, Courville & Vincent
2012). Parameters drawn given the data then show how certain a reconstruction is: the draws agree along the arc of the
data, and differ more and more away from it. Data drawn given the parameters return to the
neighborhood of the arc, its inside included.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import pairwise_distances_argmin_min

from skae import ContractiveAE
from skae.generative import JointEnergy

NOISE = 0.15
rng = np.random.default_rng(0)
angle = rng.uniform(0.15 * np.pi, 0.85 * np.pi, 60)
X = np.column_stack([np.cos(angle), np.sin(angle)]) + NOISE * rng.standard_normal((60, 2))
grid = np.linspace(-2, 2, 80)
plane = np.column_stack([part.ravel() for part in np.meshgrid(grid, grid)])

# %%
# The code is wider than the data; the contraction of the reconstruction keeps x near the arc. The temperature is the
# variance of the noise. R-hat tells how reliable the spread of r(x) is: it is below 1.1 where the chains agree, and
# larger far from the data, where only the order of magnitude of the spread is known.
base = ContractiveAE(20, activation="tanh", loss="gaussian", solver="lbfgs", random_state=0)
base.set_params(contracted="reconstruction", contraction=0.02)
model = JointEnergy(base, n_draws=400, temperature=NOISE**2, random_state=0).fit(X)
spread = np.linalg.norm(model.predict_distribution(plane).standard_deviation, axis=1)
r_hat = model.diagnose(plane).r_hat.max(axis=1)
_, distance = pairwise_distances_argmin_min(plane, X)
edges = [0, 0.1, 0.5, 1, 1.5, np.inf]
print("distance from the data   standard deviation of r(x)   R-hat, median")
for low, high in zip(edges, edges[1:]):
    there = (low <= distance) & (distance < high)
    print(f"{low:15.1f} and up {spread[there].mean():22.3f} {np.median(r_hat[there]):19.3f}")

# %%
# Left: the standard deviation of r(x) over the draws. Right: chains that begin at normal noise, at their start and end.
start = rng.normal(X.mean(axis=0), 0.8, (200, 2))
samples = model.sample(x0=start, n_steps=300, step_size=0.1, random_state=0)
for name, rows in {"start": start, "end": samples}.items():
    _, far = pairwise_distances_argmin_min(rows, X)
    print(f"{name} of the chains: {np.median(far):.2f} from the nearest row, in the median")

figure, (left, right) = plt.subplots(
    1, 2, figsize=(12, 5.2), layout="constrained", sharex=True, sharey=True
)
field = left.pcolormesh(grid, grid, spread.reshape(80, 80), cmap="viridis", rasterized=True)
left.scatter(*X.T, s=12, color="white", label="data")
left.set_title("Away from the data the draws of r(x) differ")
figure.colorbar(field, ax=left, label="standard deviation of r(x)")
right.scatter(*start.T, s=6, color="0.8", label="start of the chains")
right.scatter(*samples.T, s=8, color="tab:orange", label="samples given the parameters")
right.scatter(*X.T, s=10, color="tab:blue", label="data")
right.set_title("Samples of x return to the neighborhood of the data")
for ax in (left, right):
    ax.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal", xlim=(-2, 2), ylim=(-2, 2))
left.legend(loc="lower left", facecolor="0.3", labelcolor="white")
right.legend(loc="lower left")
figure.savefig("joint_energy.png")
print("Saved joint_energy.png.")
