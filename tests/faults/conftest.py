import os

import pytest

from tests.faults.outside import a_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One simulated world for a module's tests; whoever breaks more than one number's calls takes one of its own."""
    with a_world(tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture
def own_world(tmp_path):
    with a_world(tmp_path) as world:
        yield world


@pytest.fixture
def posix_signals():
    if os.name != "posix":
        pytest.skip("Ctrl-C is sent to a console there, not to a process")
