"""A TopK sparse auto-encoder in PyTorch, as usually written after Gao et al. 2024: the baseline for skae's."""

import numpy as np
import torch
from torch.nn import functional as F


class TorchSAE:
    """Encoder relu(W (x - c) + b) of which the k largest stay, decoder with columns of norm 1, fused Adam.

    Parameters
    ----------
    n_inputs, n_features, k : int
    rate : float
        Of Adam; falls to 0 along half a cosine.
    aux : float
        Weight of the normalized loss of dead features.
    dead_after : int
        Minibatches without activity.
    compiled : bool
        Whether ``torch.compile`` compiles the objective.
    """

    def __init__(
        self, n_inputs, n_features, k, *, rate=1e-3, aux=1 / 32, dead_after=20, compiled=False
    ):
        torch.manual_seed(0)
        atoms = F.normalize(torch.randn(n_features, n_inputs), dim=1)
        self.D = atoms.clone().requires_grad_()
        self.W = atoms.clone().requires_grad_()
        self.b = torch.zeros(n_features, requires_grad=True)
        self.c = torch.zeros(n_inputs, requires_grad=True)
        self.k, self.k_aux, self.aux, self.dead_after = k, n_inputs // 2, aux, dead_after
        self.idle = torch.zeros(n_features, dtype=torch.int64)
        self.rate = rate
        self.optimizer = torch.optim.Adam([self.D, self.W, self.b, self.c], lr=rate, fused=True)
        self.objective = torch.compile(self._objective) if compiled else self._objective

    def pre_activations(self, x):
        """Return W (x - c) + b."""
        return F.linear(x - self.c, self.W, self.b)

    def encode(self, x):
        """Return dense codes."""
        return self._winners(self.pre_activations(x), self.k)

    def _winners(self, a, k):
        top = torch.topk(a, k, dim=1)
        return torch.zeros_like(a).scatter(1, top.indices, F.relu(top.values))

    def _objective(self, x):
        a = self.pre_activations(x)
        h = self._winners(a, self.k)
        error = x - (h @ self.D + self.c)
        return error.square().sum(1).mean() / 2, a, h, error

    def _loss_of_dead(self, x, a, error):
        dead = torch.nonzero(self.idle >= self.dead_after).ravel()
        if not (len(dead) and self.aux):
            return 0
        h = self._winners(a[:, dead], min(self.k_aux, len(dead)))
        rest = error.detach()
        variation = (x - x.mean(0)).square().sum()
        missed = (rest - h @ self.D[dead]).square().sum(1).mean() / 2
        return self.aux * missed * variation / rest.square().sum().clamp_min(1e-12)

    def step(self, x):
        """Take one step."""
        self.optimizer.zero_grad()
        loss, a, h, error = self.objective(x)
        total = loss + self._loss_of_dead(x, a, error)
        total.backward()
        with torch.no_grad():
            self.D.grad -= (self.D.grad * self.D).sum(1, keepdim=True) * self.D
            self.optimizer.step()
            self.D.copy_(F.normalize(self.D, dim=1))
            self.idle += 1
            self.idle[(h > 0).any(0)] = 0
        return float(loss.detach())

    def fit(self, X, n_epochs, batch_size):
        """Train on an array."""
        data, n_steps, step = torch.from_numpy(X), n_epochs * -(-len(X) // batch_size), 0
        for _ in range(n_epochs):
            for rows in torch.randperm(len(data)).split(batch_size):
                for group in self.optimizer.param_groups:
                    group["lr"] = self.rate * (1 + np.cos(np.pi * step / n_steps)) / 2
                self.step(data[rows])
                step += 1

    def atoms(self):
        """Return the decoder's rows."""
        return self.D.detach().numpy()

    @torch.no_grad()
    def transform(self, X):
        """Return dense codes, block by block."""
        return torch.cat([self.encode(x) for x in torch.from_numpy(X).split(1024)]).numpy()

    @torch.no_grad()
    def reconstruct(self, X):
        """Return reconstructions."""
        blocks = torch.from_numpy(X).split(1024)
        return torch.cat([self.encode(x) @ self.D + self.c for x in blocks]).numpy()
