import os
import socket

import pytest

from tests.faults.outside import a_world


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    with a_world(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture
async def world(shared_world):
    """One simulated world for a module's tests; whoever breaks more than one number's calls takes one of its own."""
    yield shared_world
    await shared_world.clear()


@pytest.fixture
async def own_world(tmp_path):
    with a_world(tmp_path) as world:
        yield world
        await world.clear()


@pytest.fixture
def posix_signals():
    if os.name != "posix":
        pytest.skip("Ctrl-C is sent to a console there, not to a process")


@pytest.fixture
def closed_port():
    """A port on which nobody listens, kept free for as long as the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
