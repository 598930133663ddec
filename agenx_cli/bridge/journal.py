"""Writing down what happens without making the media wait: in order, in one thread of its own."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from agenx_cli.errors import StoreError

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Journal:
    """Runs storage calls one after the other in a thread. A call that fails is logged, and the next one runs."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    def note(self, write: Callable[[], T]) -> "Future[T]":
        """Write soon, after everything noted before. The future is for whoever needs it committed."""
        future = self._thread.submit(write)
        future.add_done_callback(_complain)
        return future

    async def write(self, write: Callable[[], T]) -> T:
        """Write now and come back when it is committed. Raises what the write raises."""
        return await asyncio.wrap_future(self.note(write))

    def close(self) -> None:
        """Finish what was noted."""
        self._thread.shutdown(wait=True)


def _complain(future: "Future[T]") -> None:
    error = None if future.cancelled() else future.exception()
    if isinstance(error, StoreError):
        logger.error("journal.write_failed", extra={"reason": error.message})
    elif error is not None:
        logger.error("journal.write_failed", exc_info=error)
