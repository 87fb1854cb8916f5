"""
Samples of a denoiser
=====================

A deep denoising auto-encoder learns to remove salt-and-pepper noise from digits. Its chain adds such noise and draws
new pixels from the reconstruction (walkback, Bengio et al. 2013). It begins with noise. After a few steps each state is
a digit, and the chain visits all classes.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from skae import DenoisingAE
from skae.generative import sample_walkback
from skae.plotting import ChainDisplay

X, y = load_digits(return_X_y=True)
X = X / 16
rng = np.random.default_rng(0)
# A gray pixel is on with the probability of its value: the chain draws pixels, so training must contain drawn ones.
drawn = (rng.random((10, *X.shape)) < X).reshape(-1, 64).astype(np.float32)
dae = DenoisingAE(
    256,
    hidden_layer_sizes=(256,),
    activation="relu",
    tied_weights=False,
    loss="bernoulli",
    corruption="salt_and_pepper",
    corruption_level=0.4,
    learning_rate_init=1e-3,
    batch_size=100,
    max_iter=40,
    random_state=0,
).fit(drawn)

# %%
# 200 chains from noise, 300 steps each, whose last states a nearest-neighbors classifier labels.
noise = rng.random((200, 64)).astype(np.float32)
states = sample_walkback(dae, noise, n_steps=300, random_state=0)
images = np.stack([dae.reconstruct(state) for state in states[::10]])
neighbors = KNeighborsClassifier(3).fit(X, y)
shares = np.bincount(neighbors.predict(images[-1]), minlength=10) / len(noise)
visited = np.mean([len(set(neighbors.predict(chain))) for chain in images.transpose(1, 0, 2)])
print("share of each digit:", " ".join(f"{share:.2f}" for share in shares))
print(f"a chain visits {visited:.1f} digits in 300 steps")

# %%
# Each row is a chain: its start, then every thirtieth state, shown as the mean of its pixels.
figure, axes = plt.subplots(1, 2, figsize=(11, 5), width_ratios=[2, 1], layout="constrained")
ChainDisplay.from_states(images, start=noise, ax=axes[0])
axes[0].set_title("Eight chains from noise (left), every thirtieth state")
axes[1].bar(np.arange(10), 100 * shares)
axes[1].axhline(10, color="black", linewidth=1)
axes[1].set(xlabel="digit", ylabel="last states (%)", title="All classes occur", xticks=range(10))
figure.suptitle("From noise, chains walk through digits of all classes", weight="bold")
figure.savefig("denoiser_samples.png")
print("Saved denoiser_samples.png.")
