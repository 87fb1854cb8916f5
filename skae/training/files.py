"""Files that are written to a temporary name and moved into place, so that a kill at any moment leaves a whole one."""

import os
import re
import secrets
import stat
from contextlib import contextmanager, suppress

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed
    fcntl = None


@contextmanager
def replacing(path):
    """Open a file that replaces ``path``, with its mode, when the block ends without an error.

    Links are followed. Errors of the system have the name of a file.
    """
    path = os.path.realpath(os.fsdecode(path))
    name = _name_next_to(path)
    try:
        with _opened(name) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileNotFoundError):
                os.chmod(name, stat.S_IMODE(os.stat(path).st_mode))
            if fcntl is not None:  # before closing the file releases the lock
                os.replace(name, path)
        if fcntl is None:
            os.replace(name, path)
    except BaseException as error:  # Ctrl-C may also come before the file has been opened
        with suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = path  # a full disk does not say where it is
        raise


def check_writable(path):
    """Raise OSError if no file can be put at ``path``, which must not be a link to another one."""
    if os.path.islink(path) or (os.path.exists(path) and not os.path.isfile(path)):
        raise OSError("it is not a regular file")  # or a link to itself
    name = _name_next_to(path)
    try:
        _opened(name).close()
        os.unlink(name)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def remove_leftovers(path):
    """Remove the temporary files that killed writes of ``path`` left."""
    folder, name = os.path.split(path)
    ours = re.compile(re.escape(name) + r"\.[0-9a-f]{8}\.tmp")
    for other in filter(ours.fullmatch, os.listdir(folder)):
        with suppress(OSError):  # also for a file that is being written
            if fcntl is not None:
                with open(os.path.join(folder, other), "r+b") as file:
                    _lock(file, wait=False)
            os.unlink(os.path.join(folder, other))


def _name_next_to(path):
    """Return the name of a temporary file for ``path``."""
    return f"{path}.{secrets.token_hex(4)}.tmp"


def _opened(name):
    """Return a new open file, locked until it is closed."""
    while True:
        try:
            file = open(name, "xb")
        except FileNotFoundError as error:  # it has the name of the temporary file
            raise FileNotFoundError(error.errno, error.strerror, os.path.dirname(name)) from None
        with suppress(OSError):  # a file system without locks
            _lock(file, wait=True)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # removed as a leftover before it was locked


def _lock(file, wait):
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
