"""Interrupts at a chosen place in the code."""

import sys
import threading

# Between its last two instructions, Ctrl-C leaves a lock of Python's own locked, for which a starting thread waits forever.
_LEAVES_A_LOCK = threading.Condition.__enter__.__code__


class InterruptAtLine:
    """Raise KeyboardInterrupt at one of the events in the files of ``modules`` within the block, counted from 0.

    Events are those of :func:`sys.settrace`. ``left`` is negative once it has been raised.
    """

    def __init__(self, number, *modules, events=("line",)):
        self.left, self._events = number, events
        self._files = {module.__file__ for module in modules}

    def _trace(self, frame, event, _):
        if frame.f_code.co_filename not in self._files:
            return None
        if event in self._events:
            self.left -= 1
            if self.left == -1:
                raise KeyboardInterrupt
        return self._trace

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_):
        sys.settrace(self._before)


class InterruptAtCall:
    """Raise KeyboardInterrupt where Python looks for Ctrl-C: as a function in ``folders`` begins, or has called one of C.

    ``number`` counts these events from 0; if it is negative, ``places`` gets each place and the numbers of its events.
    """

    def __init__(self, number, *folders):
        self._number, self._folders, self._count = number, folders, 0
        self.places = {}

    def _profile(self, frame, event, called):
        code = frame.f_code
        if event not in ("call", "c_return") or not code.co_filename.startswith(self._folders):
            return
        if code is _LEAVES_A_LOCK and event == "c_return":
            return
        if self._number < 0:
            place = code, event, frame.f_lineno if event == "c_return" else None
            self.places.setdefault(place, []).append(self._count)
        self._count += 1
        if self._count == self._number + 1:
            raise KeyboardInterrupt

    def __enter__(self):
        self._before = sys.getprofile()
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_):
        sys.setprofile(self._before)
