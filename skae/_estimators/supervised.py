"""An encoder with an output layer above it: targets, noise at the inputs, training and prediction."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._compat import Interval, StrOptions
from ..nn.composition import SharedEncoder
from ..nn.corruption import CORRUPTIONS, make_input_noise
from ..nn.losses import Reconstruction
from ..nn.objective import Objective
from ..nn.penalties import weight_decays
from ..training.problem import Problem
from ..training.solvers import LBFGS
from ..training.state import TrainingState
from .fitted import FittedNetwork
from .fitting import DTYPES, by_block, counted_rows, validated_rows
from .training import TrainedModel

# Of the inputs, where there are many, as in pictures: fewer say less about one that is masked.
_MASKED, _MANY_INPUTS, _LEAST_MASKED = 0.3, 500, 0.05


@dataclass
class Targets:
    """What a network is to put out.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_outputs)
    unit : loss of :mod:`skae.nn.losses`
        Output units.
    labeled : ndarray of bool of shape (n_samples,)
    bias : ndarray of shape (n_outputs,) or float
        Output biases to begin with.
    strata : ndarray of shape (n_samples,) or None
        Classes of which held-out rows should have the same shares.
    """

    values: np.ndarray
    unit: type
    labeled: np.ndarray
    bias: np.ndarray | float = 0.0
    strata: np.ndarray | None = None

    def of_rows(self, rows):
        """Return the targets of some rows."""
        parts = {name: getattr(self, name) for name in ("values", "labeled", "strata")}
        parts = {name: each if each is None else each[rows] for name, each in parts.items()}
        return replace(self, **parts)


@dataclass(kw_only=True, eq=False, repr=False)
class NoisyInputs:
    """Noise at the inputs of a network while all of its layers are trained together."""

    corruption: object = "auto"
    corruption_level: float = 0.3

    _parameter_constraints: ClassVar[dict] = {
        "corruption": [StrOptions({"auto", *CORRUPTIONS}), callable, None],
        "corruption_level": [Interval(Real, 0, None, closed="left")],
    }


@dataclass(kw_only=True, eq=False, repr=False)
class BaseSupervised(NoisyInputs, TrainedModel, FittedNetwork, ABC):
    """An encoder with an output layer above it, trained together: everything but the encoder and the kind of targets."""

    weight_decay: float = 0.0
    dropout: float = 0.0
    learning_rate_init: float = 3e-3
    learning_rate: str = "cosine"
    batch_size: int = 64
    max_iter: int | str = "auto"
    frozen: object = 0
    refit: bool = False

    _parameter_constraints: ClassVar[dict] = {
        **TrainedModel._parameter_constraints,
        **NoisyInputs._parameter_constraints,
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "frozen": [StrOptions({"all"}), Interval(Integral, 0, None, closed="left")],
        "refit": ["boolean"],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
    }

    @abstractmethod
    def _targets(self, y, dtype):
        """Return the ``Targets`` of ``y``, and set what prediction needs."""

    @abstractmethod
    def _errors(self, outputs, values):
        """Return the error of each row that early stopping looks at."""

    def _check_supervised_data(self, X, y, sample_weight):
        """Return X, the weights of its rows without labels and with them, and the ``Targets``."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        self._noise(1, None)
        self._check_refit()
        X = validated_rows(self, X, dtype=DTYPES)
        check_consistent_length(X, y)
        X, weights, counted = counted_rows(X, sample_weight)
        targets = self._targets(y, X.dtype).of_rows(counted)
        balanced = self._balanced(weights, targets)
        if balanced is not None and not balanced[targets.labeled].sum() > 0:
            raise ValueError(
                "sample_weight and class_weight must have a positive sum over the rows with a label."
            )
        targets.bias = self._output_bias(targets, weights)
        return X, weights, balanced, targets

    def _output_bias(self, targets, weights):
        """Return the biases that the output units begin with."""
        return 0.0

    def _add_output(self, widths, activations, targets, unit, *, n_inputs=None):
        """Set the shape of the network and the output units; return the state before the first step.

        There are as many inputs as columns of X that vary, unless ``n_inputs`` says otherwise.
        """
        n_outputs = targets.values.shape[1]
        if self.frozen != "all" and self.frozen > len(widths):
            raise ValueError(
                f"frozen={self.frozen} is more than the {len(widths)} hidden layers; 'all' means all of them."
            )
        self._shape = {
            "sizes": (n_inputs or self._units.scaling.n_inputs, *widths, n_outputs),
            "activation": (*activations, "identity"),
            "decoder": None,
            "dropout": self.dropout,
        }
        self._output_units = Reconstruction([unit(np.arange(n_outputs))])
        network = self._network
        state = self._start(network, targets.values.dtype)
        # An output layer that begins with the best constant does not shake the layers below.
        params = network.views(state.params)
        params.encoder_weights[-1][...], params.encoder_biases[-1][...] = 0, targets.bias
        return state

    def _train_outputs(
        self,
        inputs,
        targets,
        weights,
        state,
        rows,
        penalties=(),
        observers=(),
        *,
        factors=None,
        beside=None,
        **options,
    ):
        """Train all layers to predict ``targets`` from ``inputs``, on ``rows``.

        By ``factors`` rows count more in the supervised loss than in that of ``beside``, if there is one; ``options``
        are those of ``Problem``.
        """
        network, noise = self._network, self._noise(inputs.shape[1], self._units.groups)
        n_frozen = self._n_encoder_layers if self.frozen == "all" else self.frozen
        objective = Objective(
            network,
            self._loss,
            corruption=noise,
            penalties=[*penalties, *weight_decays(self.weight_decay)],
            n_frozen=n_frozen,
            row_factors=factors,
        )
        if beside is not None:
            second = Objective(beside.network, beside.loss, corruption=noise, n_frozen=n_frozen)
            objective = SharedEncoder(objective, second, beside.weight)
            state.params = objective.join(state.params, beside.flat)
            state.solver = self.make_solver().start(state.params)
        problem = Problem(
            objective,
            inputs,
            weights,
            targets.values,
            rows=rows,
            strata=targets.strata,
            observers=observers,
            labeled=targets.labeled,
            **options,
        )
        problem.monitor = self._monitor(network, problem, targets.labeled)
        start = TrainingState.from_dict(state.to_dict())
        self.train(problem, state)
        if self.refit:
            self._train_again(problem, start)

    def _check_refit(self):
        if not self.refit:
            return
        if not self.early_stopping:
            raise ValueError(
                "refit=True needs early_stopping=True, which chooses the number of epochs."
            )
        if isinstance(self.make_solver(), LBFGS):
            raise ValueError(
                f"refit=True needs a solver of minibatches, whose epochs are chosen; got solver={self.solver!r}."
            )

    def _train_again(self, problem, start):
        """Train from ``start`` on, on all rows, for the number of epochs after which the error was least."""
        chosen = {name: self._state[name] for name in ("validation_curve", "converged")}
        self._train_for(problem, start, int(np.argmin(chosen["validation_curve"])) + 1)
        self._state |= chosen

    def _noise(self, n_inputs, groups):
        """Return the corruption of ``n_inputs`` inputs in training, the first of which may be in groups, or None."""
        if groups is not None:
            groups = np.append(groups, np.arange(len(groups), n_inputs))
        if self.corruption != "auto":
            return make_input_noise(self.corruption, self.corruption_level, groups)
        level = _MASKED * min(1, n_inputs / _MANY_INPUTS)
        return None if level < _LEAST_MASKED else make_input_noise("masking", level, groups)

    def _balanced(self, weights, targets):
        """Return the weights of the samples in fine-tuning."""
        return weights

    def _monitor(self, network, problem, labeled):
        def monitor(rows):
            rows = rows[labeled[rows]]
            if not rows.size:
                raise ValueError(
                    "early_stopping=True leaves no sample with a label for validation; raise "
                    "validation_fraction or label more samples."
                )
            X, targets, width = problem.X[rows], problem.targets[rows], network.sizes[-1]
            weights = None if problem.sample_weight is None else problem.sample_weight[rows]

            def error(params):
                views = network.views(params)
                outputs = by_block(X, lambda x: self._means(network, views, x), width)
                return float(np.average(self._errors(outputs, targets), weights=weights))

            return error

        return monitor

    def _outputs(self, X):
        """Return the means of the output units, of shape (n_samples, n_outputs)."""
        check_is_fitted(self)
        network = self._network
        params = network.views(self._params)

        def means(x):
            return self._means(network, params, self._inputs(x))

        return self._by_block(X, means, self._shape["sizes"][-1])

    def _inputs(self, X):
        """Return what the network sees of dense rows of X."""
        return self._units.scaling.apply(X)

    def _means(self, network, params, x):
        return self._loss.activate(network.encode(params, x))

    @property
    def _loss(self):
        return self._output_units

    @property
    def _n_encoder_layers(self):
        return len(self._shape["sizes"]) - 2
