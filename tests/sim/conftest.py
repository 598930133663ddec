"""What the simulators' tests share."""

import pytest_asyncio

from tests.sim.world import Door


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors():
    """The carrier's and the customer's servers."""
    async with Door().open() as carrier, Door().open() as customer:
        yield carrier, customer
