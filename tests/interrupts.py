"""Interrupts at a chosen line of code."""

import sys


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
