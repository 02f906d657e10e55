"""Brokers of a test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway import brokers
from tests.gateway.brokers import Broker, RunningNats


@pytest.fixture(params=["nats", "mosquitto"])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Broker]:
    """A real broker: the embedded one, then Mosquitto."""
    if request.param == "nats":
        async with brokers.nats(tmp_path) as embedded:
            yield embedded
    else:
        async with brokers.mosquitto(tmp_path) as deployed:
            yield deployed


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[RunningNats]:
    """The embedded broker with its callout."""
    async with brokers.nats(tmp_path) as running:
        yield running
