"""PINs of people."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain, repeat
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from controller.access.offline import OfflineRoom
from controller.accounts.guessing import GuessLimit
from controller.chance import RandomIds, SystemRandomness
from controller.db.metadata import metadata
from controller.db.tables.people import credentials, revoked_digests
from controller.db.tables.sites import sites
from controller.db.tables.subscriptions import subscriptions
from controller.domain.ids import PersonId, SiteId
from controller.domain.pins import NOT_AGAIN, PinsExhausted
from controller.people.changes import Changes
from controller.people.pins import Pins
from gateway.protocol.sealing import pin_digest
from tests.controller.people.ground import ACTORS, FOREIGN, KEYS, NOW, OWN, Answer, Ground
from tests.controller.site_rows import site_state


class Dice:
    """A port of chance that draws these PINs, and the last of them for ever."""

    def __init__(self, *pins: int) -> None:
        self._numbers: Iterator[int] = chain(pins, repeat(pins[-1]))

    def token_bytes(self, count: int, /) -> bytes:
        """Return the next number."""
        return next(self._numbers).to_bytes(count)


def loaded(ground: Ground, *pins: int) -> Pins:
    """Return a maker of PINs who draws these."""
    made = ground.services
    changes = Changes(
        entitlement=made.entitlement, room=OfflineRoom(), sync=made.sync, audit=made.audit
    )
    return Pins(
        changes=changes,
        credentials=made.credentials,
        entitlement=made.entitlement,
        keys=KEYS,
        ids=RandomIds(SystemRandomness()),
        randomness=Dice(*pins),
        guesses=GuessLimit(ground.link),
    )


async def draw(ground: Ground, maker: Pins, person: Any) -> str:
    """Make a person of OWN a PIN."""
    async with ground.db.write() as tx:
        made = await maker.generate(
            tx,
            ACTORS["ada"],
            OWN,
            PersonId(person["id"]),
            ends_at=None,
            now=ground.calendar.at,
        )
    return made.pin


def path(person: Any, site: SiteId = OWN) -> str:
    """Return where a person's PINs are made."""
    return f"/sites/{site}/people/{person['id']}/pins"


async def make(ground: Ground, person: Any, **body: object) -> Answer:
    """Make a person a PIN and return the answer."""
    return await ground.call("POST", path(person), body)


async def choose(ground: Ground, person: Any, pin: str, **more: object) -> Answer:
    """Let a person choose a PIN and return the answer."""
    return await make(ground, person, kind="custom", pin=pin, **more)


async def allow_custom(ground: Ground, *, on: bool = True) -> None:
    """Set the setting, as an edit of the site does."""
    async with ground.db.write() as tx:
        await tx.execute(update(sites).where(sites.c.id == OWN).values(custom_pins=on))
        await ground.services.custom_pins.switch(
            tx, ACTORS["ada"], OWN, on=on, now=ground.calendar.at
        )


async def fill(ground: Ground, count: int) -> None:
    """Write so many PINs of other people."""
    holder = await ground.person("Holder")
    rows = [
        {
            "site_id": OWN,
            "id": f"{number:032x}",
            "person_id": holder["id"],
            "kind": "pin",
            "digest": number.to_bytes(16),
            "label": "",
            "offline": False,
            "created_at": NOW,
            "version": 1,
        }
        for number in range(count)
    ]
    async with ground.db.write() as tx:
        await tx.execute(insert(credentials), rows)


async def digests(ground: Ground) -> list[bytes]:
    """Return the digests of all live PINs of OWN, in order."""
    async with ground.db.read() as tx:
        kept = select(credentials.c.digest).filter_by(site_id=OWN, kind="pin")
        return sorted((await tx.execute(kept)).scalars())


# -------------------------------------------------------------------- generated


async def test_a_pin_is_seen_in_one_answer_only(ground: Ground) -> None:
    """Whoever makes it reads it once; from then on there is its keyed digest."""
    pia = await ground.person()

    answer = await make(ground, pia)
    shown = await ground.call("GET", f"/sites/{OWN}/people/{pia['id']}/credentials")

    pin = answer.body.pop("pin")
    assert answer.status == 201
    assert (len(pin), pin.isdecimal()) == (6, True)
    assert shown.body["items"] == [answer.body]
    assert (answer.body["kind"], answer.body["custom"]) == ("pin", False)
    assert await digests(ground) == [pin_digest(pin, KEYS.tag_key(OWN))]


@pytest.mark.parametrize(("others", "digits"), [(49, 6), (50, 7), (499, 7), (500, 8)])
async def test_a_site_with_more_pins_makes_longer_ones(
    ground: Ground, others: int, digits: int
) -> None:
    """The new PIN counts with the others of the whole site."""
    await fill(ground, others)

    answer = await make(ground, await ground.person())

    assert len(answer.body["pin"]) == digits


async def test_a_new_pin_takes_the_place_of_the_old_one(ground: Ground) -> None:
    """A person has one; the old one is forgotten by locks and known no more."""
    pia = await ground.person()
    first = (await make(ground, pia)).body

    second = (await make(ground, pia, ends_at="2026-03-09T12:00:00Z")).body

    assert second["id"] != first["id"]
    assert second["ends_at"] == "2026-03-09T12:00:00Z"
    assert await digests(ground) == [pin_digest(second["pin"], KEYS.tag_key(OWN))]
    old = pin_digest(first["pin"], KEYS.tag_key(OWN))
    assert await ground.count(revoked_digests, digest=old, revoked_at=NOW) == 1


async def test_the_old_pin_stays_when_the_new_one_is_refused(ground: Ground) -> None:
    """Either both happen or neither."""
    pia = await ground.person()
    await make(ground, pia)
    before = await digests(ground)

    refused = await make(ground, pia, ends_at="2200-01-01T00:00:00Z")

    assert refused.status == 422
    assert await digests(ground) == before
    assert await ground.count(revoked_digests) == 0


async def test_a_pin_that_goes_round_in_circles_is_stopped(ground: Ground) -> None:
    """Each replaced PIN uses up a code for 90 days, so after ten the eleventh has to wait."""
    pia = await ground.person()
    for _ in range(10):
        assert (await make(ground, pia)).status == 201

    refused = await make(ground, pia)
    other = await make(ground, await ground.person("Max"))
    ground.link.now_s += 900
    later = await make(ground, pia)

    assert (refused.status, refused.code, other.status) == (429, "too_many_requests", 201)
    assert later.status == 201


@pytest.mark.invariant("A13")
async def test_a_pin_that_somebody_has_is_drawn_again(ground: Ground) -> None:
    """Chance gives the same code twice; the second person gets another."""
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    maker = loaded(ground, 482915, 482915, 482915, 7)

    first, second = await draw(ground, maker, pia), await draw(ground, maker, max_)

    assert (first, second) == ("482915", "000007")


@pytest.mark.invariant("A13")
async def test_another_site_may_draw_the_same_pin(ground: Ground) -> None:
    """PINs are unique at the locks that take them, and those are one site's."""
    pia, bo = await ground.person(), await ground.person("Bo", site=FOREIGN, by="bob")
    maker = loaded(ground, 482915)
    await draw(ground, maker, pia)

    async with ground.db.write() as tx:
        there = await maker.generate(
            tx, ACTORS["bob"], FOREIGN, PersonId(bo["id"]), ends_at=None, now=NOW
        )

    assert there.pin == "482915"


@pytest.mark.invariant("A13")
@pytest.mark.parametrize(
    ("age", "second"),
    [
        (timedelta(0), "000007"),
        (NOT_AGAIN - timedelta(seconds=1), "000007"),
        (NOT_AGAIN, "482915"),
    ],
)
async def test_a_revoked_pin_comes_back_after_90_days_and_not_before(
    ground: Ground, age: timedelta, second: str
) -> None:
    """A lock's memory may know the old holder; nobody else gets that code meanwhile."""
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    held = await draw(ground, loaded(ground, 482915), pia)
    await ground.call("DELETE", f"/sites/{OWN}/people/{pia['id']}", if_match=1)
    async with ground.db.write() as tx:
        await tx.execute(update(revoked_digests).values(revoked_at=NOW - age))

    drawn = await draw(ground, loaded(ground, 482915, 7), max_)

    assert (held, drawn) == ("482915", second)


@pytest.mark.invariant("A13")
async def test_the_own_old_pin_is_not_drawn_again(ground: Ground) -> None:
    """Replacing a PIN never gives the same one back."""
    pia = await ground.person()
    maker = loaded(ground, 482915, 482915, 7)

    assert [await draw(ground, maker, pia), await draw(ground, maker, pia)] == ["482915", "000007"]


@pytest.mark.invariant("A13")
async def test_racers_get_different_pins(ground: Ground) -> None:
    """Eight people get a PIN at once, all from a source that draws each code twice over."""
    people = [await ground.person(f"P{number}") for number in range(8)]
    codes = [number // 2 for number in range(2 * 8)]

    pins = await asyncio.gather(*(draw(ground, loaded(ground, *codes), one) for one in people))

    assert sorted(pins) == [f"{number:06}" for number in range(8)]
    assert len(set(await digests(ground))) == 8


@pytest.mark.invariant("A13")
async def test_a_source_that_draws_one_code_only_is_given_up(ground: Ground) -> None:
    """Looking for a free PIN has an end, and the refusal leaves everything as it was."""
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    await draw(ground, loaded(ground, 482915), pia)

    with pytest.raises(PinsExhausted):
        await draw(ground, loaded(ground, 482915), max_)

    assert len(await digests(ground)) == 1


async def test_no_pin_is_made_where_they_are_switched_off(ground: Ground) -> None:
    """The refusal names the setting; those that are there stay."""
    pia = await ground.person()
    await make(ground, pia)
    async with ground.db.write() as tx:
        await tx.execute(update(sites).values(pins=False))

    refused = await make(ground, pia)

    assert (refused.status, refused.code) == (409, "pins_switched_off")
    assert refused.facts == {"setting": "pins", "remedy": "switch_on"}
    assert len(await digests(ground)) == 1


# ----------------------------------------------------------------------- custom


async def test_a_person_may_choose_a_pin(ground: Ground) -> None:
    """It is kept like any other, and says that it was chosen."""
    await allow_custom(ground)

    answer = await choose(ground, await ground.person(), "482915")

    assert (answer.status, answer.body["custom"], answer.body["pin"]) == (201, True, "482915")
    assert await digests(ground) == [pin_digest("482915", KEYS.tag_key(OWN))]


async def test_nobody_chooses_a_pin_unless_the_site_lets_them(ground: Ground) -> None:
    """Off is the default."""
    refused = await choose(ground, await ground.person(), "482915")

    assert (refused.status, refused.code) == (409, "pins_switched_off")
    assert refused.facts["setting"] == "custom_pins"


@pytest.mark.invariant("V11")
async def test_nobody_chooses_a_pin_without_the_feature(ground: Ground) -> None:
    """Lite has no custom PINs, whatever the setting says."""
    await allow_custom(ground)
    async with ground.db.write() as tx:
        await tx.execute(update(subscriptions).values(plan="lite"))

    refused = await choose(ground, await ground.person(), "482915")

    assert (refused.status, refused.code) == (403, "feature_not_entitled")


@pytest.mark.parametrize("pin", ["000000", "123456", "987654", "121212", "48291", "48291a"])
async def test_a_pin_that_nobody_should_choose_is_refused(ground: Ground, pin: str) -> None:
    """Too simple, too short or none: the field is named, the PIN is not repeated."""
    await allow_custom(ground)

    refused = await choose(ground, await ground.person(), pin)

    assert (refused.status, refused.code) == (422, "invalid_pin")
    assert refused.facts == {"field": "pin", "digits_min": 6, "digits_max": 10}


async def test_a_chosen_pin_is_as_long_as_a_drawn_one(ground: Ground) -> None:
    """At a site with 50 PINs the next one has seven digits, whoever thinks of it."""
    await allow_custom(ground)
    await fill(ground, 50)
    pia = await ground.person()

    short, long = await choose(ground, pia, "482915"), await choose(ground, pia, "4829150")

    assert (short.code, short.facts["digits_min"], long.status) == ("invalid_pin", 7, 201)


@pytest.mark.invariant("A13")
async def test_two_people_never_choose_alike(ground: Ground) -> None:
    """Neither a PIN that somebody has nor one that somebody had lately."""
    await allow_custom(ground)
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    await choose(ground, pia, "482915")

    taken = await choose(ground, max_, "482915")
    await choose(ground, pia, "915482")
    lately = await choose(ground, max_, "482915")

    assert {(one.status, one.code) for one in (taken, lately)} == {(409, "pin_taken")}
    assert len(await digests(ground)) == 1


@pytest.mark.invariant("A13")
async def test_racers_never_choose_alike(ground: Ground) -> None:
    """Of four who want the same PIN at once one gets it."""
    await allow_custom(ground)
    people = [await ground.person(f"P{number}") for number in range(4)]

    answers = await asyncio.gather(*(choose(ground, one, "482915") for one in people))

    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    assert len(await digests(ground)) == 1


async def test_nobody_looks_for_pins_by_choosing_them(ground: Ground) -> None:
    """Who is told five times that a PIN is taken knows five that open doors, and no sixth."""
    await allow_custom(ground)
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    await choose(ground, pia, "482915")

    tries = [await choose(ground, max_, "482915") for _ in range(6)]

    assert [one.status for one in tries] == [409] * 5 + [429]


@pytest.mark.parametrize(
    "body", [{"kind": "custom"}, {"kind": "generated", "pin": "482915"}, {"pin": "482915"}]
)
async def test_a_pin_goes_with_its_kind(ground: Ground, body: dict[str, object]) -> None:
    """A chosen one has to be told, a drawn one cannot be."""
    refused = await make(ground, await ground.person(), **body)

    assert (refused.status, refused.facts) == (422, {"field": "pin"})


async def told(ground: Ground) -> set[str]:
    """Return the credentials that hubs and lists are compiled from."""
    async with ground.db.read() as tx:
        state = await site_state(tx, OWN)
    return {held.credential.id for held in state.credentials}


@pytest.mark.invariant("V11", "A1")
async def test_custom_pins_that_are_switched_off_come_back_unchanged(ground: Ground) -> None:
    """They stay visible, open nothing, are forgotten by locks, and work again as they were."""
    await allow_custom(ground)
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    chosen, drawn = (await choose(ground, pia, "482915")).body, (await make(ground, max_)).body
    here = f"/sites/{OWN}/people/{pia['id']}/credentials/{chosen['id']}"
    before = await digests(ground)

    await allow_custom(ground, on=False)
    off, told_off = (await ground.call("GET", here)).body, await told(ground)
    forgotten = await ground.count(
        revoked_digests, digest=pin_digest("482915", KEYS.tag_key(OWN)), revoked_at=NOW
    )
    await allow_custom(ground)
    on, told_on = (await ground.call("GET", here)).body, await told(ground)

    assert (off["usable"], on["usable"]) == (False, True)
    assert (told_off, told_on) == ({drawn["id"]}, {drawn["id"], chosen["id"]})
    assert forgotten == 1
    assert await digests(ground) == before
    del chosen["pin"]
    assert on == chosen | {"version": 3}


async def test_why_says_that_an_unusable_pin_is_not_known(ground: Ground) -> None:
    """The cloud's answer is what the hub would say, which was never told of it."""
    await allow_custom(ground)
    pia = await ground.person()
    await choose(ground, pia, "482915")
    door = await ground.lock(await ground.hub())
    await ground.group(people=(pia,), locks=(door,))
    why = f"/sites/{OWN}/people/{pia['id']}/locks/{door['id']}/why"

    before = (await ground.call("GET", why)).body
    await allow_custom(ground, on=False)
    after = (await ground.call("GET", why)).body

    assert (before["allowed"], after["allowed"]) == (True, False)
    assert after["reason"] == "unknown_credential"


async def test_nobody_grants_a_pin_offline_access(ground: Ground) -> None:
    """Locks keep PINs by themselves, so there is nothing to grant."""
    pia = await ground.person()
    made = (await make(ground, pia)).body
    here = f"/sites/{OWN}/people/{pia['id']}/credentials/{made['id']}"

    refused = await ground.call("PATCH", here, {"offline": True}, if_match=1)

    assert (refused.status, refused.code) == (409, "offline_automatic")


@pytest.mark.invariant("L7")
async def test_a_pin_stands_nowhere(ground: Ground) -> None:
    """No column of any table holds a PIN, and no refusal repeats one."""
    await allow_custom(ground)
    canary = "7391846205"
    pia, max_ = await ground.person("Pia"), await ground.person("Max")
    await choose(ground, pia, canary)
    refusals = [
        await choose(ground, max_, canary),
        await choose(ground, max_, canary + "0"),
        await choose(ground, max_, canary, ends_at="2200-01-01T00:00:00Z"),
        await make(ground, max_, kind=canary),
        await make(ground, max_, kind="custom", pin=int(canary)),
        await make(ground, max_, pin=canary),
        await make(ground, max_, kind="custom", pin=canary, offline=True),
    ]

    assert all(one.status >= 400 and canary not in str(one.body) for one in refusals)
    async with ground.db.read() as tx:
        for table in metadata.sorted_tables:
            for row in await tx.execute(select(table)):
                assert canary not in str(row), table.name
                assert canary.encode().hex() not in str(row), table.name
