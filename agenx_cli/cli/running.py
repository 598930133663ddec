"""An event loop for a command that talks: the first Ctrl-C asks it to end well, the second to end now."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

INTERRUPTED = {signal.SIGINT: 130, signal.SIGTERM: 143}
if sys.platform != "win32":
    INTERRUPTED[signal.SIGHUP] = 129


class Interrupts:
    """``drain`` is set by the first signal, ``stop`` by the second. Until ``ready`` the first one ends the command."""

    def __init__(self) -> None:
        self.drain = asyncio.Event()
        self.stop = asyncio.Event()
        self.exit_code = 0
        self._starting = asyncio.current_task()

    def ready(self) -> None:
        """All is up: from here on a signal is for the command to act on."""
        self._starting = None

    def arrive(self, signum: int) -> None:
        """A signal came (on the event loop)."""
        self.exit_code = self.exit_code or INTERRUPTED[signal.Signals(signum)]
        (self.stop if self.drain.is_set() else self.drain).set()
        if self._starting is not None:
            self._starting.cancel()


def run(main: Callable[[Interrupts], Coroutine[Any, Any, int]]) -> int:
    """Run a command's coroutine with signals on; gives its exit code."""

    async def guarded() -> int:
        interrupts, loop = Interrupts(), asyncio.get_running_loop()

        def arrived(signum: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(interrupts.arrive, signum)

        heard = [signum for signum in INTERRUPTED if signal.getsignal(signum) is not signal.SIG_IGN]  # nohup
        before = {signum: signal.signal(signum, arrived) for signum in heard}
        try:
            return await main(interrupts)
        except asyncio.CancelledError:
            if interrupts.exit_code:
                return interrupts.exit_code
            raise
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    if sys.platform == "win32":
        return asyncio.run(guarded())
    import uvloop

    return uvloop.run(guarded())
