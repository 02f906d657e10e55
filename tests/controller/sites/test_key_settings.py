"""What a site lets be done with PINs and digital keys."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.controller.whole import PLAN, Answer, Whole, sqlite_url, whole


@pytest.fixture
async def cloud(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Whole]:
    """The whole cloud."""
    async with whole(sqlite_url(migrated_sqlite, tmp_path), tmp_path) as served:
        yield served


async def switch(cloud: Whole, site_id: str, *, by: str = "owner", **settings: bool) -> Answer:
    """Edit the newest version of a site."""
    version = (await cloud.make("GET", f"/sites/{site_id}", by=by))["version"]
    headers = {"If-Match": f'"{version}"'}
    return await cloud.ask("PATCH", f"/sites/{site_id}", settings, by=by, headers=headers)


async def test_a_site_makes_pins_and_nothing_more_until_it_says_so(cloud: Whole) -> None:
    """PINs are on; choosing them and offline digital keys are off; each is switched by itself."""
    site_id = await cloud.site()
    names = ("pins", "custom_pins", "digital_keys_offline")
    fresh = await cloud.make("GET", f"/sites/{site_id}", by="owner")

    edited = await switch(cloud, site_id, custom_pins=True, digital_keys_offline=True)

    assert [fresh[name] for name in names] == [True, False, False]
    assert [edited.body[name] for name in names] == [True, True, True]
    assert (await switch(cloud, site_id, pins=False)).body["custom_pins"]


@pytest.mark.invariant("V11")
async def test_custom_pins_follow_the_setting(cloud: Whole) -> None:
    """Off: visible and unusable. On again: as before."""
    site_id = await cloud.site()
    await switch(cloud, site_id, custom_pins=True)
    body = {"name": "Pia", "subscribed": True}
    pia = await cloud.make("POST", f"/sites/{site_id}/people", body, by="owner")
    person = f"/sites/{site_id}/people/{pia['id']}"
    body = {"kind": "custom", "pin": "482915"}
    pin = await cloud.make("POST", f"{person}/pins", body, by="owner")

    async def usable() -> Any:
        path = f"{person}/credentials/{pin['id']}"
        return (await cloud.make("GET", path, by="owner"))["usable"]

    on = await usable()
    await switch(cloud, site_id, custom_pins=False)
    off = await usable()
    await switch(cloud, site_id, custom_pins=True)

    assert (on, off, await usable()) == (True, False, True)


@pytest.mark.invariant("V11")
async def test_lite_switches_no_custom_pins_on(cloud: Whole) -> None:
    """What the plan lacks cannot be switched on, but off; nothing is half done."""
    site_id = await cloud.site()
    await cloud.redeem(site_id, await cloud.code(PLAN | {"plan": "lite"}))

    on, off = (
        await switch(cloud, site_id, custom_pins=True),
        await switch(cloud, site_id, custom_pins=False),
    )

    assert (on.status, on.code) == (403, "feature_not_entitled")
    assert (off.status, off.body["custom_pins"]) == (200, False)


@pytest.mark.invariant("T3")
async def test_an_installer_has_no_say_in_keys(cloud: Whole) -> None:
    """He edits a site's name before it is handed over, and what is about keys is not his."""
    site_id = await cloud.site(owner=None)

    refused = await switch(cloud, site_id, by="installer", digital_keys_offline=True)

    assert (refused.status, refused.code) == (403, "forbidden")


async def test_new_digital_keys_get_what_the_site_says(cloud: Whole) -> None:
    """From the edit on."""
    site_id = await cloud.site()
    body = {"name": "Pia", "subscribed": True}
    pia = await cloud.make("POST", f"/sites/{site_id}/people", body, by="owner")
    path = f"/sites/{site_id}/people/{pia['id']}/digital-keys"

    async def phone(number: int) -> Any:
        private = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32))
        key = private.public_key().public_bytes_raw().hex()
        return (await cloud.make("POST", path, {"public_key": key}, by="owner"))["offline"]

    before = await phone(1)
    await switch(cloud, site_id, digital_keys_offline=True)

    assert (before, await phone(2)) == (False, True)
