"""Run the real command line, and kill it with SIGKILL at a named point. Nothing of it is changed.

``python doomed.py POINT DELAY_MS agenx-arguments…``. The points are seen from outside our code: Python's audit hooks
see files being opened, SQLAlchemy's events see what a transaction wrote and when its connection came back from it.
A kill comes ``DELAY_MS`` after its point, so that 0 is the point itself.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

POINTS: dict[str, Callable[[str], bool]] = {
    "admitted": lambda sql: sql.startswith("INSERT INTO attempts"),
    "begun": lambda sql: sql.startswith("UPDATE attempts") and "dialed_at=" in sql,
    "held": lambda sql: sql.startswith("INSERT INTO meetings"),
    "booked": lambda sql: sql.startswith("UPDATE meetings"),
    "opted_out": lambda sql: sql.startswith("INSERT INTO suppression"),
}
"""Points right behind the commit of a transaction that wrote such a statement."""

BEFORE_ICS = "before_ics"
"""The point before the first byte of a meeting's file."""


def main() -> None:
    """Arm the point, then be ``agenx``."""
    point, delay_ms, *arguments = sys.argv[1:]
    sys.argv = ["agenx", *arguments]

    def die() -> None:
        if delay_ms == "0":
            os.kill(os.getpid(), KILL)
        threading.Thread(target=_die_soon, args=(int(delay_ms) / 1000,), daemon=True).start()

    if point == BEFORE_ICS:
        sys.addaudithook(lambda name, args: die() if name == "open" and _is_meeting(args[0]) else None)
    else:
        _after_commit(POINTS[point], die)

    from agenx_cli.__main__ import main as agenx

    agenx()


KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
"""On Windows any signal to another console's process ends it at once."""


def _die_soon(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), KILL)


def _is_meeting(path: object) -> bool:
    text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
    return text.endswith(".tmp") and Path(text).parent.name == "meetings"


def _after_commit(matches: Callable[[str], bool], die: Callable[[], None]) -> None:
    """A connection comes back to the pool behind its COMMIT; a rollback disarms it."""

    def executed(connection, _cursor, statement, _parameters, _context, _many) -> None:
        if matches(" ".join(statement.split())):
            connection.info["doomed"] = True

    def undone(connection) -> None:
        connection.info.pop("doomed", None)

    def returned(_raw, record) -> None:
        if record.info.pop("doomed", False):
            die()

    event.listen(Engine, "after_cursor_execute", executed)
    event.listen(Engine, "rollback", undone)
    event.listen(Pool, "checkin", returned)


if __name__ == "__main__":
    main()
