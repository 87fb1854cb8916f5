"""The compilation of kernels and their cache on disk."""

import hashlib
import logging
import os
import pickle
import signal
import threading
from functools import cache, wraps
from pathlib import Path

from numba import config, njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.serialize import dumps

from .._version import __version__

# Calls of a kernel by another are always inlined: otherwise the first process runs the called one as it was compiled
# by itself, and later ones the copy that is stored with the caller, which is optimized once more and rounds differently.
_OPTIONS = {"nogil": True, "forceinline": True, "error_model": "numpy"}
# Everything except the flags that would make isfinite(nan) true.
_FAST = {"reassoc", "contract", "nsz", "arcp", "afn"}
_CACHE = os.environ.get("SKAE_NUMBA_CACHE", "1") != "0"


def kernel(function):
    """Compile ``function`` at its first call, and cache the result on disk if possible.

    If no folder can be written (read-only install and no home), the disk is full or files are damaged, the kernel is
    kept in memory only. Set ``SKAE_NUMBA_CACHE=0`` to never write.
    """
    return _compiled(function, _FAST)


def strict_kernel(function):
    """Like :func:`kernel`, with each operation rounded as it is written: the same bits on any processor.

    Functions of the array API can then give the same bits.
    """
    return _compiled(function, False)


def _compiled(function, fastmath):
    compiled = njit(fastmath=fastmath, **_OPTIONS)(function)
    if config.DISABLE_JIT:
        return compiled
    compiled.compile = _uninterrupted(compiled.compile)
    if _CACHE:
        try:
            compiled._cache = _KernelCache(function)
        except RuntimeError:
            pass  # numba finds no folder that can be written
    return compiled


def _uninterrupted(compilation):
    """Return ``compilation`` with Ctrl-C put off until its end: numba cannot begin an interrupted one again."""

    @wraps(compilation)
    def complete(*args):
        in_main_thread = threading.current_thread() is threading.main_thread()
        if not in_main_thread or signal.getsignal(signal.SIGINT) is None:
            return compilation(*args)  # which Python does not interrupt
        interrupts = []
        before = signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
        try:
            return compilation(*args)
        finally:
            signal.signal(signal.SIGINT, before)
            if interrupts:
                signal.raise_signal(signal.SIGINT)

    return complete


class _Checked(CompileResultCacheImpl):
    """Machine code with its hash, as damaged code may end the process.

    The hash covers the kernel files, since another version that compiles at the same time may write to the same file.
    """

    def reduce(self, result):
        content = dumps(super().reduce(result))
        return _hash(content), content

    def rebuild(self, target_context, reduced):
        expected, content = reduced
        if _hash(content) != expected:
            raise ValueError("damaged, or code of other kernels")
        return super().rebuild(target_context, pickle.loads(content))


class _KernelCache(FunctionCache):
    """Machine code on disk, valid for the current state of all kernel files, since a kernel may inline others."""

    _impl_class = _Checked

    def _index_key(self, signature, codegen):
        return (*super()._index_key(signature, codegen), __version__, _state_of_kernels())

    def load_overload(self, signature, target_context):
        """Return the machine code, or None if it is missing or unreadable; announce the compilation once."""
        try:
            found = super().load_overload(signature, target_context)
            if found is not None and found.signature.args != tuple(signature):
                raise ValueError("code of other types, which a process wrote at the same time")
        except Exception:
            self._start_anew()
            found = None
        if found is None:
            _announce_compilation()
        return found

    def save_overload(self, signature, data):
        """Write machine code, unless the disk is full or cannot be written."""
        try:
            super().save_overload(signature, data)
        except Exception:
            self._start_anew()

    def _start_anew(self):
        try:
            self.flush()
        except OSError:
            pass


@cache
def _announce_compilation():
    """Log once per process why the first call takes seconds."""
    logging.getLogger("skae").warning(
        "Compiling numba kernels that were not used before on this machine, once for each version of skae; this takes seconds."
    )


def _hash(content):
    """Return a hash of machine code and of the kernel files that it comes from."""
    return hashlib.sha256(_state_of_kernels().encode() + content).hexdigest()


@cache
def _state_of_kernels():
    """Return a hash of all kernel files."""
    state = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        state.update(path.name.encode() + path.read_bytes())
    return state.hexdigest()
