"""What the tests of the cloud share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.db.engine import Database
from controller.threads import PoolThreads
from tests.controller import ground as grounds
from tests.controller.ground import Ground


@pytest.fixture
async def ground(database: Database, tmp_path: Path) -> AsyncIterator[Ground]:
    """Two sites with hubs and locks, and the cloud's end of the device link; on both backends."""
    threads = PoolThreads()
    laid = await grounds.lay(database, tmp_path, threads)
    yield laid
    await laid.restore()
    threads.close()
