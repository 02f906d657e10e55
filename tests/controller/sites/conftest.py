"""Sites behind a real HTTP server, on each backend."""

from collections.abc import AsyncIterator

import pytest

from controller.db.engine import Database
from tests.controller.subscriptions.served import Served, serving
from tests.controller.subscriptions.world import World


@pytest.fixture
async def served(database: Database) -> AsyncIterator[Served]:
    """A served cloud with a supplier, an installer, an operator and an owner."""
    world = World(database)
    await world.settle()
    async with serving(world) as door:
        yield door
