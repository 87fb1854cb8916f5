"""The layers of a stack while they are trained, and the network to which their weights are copied."""

from contextlib import contextmanager

import numpy as np

from .._arrays.namespace import like
from .._estimators.callbacks import end_callbacks_of
from .._estimators.devices import computing, prototype_of_parts
from .._estimators.fitting import by_block, is_fitted
from .._estimators.layer import NetworkLayer, weights_of
from .._estimators.subestimators import fill_layers


class LayersInTraining:
    """The layers of a stack in training, and the network to which their weights are copied.

    Iteration yields (name, layer, start) from the lowest layer up. Only one matrix of codes is in memory at a time; the
    network computes it from X block by block.

    Parameters
    ----------
    layers : list of (str, estimator)
        Layers, which are fitted in place.
    model : Model
        The network, whose encoder consists of the layers end to end and possibly more layers; its parameters; and the
        units in which the first layer sees X.
    data : FitData
        The data from which the layers learn.
    callbacks : Callbacks
        Callbacks of the whole fit, of which the layers are parts.
    noise_below : bool
        Whether noise is added to X instead of to the codes.
    """

    def __init__(self, layers, model, data, callbacks, noise_below):
        self.model, self.data = model, data
        self.callbacks, self.noise_below = callbacks, noise_below
        depths = [len(layer.layer_shapes()) for _, layer in layers]
        starts = np.cumsum([0, *depths[:-1]]).tolist()
        self._layers = [(name, layer, start) for (name, layer), start in zip(layers, starts)]

    def __iter__(self):
        return iter(self._layers)

    @contextmanager
    def fitting(self, name, layer, start):
        """Copy the weights of ``layer`` to the network, however its training ends, and name it in errors.

        If the layer was not trained by its ``fit``, its callbacks end here.
        """
        self.callbacks.epoch_begin(None)
        try:
            try:
                yield
            except BaseException:  # also Ctrl-C
                if is_fitted(layer):
                    self.copy_weights(layer, start)
                raise
            self.copy_weights(layer, start)
        except (TypeError, ValueError) as error:
            error.args = (f"In the layer {name!r}: {error}",)
            raise
        finally:
            end_callbacks_of([layer])
        self.callbacks.epoch_end(None)

    def copy_weights(self, layer, start):
        """Copy the weights of ``layer`` to the network, from its layer ``start`` on."""
        fill_layers(self.model.params, start, weights_of(layer, self.model.network.sizes[start]))

    @property
    def rows(self):
        """The inputs of the network, which are scaled when they are taken: ndarray, CSR matrix or ScaledRows."""
        return self.model.scaling.rows(self.data.X)

    def codes(self, n_layers):
        """Return the outputs of the first ``n_layers`` layers of the network for X."""
        rows, network = self.rows, self.model.network
        if not n_layers:
            return rows
        prototype, params = prototype_of_parts(), self.model.params
        if prototype is not None:
            params = network.views(like(self.model.flat, prototype))
        with computing(self._layers[0][1], prototype, rows.dtype):
            return by_block(
                rows,
                lambda x: network.encode(params, x, n_layers=n_layers),
                network.sizes[n_layers],
                prototype=prototype,
            )

    def data_of(self, start):
        """Return what the layer at ``start`` learns from, codes of X above the first one, and its weights."""
        return (self.codes(start), self.data.sample_weight) if start else self.data.for_part()

    def below(self, start):
        """Return activations and parameters of the network below its layer ``start``."""
        names, params = self.model.network.activation_names, self.model.params
        return [names[:start], params.encoder_weights[:start], params.encoder_biases[:start]]

    def begin(self, layer, start):
        """Let the layer check its training data; return its ``Problem`` and first state."""
        training = layer.layer_training()
        problem, state = training.begin(*self.data_of(start))
        if start and self.noise_below and training.make_noise is not None:
            # The noise is that of the columns of X, to which it is added, and not that of the codes.
            problem.objective.corruption = training.make_noise(self.model.units)
        return problem, state

    def check_networks(self, option):
        """Raise, with the ``option`` that needs them, if a layer is no ``NetworkLayer``."""
        for name, layer, _ in self:
            if not isinstance(layer, NetworkLayer):
                raise ValueError(
                    f"{option} needs auto-encoders or RBMs as layers; {name!r} is {layer!r}."
                )

    def check_noise_below(self):
        """Raise if a layer cannot learn from codes of X with noise."""
        self.check_networks("corrupted='input'")
        for name, layer, _ in self._layers[1:]:
            if layer.layer_training().weighs_cells:
                raise ValueError(
                    f"corrupted='input' adds the noise to X, so that no cells of the codes are corrupted, which the emphasis of the "
                    f"layer {name!r} needs: set its emphasis=None, or corrupted='code'."
                )
