"""A settled world on each backend."""

import pytest

from controller.db.engine import Database
from tests.controller.subscriptions.world import World


@pytest.fixture
async def world(database: Database) -> World:
    """A cloud with a supplier, an installer, an operator and an owner."""
    settled = World(database)
    await settled.settle()
    return settled
