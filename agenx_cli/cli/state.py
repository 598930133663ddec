"""What the commands over recorded state share: the store they open, the moment, a stored number's spelling."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from agenx_cli.cli.frame import Frame
from agenx_cli.errors import UsageError

if TYPE_CHECKING:
    from agenx_cli.settings import Settings
    from agenx_cli.store.store import Store

SIMULATE = Annotated[bool, typer.Option("--simulate", help="The rehearsals' state instead of the real one.")]
REGION = Annotated[
    str | None, typer.Option("--region", metavar="CC", help="Country by which numbers without + are read.")
]


@contextmanager
def opened(frame: Frame, *, simulate: bool) -> Iterator[tuple["Settings", "Store"]]:
    """The settings and the store that they name. Raises SettingsError, StoreError."""
    from agenx_cli.store.store import open_store

    settings = frame.settings(simulate=simulate)
    store = open_store(settings.database_url)
    try:
        yield settings, store
    finally:
        store.close()


def now_of(settings: "Settings") -> datetime:
    """The moment: the real one, or the rehearsal's where the settings say so."""
    from agenx_cli.clock import clock_of

    return clock_of(settings.home, simulate=settings.simulate, offset_s=settings.sim_clock).now()


def zone_of(settings: "Settings") -> str:
    """The zone in which people are shown times that have none of their own: the setting, the machine's, UTC."""
    from agenx_cli.clock import system_zone

    return settings.time_zone or system_zone() or "UTC"


def place_of(zone: str) -> str:
    """A zone in a table's heading: ``Madrid`` for Europe/Madrid."""
    return zone.rsplit("/", 1)[-1].replace("_", " ")


def number_of(text: str, region: str | None) -> str:
    """A number in E.164. Raises UsageError that does not repeat it."""
    from agenx_cli.core.lead import BadNumber, parse_number

    number = parse_number(text, region)
    if isinstance(number, BadNumber):
        raise UsageError(number.reason, fix=number.fix)
    return str(number)


def iso(moment: datetime | None, zone: str | None = None) -> str | None:
    """ISO 8601 with offset, to the second, in ``zone`` or UTC."""
    if moment is None:
        return None
    if zone is not None:
        from zoneinfo import ZoneInfo

        moment = moment.astimezone(ZoneInfo(zone))
    return moment.isoformat(timespec="seconds")
