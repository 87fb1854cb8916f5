"""Checkpoints: files that are complete even if the process is killed, and whose content is checked when read."""

import json
import math
import os
import zipfile

import numpy as np

from .._protocols import Observer
from .files import check_writable, remove_leftovers, replacing
from .loop import TrainingState

_NPY_HEADER = 10_000  # upper bound on the bytes of an array's own header
_HEADER = 2**28  # upper bound on the bytes of ours
_LONGER = " With learning_rate='constant' max_iter may grow: the steps of 'cosine' end at max_iter."


def checked_path(path):
    """Return ``path`` with links followed; remove what killed writes left.

    Raise ``ValueError`` if no file can be written there.
    """
    path = os.fsdecode(path)
    try:
        if not path:
            raise OSError("it is empty")
        path = os.path.realpath(path)
        check_writable(path)
        remove_leftovers(path)
    except (OSError, ValueError) as error:  # of a null byte
        raise ValueError(
            f"checkpoint={path!r} cannot be written ({error}). Choose a path in a folder that exists "
            "and is writable."
        ) from error
    return path


class Checkpoint(Observer):
    """Write the training state to ``path`` after each epoch.

    Parameters
    ----------
    path : path-like
        File to write. Links are followed; the file keeps its mode.
    identity : dict of str
        Values that must be the same when training is resumed: versions, parameters, a hash of the data.

    Raises
    ------
    ValueError
        If no file can be written there.
    """

    keeps_states = True  # the loss of each state must be finite

    def __init__(self, path, identity):
        self.path, self.identity = checked_path(path), identity

    def epoch_end(self, state):
        """Write the state."""
        arrays, plain = _parts(state)
        header = json.dumps({"identity": self.identity, "state": plain})
        with replacing(self.path) as file:
            np.savez(file, header=np.array(header), **arrays)
        return False

    def load(self, fresh):
        """Return the state in the file, or None if there is no file yet.

        Parameters
        ----------
        fresh : TrainingState
            State before the first step: the state in the file must have arrays of the same shapes and dtypes.

        Raises
        ------
        ValueError
            If the file is damaged, or belongs to other data or parameters.
        """
        if not os.path.exists(self.path):
            return None
        try:
            with zipfile.ZipFile(self.path) as archive:
                header = json.loads(str(_array(archive, "header")))
                theirs, state = header["identity"], None
                other = [name for name, own in self.identity.items() if theirs.get(name) != own]
                if not other:
                    state = _state(archive, header["state"], fresh)
        except Exception as error:  # a file can be damaged in any way
            raise ValueError(
                f"checkpoint={self.path!r} cannot be read ({type(error).__name__}: {error}). Delete it to start anew."
            ) from error
        if other:
            longer = _LONGER if other == ["max_iter"] else ""
            raise ValueError(
                f"checkpoint={self.path!r} belongs to another training: {other[0]} differs. Delete "
                f"it, or set resume=False, to start anew.{longer}"
            )
        return state


def _parts(state):
    """Return the arrays of a state, and the rest of it."""
    arrays, plain = {}, {}
    for name, value in state.to_dict().items():
        if isinstance(value, np.ndarray):
            arrays[name] = np.asarray(value, order="C")
        else:
            plain[name] = value
    return arrays, plain


def _state(archive, plain, fresh):
    """Return the state whose arrays are in ``archive``, if training from ``fresh`` can lead to it."""
    arrays, known = _parts(fresh)
    if "best_params.npy" in archive.namelist():
        arrays["best_params"] = arrays["params"]
    _check_names(archive.namelist(), [f"{name}.npy" for name in ["header", *arrays]])
    _check_names(plain, known)
    _check_numbers(plain)
    if bool(plain["validation_curve"]) != ("best_params" in arrays):
        raise ValueError(
            "it has best parameters without errors on held-out samples, or these alone"
        )
    return TrainingState.from_dict(
        {**plain, **{name: _array(archive, name, like) for name, like in arrays.items()}}
    )


def _check_names(found, expected):
    if sorted(found) != sorted(expected):
        raise ValueError(f"it has {sorted(found)} instead of {sorted(expected)}")


def _check_numbers(plain):
    curves = plain["loss_curve"], plain["validation_curve"]
    good = (
        isinstance(plain["seed"], int)
        and 0 <= plain["seed"] < 2**32
        and isinstance(plain["n_stale"], int)
        and isinstance(plain["converged"], bool)
        and isinstance(plain["best"], float)
        and not math.isnan(plain["best"])
        and all(isinstance(curve, list) for curve in curves)
        and all(isinstance(value, float) and math.isfinite(value) for value in sum(curves, []))
        and len(curves[1]) <= len(curves[0])
        and 0 <= plain["n_stale"] <= len(curves[0])
    )
    if not good:
        raise ValueError("its history is not that of a training")


def _array(archive, name, like=None):
    """Return an array, whose shape and dtype must be those of ``like`` and are checked before it is read.

    Without ``like``, it is a string.
    """
    info = archive.getinfo(f"{name}.npy")
    limit = _NPY_HEADER + (_HEADER if like is None else like.nbytes)
    stored = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
    if not stored or info.file_size > limit:
        raise ValueError(f"{name} is compressed, or too large")
    with archive.open(info) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} has another version")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        expected = ((), "U") if like is None else (like.shape, like.dtype)
        if (shape, dtype.kind if like is None else dtype) != expected or fortran:
            raise ValueError(f"{name} has shape {shape} and dtype {dtype} instead of {expected}")
        array = np.frombuffer(file.read(), dtype).reshape(shape)
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} is not finite")
    return array
