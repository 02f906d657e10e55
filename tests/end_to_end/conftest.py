"""Clouds and sites that the tests of a file share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.end_to_end.cloud import Cloud, Site

Measured = Callable[[str, object], None]
"""pytest's record_property: figures go into its report, not into the verdict."""


@dataclass(frozen=True, slots=True)
class Town:
    """A cloud with two sites of three hubs each."""

    cloud: Cloud
    site: Site
    other: Site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """Two sites in use on one cloud, for all tests of a file."""
    async with Cloud(tmp_path_factory.mktemp("town")) as cloud:
        site, other = await asyncio.gather(Site.begin(cloud, "one"), Site.begin(cloud, "two"))
        yield Town(cloud, site, other)
