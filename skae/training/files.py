"""Files that are written aside and put in place in one move, so that a kill at any moment leaves a whole one."""

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
    """Open a file that takes the place of ``path``, and its mode, when the block ends without an error.

    A link is followed.
    """
    path = os.path.realpath(path)
    file = _opened_beside(path)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileNotFoundError):
                os.chmod(file.name, stat.S_IMODE(os.stat(path).st_mode))
            if fcntl is not None:  # before the lock goes with the open file
                os.replace(file.name, path)
        if fcntl is None:
            os.replace(file.name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(file.name)
        raise


def check_writable(path):
    """Raise OSError where no file can be put at ``path``, which is no link to another one."""
    if os.path.islink(path) or (os.path.exists(path) and not os.path.isfile(path)):
        raise OSError("it is not a regular file")  # or a link to itself
    file = _opened_beside(path)
    file.close()
    os.unlink(file.name)


def remove_leftovers(path):
    """Remove what writes of ``path`` that were killed have left beside it."""
    folder, name = os.path.split(path)
    ours = re.compile(re.escape(name) + r"\.[0-9a-f]{8}\.tmp")
    for other in filter(ours.fullmatch, os.listdir(folder)):
        with suppress(OSError):  # of one that is being written, too
            if fcntl is not None:
                with open(os.path.join(folder, other), "r+b") as file:
                    _lock(file, wait=False)
            os.unlink(os.path.join(folder, other))


def _opened_beside(path):
    """Return a new open file, locked until it is closed."""
    while True:
        file = open(f"{path}.{secrets.token_hex(4)}.tmp", "xb")
        with suppress(OSError):  # a file system without locks
            _lock(file, wait=True)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # removed as a leftover before it was locked


def _lock(file, wait):
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
