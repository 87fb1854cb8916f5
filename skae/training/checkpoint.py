"""Checkpoints that survive a kill at any moment: written aside, then put in place in one move."""

import json
import os
import tempfile
import zipfile

import numpy as np

from .state import TrainingState


class Checkpoint:
    """Write the training state to ``path`` after each epoch.

    Parameters
    ----------
    path : path-like
    identity : dict of str
        What must be the same when training goes on: versions, parameters, a hash of the data.
    """

    def __init__(self, path, identity):
        self.path, self.identity = os.fspath(path), identity

    def epoch_begin(self, state):
        """Nothing to do."""

    def epoch_end(self, state):
        """Write the state."""
        arrays, plain = {}, {}
        for name, value in state.to_dict().items():
            (arrays if isinstance(value, np.ndarray) else plain)[name] = value
        header = json.dumps({"identity": self.identity, "state": plain})
        folder = os.path.dirname(os.path.abspath(self.path))
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, header=np.array(header), **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise
        return False

    def load(self):
        """Return the state in the file, or None where there is no file yet.

        Raises
        ------
        ValueError
            If the file is damaged, or belongs to other data or parameters.
        """
        if not os.path.exists(self.path):
            return None
        try:
            with np.load(self.path, allow_pickle=False) as file:
                header = json.loads(str(file["header"]))
                arrays = {name: file[name] for name in file.files if name != "header"}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"checkpoint={self.path!r} cannot be read ({error}). Delete it to start anew."
            ) from error
        for name, value in self.identity.items():
            if header["identity"].get(name) != value:
                raise ValueError(
                    f"checkpoint={self.path!r} belongs to another training: {name} differs. Delete "
                    "it, or set resume=False, to start anew."
                )
        return TrainingState.from_dict({**header["state"], **arrays})
