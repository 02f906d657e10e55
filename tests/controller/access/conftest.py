"""A served ground for each test."""

from collections.abc import AsyncIterator

import pytest

from controller.db.engine import Database
from tests.controller.people.ground import Ground, served


@pytest.fixture
async def ground(database: Database) -> AsyncIterator[Ground]:
    """Two sites with 25 seats each."""
    async with served(database) as made:
        yield made
