"""A store on disk, a small carrier, and engines that come and go."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from agenx_cli.engine.local import LocalEngine
from agenx_cli.store.store import Store, open_store
from tests.engine.world import HandClock, SmallCarrier, SmallDesk


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'agenx.db'}")
    yield opened
    opened.close()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def carrier(clock: HandClock) -> SmallCarrier:
    return SmallCarrier(clock)


@pytest.fixture
def desk() -> SmallDesk:
    return SmallDesk()


@pytest.fixture
def start(store, carrier, desk, clock) -> Callable[..., LocalEngine]:
    """A new engine of a new owner, as after a restart."""
    owners, uids = count(1), count(1)

    def starting(**more) -> LocalEngine:
        more = {"new_uid": lambda: f"u{next(uids)}"} | more
        return LocalEngine(store, carrier, desk, clock, f"owner-{next(owners)}", **more)

    return starting


@pytest.fixture
def engine(start) -> LocalEngine:
    return start()
