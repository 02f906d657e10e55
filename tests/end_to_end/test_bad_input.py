"""Whatever comes in, from people, strangers and hubs: a clear answer, and nothing is lost."""

import asyncio
import contextlib
import re
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.chance import SystemRandomness
from firmware_sim import provision
from firmware_sim.link import tls_context
from firmware_sim.provision import Provisioned, QrCode, Sticker
from gateway.protocol import cose, topics, wire
from gateway.protocol.messages import Batch, Entry, EntryKind, Status
from gateway.protocol.topics import DownKind, Topic, UpKind
from tests.end_to_end.cloud import ADA, BEN, LOCKS, PASSWORD, Client, Cloud, Site
from tests.end_to_end.programs import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("bad input")]

STICKER = "ABCD-EFGH-JKMN-PQRS"
MEBIBYTE = bytes(1024 * 1024)
SHOUT_S = 0.3
GARBAGE = (b"", b"\0", b"\xff" * 100, b"{}", b"\x9f" * 5_000, b"\xd2\x84\x40\xa0\x40\x40")
PRO = {"kind": "plan", "plan": "pro", "users": 25, "term_days": 30}
SITE = {"name": "Fresh", "time_zone": "UTC", "buy_from": "the supplier"}
PASSING = {"x-request-id", "date", "ratelimit"}


@dataclass(frozen=True, slots=True)
class Mallory:
    """A hub with a place of its own, keys and a good certificate, and bad intentions."""

    place: Provisioned

    @property
    def id(self) -> str:
        """Its id."""
        return self.place.identity.hub_id.hex()

    def connection(self) -> aiomqtt.Client:
        """Connect to the broker as itself."""
        tls = tls_context(authority_pem=self.place.authority_pem, identity=self.place.tls_file)
        tls.verify_mode = ssl.CERT_REQUIRED
        return aiomqtt.Client(
            self.place.broker_host,
            self.place.broker_port,
            identifier=self.id,
            username=self.id,
            tls_context=tls,
            protocol=aiomqtt.ProtocolVersion.V311,
            timeout=5,
        )

    def signed(self, kind: UpKind, message: Status | Batch) -> tuple[str, bytes]:
        """Return topic and payload as an honest hub would send them."""
        key = Ed25519PrivateKey.from_private_bytes(self.place.identity.device_key)
        topic = Topic(hub_id=self.id, kind=kind)
        return str(topic), cose.sign(wire.encode(message), key, cose.external_data(topic))

    async def say(self, *said: tuple[str, bytes]) -> None:
        """Publish on its own topics, and wait until the cloud has dealt with each."""
        async with self.connection() as client:
            for topic, payload in said:
                await client.publish(topic, payload, qos=1)

    async def shout(self, *said: tuple[str, bytes]) -> None:
        """Publish each on a connection of its own; being cut off is a fine answer."""
        for topic, payload in said:
            with contextlib.suppress(aiomqtt.MqttError):
                async with self.connection() as client:
                    qos = 1 if payload is MEBIBYTE else 0  # to see it sent, not to see it refused
                    await client.publish(topic, payload, qos=qos, timeout=SHOUT_S)


@dataclass(frozen=True, slots=True)
class Scene:
    """A site in use, another owner without hardware, and Mallory at the other owner's site."""

    cloud: Cloud
    site: Site
    other: str
    stranger: Client
    mallory: Mallory

    async def is_well(self) -> None:
        """See that the site in use works: taps are decided, and remote openings open."""
        taps = await self.site.hardware.taps(BEN)
        assert taps == dict.fromkeys(LOCKS, "opened_by_hub")
        lock = f"{self.site.path}/locks/{self.site.lock_ids['1.1']}"
        order = await self.site.owner.post(f"{lock}/open")

        async def has_opened() -> bool:
            shown = await self.site.owner.get(f"{self.site.path}/commands/{order['id']}")
            return bool(shown["state"] == "opened")

        await until(has_opened, "the lock was opened from afar")

    async def redeemed(self, code: str, by: Client, site_id: str) -> tuple[int, str, Any]:
        """Redeem a code and return all of the answer that may not differ between refusals."""
        headers = {
            "Authorization": f"Bearer {by.token}",
            "Idempotency-Key": secrets.token_hex(16),
        }
        url = f"{self.cloud.url}/api/v1/sites/{site_id}/redemptions"
        async with self.cloud.http.post(url, json={"code": code}, headers=headers) as answer:
            kept = {name.lower(): value for name, value in answer.headers.items()}
            shown = {name: value for name, value in kept.items() if name not in PASSING}
            return answer.status, await answer.text(), shown

    def count(self) -> dict[str, int]:
        """Return how many rows each table of what users make has."""
        tables = ("people", "credentials", "hubs", "locks", "sites", "vouchers", "schedules")
        history = ("subscription_history", "access_groups", "group_people", "group_locks")
        return {
            table: self.cloud.rows(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608 - ours
            for table in (*tables, *history)
        }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """All of them, on one cloud."""
    folder = tmp_path_factory.mktemp("bad input")
    async with Cloud(folder) as cloud:
        (folder / "mallory").mkdir()
        site = await Site.begin(cloud, "one")
        other, stranger = await cloud.site("two")
        mallory = await claimed(cloud, other, folder / "mallory")
        email = "owner-two@doorward.example"
        await cloud.installer.post(f"/sites/{other}/hand-over", {"owner_email": email})
        yield Scene(cloud, site, other, stranger, mallory)


async def claimed(cloud: Cloud, site_id: str, folder: Path) -> Mallory:
    """Return a hub that went through the whole claim, as an honest one does."""
    hub = {"name": "Innocent", "serial": "IQ-MALLORY", "activation_code": STICKER}
    qr = (await cloud.installer.post(f"/sites/{site_id}/hubs", hub))["claim"]
    place = await provision.provision(
        Sticker(serial="IQ-MALLORY", activation_code=STICKER),
        QrCode(claim_url=qr["claim_url"], ca_fingerprint=qr["ca_fingerprint"]),
        folder=folder,
        session=cloud.http,
        chance=SystemRandomness(),
    )
    return Mallory(place)


@pytest.mark.invariant("C4", "T2")
async def test_garbage_from_a_hub_harms_nobody_else(scene: Scene) -> None:
    """On every topic, its own and others', up and down, a mebibyte too: doors go on opening."""
    victim = scene.site.hub_ids["1"]
    taps_before = len(scene.site.entries("1.1"))
    own = [topics.up(scene.mallory.id, kind) for kind in UpKind]
    foreign = [topics.up(victim, kind) for kind in UpKind]
    down = [topics.down(hub, kind) for hub in (victim, scene.mallory.id) for kind in DownKind]

    async with asyncio.TaskGroup() as tasks:
        saying = tasks.create_task(
            scene.mallory.say(*((topic, payload) for topic in own for payload in GARBAGE))
        )
        await scene.is_well()
        await saying
        shouting = tasks.create_task(
            scene.mallory.shout(
                *((topic, MEBIBYTE) for topic in own + foreign + down[:2]),
                *((topic, b"x") for topic in (*foreign, *down, "$SYS/x", "iq/1/0/nobody/up/batch")),
            )
        )
        while not shouting.done():
            await scene.is_well()

    await scene.is_well()
    assert await scene.site.is_in_sync()
    log = (scene.cloud.data / "broker" / "nats.log").read_text()
    assert log.count("maximum payload exceeded") >= len(own)
    assert log.count("Publish Violation") >= len(foreign)
    await until(
        lambda: len(scene.site.entries("1.1")) >= taps_before + 4, "every opening has arrived"
    )
    numbers = [sequence for sequence, _ in scene.site.entries("1.1")]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.invariant("C4", "T2", "L1")
async def test_a_lying_hub_lies_about_itself_only(scene: Scene) -> None:
    """Well signed, it confirms what was never wanted and reports openings of others' locks."""
    at_s = int(datetime.now(UTC).timestamp())
    before = {lock: scene.site.entries(lock) for lock in LOCKS}
    victims = await scene.site.syncs()
    forged = Entry(
        lock_id=bytes.fromhex(scene.site.lock_ids["1.1"]),
        log_epoch=1,
        sequence=len(before["1.1"]) + 1,
        kind=EntryKind.OPENED_BY_HUB,
        at_s=at_s,
        clock_trusted=True,
    )
    boast = Status(
        nonce=bytes(16),
        epoch=1,
        lease_number=2**31,
        revision=2**31,
        subscribed=True,
        firmware="evil 1",
        entries_waiting=0,
        locks=(),
    )

    await scene.mallory.say(
        scene.mallory.signed(UpKind.BATCH, Batch(entries=(forged,))),
        scene.mallory.signed(UpKind.HELLO, boast),
        scene.mallory.signed(UpKind.HELLO, replace(boast, lease_number=0, revision=0)),
    )

    async def is_heard() -> bool:
        hub = (await scene.stranger.get(f"/sites/{scene.other}/hubs"))["items"][0]
        return bool(hub["firmware"] == "evil 1")

    await until(is_heard, "the lie was heard")
    hub = (await scene.stranger.get(f"/sites/{scene.other}/hubs"))["items"][0]
    assert hub["sync"]["revision_confirmed"] <= hub["sync"]["revision_wanted"]
    assert hub["sync"]["lease_confirmed"] <= hub["sync"]["lease_wanted"]
    assert {lock: scene.site.entries(lock) for lock in LOCKS} == before
    assert await scene.site.syncs() == victims
    assert scene.cloud.rows("SELECT count(*) FROM entries WHERE site_id = ?", scene.other) == [(0,)]
    await scene.is_well()


@pytest.mark.invariant("V13")
async def test_what_a_code_was_is_told_to_its_redeemer_only(scene: Scene) -> None:
    """Unknown, spent, void and expired codes: the same bytes for strangers, and no headers tell."""
    spent, void = await scene.cloud.codes(2)
    await scene.site.owner.post(f"{scene.site.path}/redemptions", {"code": spent})
    until_at = datetime.now(UTC) + timedelta(seconds=2)
    body = {"product": PRO, "count": 1, "redeem_until": until_at.isoformat()}
    expired = (await scene.cloud.supplier.post("/voucher-batches", body))["codes"][0]["code"]
    batch = (await scene.cloud.supplier.get("/voucher-batches"))["items"][1]
    await scene.cloud.supplier.post(f"/voucher-batches/{batch['id']}/void")
    unknown = "00000-00000-00000-00000-00000"
    await until(lambda: datetime.now(UTC) > until_at, "the voucher is past its date")

    codes = (unknown, spent, void, expired)
    strange = [await scene.redeemed(code, scene.stranger, scene.other) for code in codes]
    known = await scene.redeemed(spent, scene.site.owner, scene.site.id)

    assert strange == [strange[0]] * 4
    assert strange[0][0] == 409
    assert "voucher_not_redeemable" in strange[0][1]
    assert known[0] == 409
    assert "voucher_already_redeemed" in known[1]
    assert "redeemed_at" in known[1]


async def test_a_code_is_taken_however_it_is_typed(scene: Scene) -> None:
    """With spaces, in lower case, with O for 0 and I or L for 1, it is the same voucher."""
    (code,) = await scene.cloud.codes(1)
    sloppy = code.replace("-", " ").replace("0", "O").replace("1", "I").lower()
    slopped = "  " + code.replace("-", "").replace("0", "o").replace("1", "l") + "  "
    path = f"{scene.site.path}/subscription/preview"

    seen = [await scene.site.owner.post(path, {"code": typed}) for typed in (code, sloppy, slopped)]

    assert len({shown["voucher_id"] for shown in seen}) == 1
    # A slip is told before anything is looked up.
    last = "Z" if code[-1] != "Z" else "Y"
    slip = await scene.site.owner.ask("POST", path, {"code": code[:-1] + last})
    assert (slip.status, slip.body["code"]) == (422, "voucher_code_check")
    assert "code" in slip.body["detail"]


def refusals(scene: Scene) -> Mapping[str, tuple[Client, str, object, int, str]]:
    """Return bad requests: who sends what where, and the status and words that answer it."""
    owner, supplier, installer = scene.site.owner, scene.cloud.supplier, scene.cloud.installer
    site, preview = scene.site.path, f"/sites/{scene.other}/subscription/preview"
    people, tags = f"{site}/people", f"{site}/people/{scene.site.person_ids['Ada']}/credentials"
    mint, absent = "/voucher-batches", f"/sites/{'0' * 32}/people"
    batch = {"product": PRO, "count": 1, "redeem_until": "2030-01-01T00:00:00Z"}
    late = batch | {"redeem_until": "2100-06-01T00:00:00Z"}
    backwards = {"name": "B", "windows": [{"weekday": 0, "start_min": 600, "end_min": 540}]}
    return {
        "no users": (supplier, mint, batch | {"product": PRO | {"users": 0}}, 422, "users"),
        "no days": (supplier, mint, batch | {"product": PRO | {"term_days": 0}}, 422, "term_days"),
        "past 2100": (supplier, mint, late, 422, "redeem_until"),
        "a foreign site": (owner, preview, {"code": "X"}, 404, "no such site"),
        "an absent site": (owner, absent, {"name": "X"}, 404, "no such site"),
        "backwards": (owner, f"{site}/schedules", backwards, 422, "windows.0.end_min"),
        "3 bytes": (owner, tags, {"number": "112233"}, 422, "4 to 10 bytes"),
        "11 bytes": (owner, tags, {"number": "11" * 11}, 422, "4 to 10 bytes"),
        "a tag again": (owner, tags, {"number": BEN}, 409, "number"),
        "no name": (owner, people, {}, 422, "name"),
        "misspelt": (owner, people, {"nmae": "X"}, 422, "did you mean name?"),
        "no truth": (owner, people, {"name": "X", "subscribed": "yes"}, 422, "write true or false"),
        "a role too high": (installer, "/accounts", {}, 403, "accounts:manage"),
    }


async def test_what_is_refused_says_why_and_changes_nothing(scene: Scene) -> None:
    """Each refusal is a problem document that names what is wrong, and no row comes or goes."""
    before = scene.count()
    wrong = []
    for what, (who, path, body, status, words) in refusals(scene).items():
        answer = await who.ask("POST", path, body)
        if answer.status != status or words not in answer.text or "code" not in answer.body:
            wrong.append((what, answer.status, answer.text))

    assert wrong == []
    assert scene.count() == before
    await scene.is_well()


@pytest.mark.invariant("V3", "V7")
async def test_a_refused_voucher_stays_unspent(scene: Scene) -> None:
    """Fewer users, a lower plan, an add-on in the free week, a site that waits: kept for later."""
    fresh = (await scene.cloud.installer.post("/sites", SITE))["id"]
    for_add_on = {"kind": "add_on", "feature": "pods", "term_days": 30}
    tries = {
        "fewer users": (PRO | {"users": 5}, scene.site.owner, scene.site.id, "fewer_users"),
        "lower plan": (PRO | {"plan": "lite"}, scene.site.owner, scene.site.id, "lower_plan"),
        "add-on": (for_add_on, scene.stranger, scene.other, "paid"),
        "unreleased": (PRO, scene.cloud.installer, fresh, "site_not_released"),
    }
    if (await scene.site.card())["kind"] == "free_week":
        await scene.site.redeem()
    for what, (product, who, site_id, words) in tries.items():
        body = {"product": product, "count": 1, "redeem_until": "2030-01-01T00:00:00Z"}
        batch = await scene.cloud.supplier.post("/voucher-batches", body)
        code = {"code": batch["codes"][0]["code"]}
        path = f"/sites/{site_id}/redemptions"

        answer = await who.ask("POST", path, code, key=what.replace(" ", "-"))
        again = await who.ask("POST", path, code, key=what.replace(" ", "-"))
        other = await who.ask("POST", path, {"code": "X"}, key=what.replace(" ", "-"))

        assert answer.status == 409, (what, answer.text)
        assert words in answer.text, (what, answer.text)
        assert ("works_at" in answer.text) == (what in {"fewer users", "lower plan"})
        assert again.text == answer.text
        assert (other.status, other.body["code"]) == (422, "idempotency_key_reused")
        stock = (await scene.cloud.supplier.get(f"/voucher-batches/{batch['id']}"))["stock"]
        assert stock == {"unspent": 1, "redeemed": 0, "void": 0, "expired": 0}, what


async def test_a_hub_has_sixteen_places(scene: Scene) -> None:
    """The seventeenth lock is refused with the limit and what to do, and the others stay."""
    hubs = f"/sites/{scene.other}/hubs"
    hub = {"name": "Full", "serial": "IQ-FULL", "activation_code": STICKER}
    locks = f"{hubs}/{(await scene.stranger.post(hubs, hub))['id']}/locks"
    answers = []
    for number in range(17):
        key = number.to_bytes(32, "little") if number > 1 else bytes([9]) + bytes(31)
        lock = {
            "name": f"Door {number}",
            "serial": f"LK-{number}",
            "public_key": key.hex(),
            "secret_code": STICKER,
            "capacity": 39,
        }
        answers.append(await scene.stranger.ask("POST", locks, lock))

    assert [answer.status for answer in answers] == [201] * 16 + [409]
    assert answers[-1].body["code"] == "hub_full"
    assert answers[-1].body["facts"] == {"limit": 16, "used": 16, "remedy": "add_hub"}
    assert len((await scene.stranger.get(f"/sites/{scene.other}/locks"))["items"]) == 16


async def test_what_is_kept_is_its_owners_only(scene: Scene) -> None:
    """No file of the data directory can be read by other users of the machine."""
    files = [path for path in scene.cloud.data.rglob("*") if path.is_file()]

    assert {"doorward.sqlite", "controller.json"} <= {path.name for path in files}
    assert [path.name for path in files if path.stat().st_mode & 0o077] == []


async def test_secrets_stand_nowhere_on_disk(scene: Scene) -> None:
    """No tag number, code, password, token or sticker code is in log, database or broker's folder.

    Nor, with the names of people, in anything that hubs were told or said.
    """
    codes = await scene.cloud.codes(3)
    await scene.site.owner.post(f"{scene.site.path}/redemptions", {"code": codes[0]})
    await scene.site.owner.ask(
        "POST", f"{scene.site.path}/redemptions", {"code": codes[1][:-1] + "U"}
    )
    await scene.is_well()
    tokens = [scene.cloud.operator.token, scene.site.owner.token]
    plain = [PASSWORD, STICKER, STICKER.replace("-", ""), *tokens, ADA, BEN, ADA.lower()]
    typed = [*codes, *(code.replace("-", "") for code in codes)]
    needles = [text.encode() for text in (*plain, *typed)]
    needles += [bytes.fromhex(tag) for tag in (ADA, BEN)]

    ours = [
        path for path in scene.cloud.data.rglob("*") if path.is_file() and path.suffix != ".pem"
    ]
    ours += list(scene.cloud.folder.glob("doorward.*"))
    heard = [
        path for path in (scene.site.hardware.state / "hubs").rglob("flash*") if path.is_file()
    ]

    assert {"doorward.sqlite", "doorward.log"} <= {path.name for path in ours}
    assert found(ours, [b"Ada"])  # this search finds what is there
    assert any("broker" in path.parts for path in ours)
    assert found(ours, needles) == []
    serial = (await scene.site.owner.get(f"{scene.site.path}/locks"))["items"][0]["serial"]
    assert found(heard, [serial.encode()])
    assert found(heard, [*needles, b"Ada", b"Ben", b"Everybody", b"House"]) == []


def found(paths: list[Path], needles: list[bytes]) -> list[tuple[str, bytes]]:
    """Return which file holds which needle."""
    return [
        (path.name, needle)
        for path in paths
        for needle in needles
        if re.search(re.escape(needle), path.read_bytes())
    ]
