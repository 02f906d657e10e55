"""Redeeming: all of it in one transaction, or a refusal that leaves the voucher unspent."""

import asyncio
from datetime import timedelta

import pytest

from controller.domain.catalogue import Feature
from controller.domain.entitlements import AddOn, PaidSubscriptionNeeded
from controller.domain.errors import Forbidden, Invalid, NotFound, TooMany
from controller.domain.history import fold
from controller.domain.ids import PersonId, SiteId
from controller.domain.roles import SiteRole
from controller.domain.subscription import (
    Expired,
    FewerUsersWhileActive,
    Kind,
    LowerPlanWhileActive,
)
from controller.domain.voucher import VoucherAlreadyRedeemed, VoucherNotRedeemable
from controller.sites.service import SiteNotReleased
from controller.subscriptions.service import (
    CodeFailsCheck,
    CodeHasWrongLength,
    CodeHasWrongSymbol,
)
from tests.controller.subscriptions.cutting import CutSession
from tests.controller.subscriptions.world import DAY, NOON, WEEK, World, plan
from vouchers.products import AddOnProduct, Plan, SeatProduct

RACERS = 50
LIMITLESS = 1000


async def outcomes(world: World, redeeming: list[tuple[str, SiteId]]) -> list[object]:
    """Redeem all at once and return results and refusals."""
    return await asyncio.gather(
        *(world.redeem(code, site_id) for code, site_id in redeeming), return_exceptions=True
    )


@pytest.mark.invariant("V2")
async def test_a_redemption_writes_everything_at_once(world: World) -> None:
    """Voucher, subscription, history, ledger, outbox, audit and leases change together."""
    site_id = await world.site()
    hub_id = await world.hub(site_id)
    (code,) = await world.mint(plan(users=10, days=30))
    before = await world.announced(site_id)

    done = await world.redeem(code, site_id)

    now_held = await world.standing(site_id)
    subscription = now_held.holdings.subscription
    assert subscription == done.redemption.holdings.subscription
    assert (subscription.kind, subscription.ends_at) == (Kind.PAID, NOON + 30 * DAY)
    assert now_held.version == len(await world.history(site_id)) == 2
    assert await world.ledger(site_id) == [(0, 0, 0), (30 * 86_400 * 80, 0, 0)]
    assert (await world.announced(site_id))[len(before) :] == ["voucher.redeemed"]
    assert (await world.audited(site_id)).count("voucher_redeemed") == 1
    assert (await world.wanted(hub_id))[0] == 2
    assert await world.spent() == 1


@pytest.mark.invariant("V1")
async def test_of_fifty_at_one_voucher_one_wins(world: World) -> None:
    """Fifty sites redeem one voucher at once: one gets it, the others learn nothing."""
    sites = [await world.site(f"Site {number}") for number in range(RACERS // 2)]
    (code,) = await world.mint(plan())

    found = await outcomes(world, [(code, site_id) for site_id in sites * 2])

    refused = [one for one in found if isinstance(one, Exception)]
    assert len(refused) == RACERS - 1
    kinds = {type(one) for one in refused}
    assert kinds <= {VoucherAlreadyRedeemed, VoucherNotRedeemable}
    assert await world.spent() == 1
    paid = [
        site_id
        for site_id in sites
        if (await world.standing(site_id)).holdings.subscription.kind is Kind.PAID
    ]
    assert len(paid) == 1
    assert len(await world.history(paid[0])) == 2


@pytest.mark.invariant("V1", "V4")
async def test_fifty_vouchers_on_one_site_all_count(world: World) -> None:
    """Fifty vouchers redeemed at once add up to the second."""
    site_id = await world.site()
    vouchers = await world.mint(plan(days=1), RACERS)

    found = await outcomes(world, [(code, site_id) for code in vouchers])

    assert [one for one in found if isinstance(one, BaseException)] == []
    held = await world.standing(site_id)
    assert held.holdings.subscription.ends_at == NOON + RACERS * DAY
    assert len(await world.history(site_id)) == RACERS + 1
    assert sum(paid for paid, _, _ in await world.ledger(site_id)) == RACERS * 86_400 * 80


@pytest.mark.invariant("V14")
async def test_history_folds_to_what_is_stored(world: World) -> None:
    """After a long life, folding the history gives exactly what the tables hold."""
    site_id = await world.site()
    for product in (
        plan(users=10, days=30),
        AddOnProduct(feature="pods", term_days=10),
        SeatProduct(component="lockers", count=5, term_days=20),
        AddOnProduct(feature="pods", term_days=5),
        plan(users=20, days=7),
    ):
        world.now += timedelta(hours=7, seconds=1, microseconds=5)
        (code,) = await world.mint(product)
        await world.redeem(code, site_id)
    world.now += 90 * DAY
    assert await world.expire() == 1
    (code,) = await world.mint(plan(users=3, days=1, name=Plan.LITE))
    await world.redeem(code, site_id)

    held = (await world.standing(site_id)).holdings
    assert fold(await world.history(site_id)) == held
    assert {add_on.feature for add_on in held.add_ons} == {Feature.PODS}


@pytest.mark.invariant("V9")
async def test_redeeming_at_the_end_comes_after_the_expiry(world: World) -> None:
    """At the very end the old subscription is over, whether or not the timer has been there."""
    sites = [await world.site("timer first"), await world.site("voucher first")]
    for site_id in sites:
        (code,) = await world.mint(plan(users=20, days=10))
        await world.redeem(code, site_id)
    vouchers = await world.mint(plan(users=5, days=1), 2)
    world.now = NOON + 10 * DAY
    async with world.db.write() as tx:
        assert await world.due.expire(tx, now=world.now, limit=1) == 1
    first = [site for site in sites if (await world.standing(site)).version == 3]

    for site_id, code in zip(sites, vouchers, strict=True):
        await world.redeem(code, site_id)
    assert await world.expire() == 0

    stories = [await world.history(site_id) for site_id in sites]
    assert len(first) == 1
    assert stories[0] == stories[1]
    assert isinstance(stories[0][-2], Expired)
    assert len({str(await world.ledger(site)) for site in sites}) == 1
    assert len({str(sorted(await world.announced(site))) for site in sites}) == 1
    assert len({str(await world.audited(site)) for site in sites}) == 1
    held = (await world.standing(sites[1])).holdings
    assert held.subscription.ends_at == world.now + DAY


@pytest.mark.invariant("V4")
async def test_the_ledger_balances(world: World) -> None:
    """Paid is consumed and forfeited and what is left, exactly, after conversions and an end."""
    site_id = await world.site()
    for users, days in ((10, 30), (17, 3), (17, 4), (31, 1)):
        world.now += timedelta(hours=5, seconds=3)
        (code,) = await world.mint(plan(users=users, days=days))
        await world.redeem(code, site_id)
        paid, consumed, forfeited = map(sum, zip(*await world.ledger(site_id), strict=True))
        subscription = (await world.standing(site_id)).holdings.subscription
        assert paid == consumed + forfeited + subscription.left(world.now).value

    world.now = (await world.standing(site_id)).holdings.subscription.ends_at
    await world.expire()

    paid, consumed, forfeited = map(sum, zip(*await world.ledger(site_id), strict=True))
    assert paid == consumed + forfeited


@pytest.mark.invariant("V7")
async def test_a_smaller_voucher_waits_for_the_end(world: World) -> None:
    """Fewer users, or a lower plan, is refused while active, and works from the end on."""
    site_id = await world.site()
    (first,) = await world.mint(plan(users=10, days=10))
    await world.redeem(first, site_id)
    (fewer,) = await world.mint(plan(users=9))
    (lower,) = await world.mint(plan(users=10, name=Plan.LITE))

    with pytest.raises(FewerUsersWhileActive):
        await world.redeem(fewer, site_id)
    with pytest.raises(LowerPlanWhileActive) as refused:
        await world.redeem(lower, site_id)
    assert await world.spent() == 1
    assert refused.value.facts["works_at"] == "2026-03-11T12:00:00Z"

    world.now += 10 * DAY
    await world.redeem(fewer, site_id)
    assert await world.spent() == 2


async def test_an_add_on_needs_a_paid_subscription(world: World) -> None:
    """In the free week an add-on voucher is refused and stays unspent."""
    site_id = await world.site()
    (code,) = await world.mint(AddOnProduct(feature="pods", term_days=10))

    with pytest.raises(PaidSubscriptionNeeded):
        await world.redeem(code, site_id)

    assert await world.spent() == 0


async def test_an_add_on_moves_along(world: World) -> None:
    """A second add-on voucher extends the first, and a new subscription keeps both."""
    site_id = await world.site()
    vouchers = [
        *await world.mint(plan()),
        *await world.mint(AddOnProduct(feature="pods", term_days=10), 2),
        *await world.mint(plan(users=50)),
    ]

    for code in vouchers:
        await world.redeem(code, site_id)

    held = (await world.standing(site_id)).holdings
    assert held.add_ons == (AddOn(feature=Feature.PODS, ends_at=NOON + 20 * DAY),)


@pytest.mark.invariant("V13")
async def test_strangers_learn_nothing(world: World) -> None:
    """Unknown, void, spent and late codes get one refusal, the same to the letter."""
    ours, theirs = await world.site("Ours"), await world.site("Theirs")
    unknown = "00000-00000-00000-00000-00000"
    void, spent = await world.mint(plan(), 2)
    (late,) = await world.mint(plan(), redeem_until=NOON + timedelta(seconds=1))
    async with world.db.write() as tx:
        voucher = (await world.preview(void, ours)).voucher
        await world.batches.void_voucher(tx, world.supplier, voucher.id, now=world.now)
    await world.redeem(spent, theirs, by=await world.account("thea"))
    world.now += timedelta(seconds=1)

    refusals, statements = [], []
    for code in (unknown, void, spent, late):
        async with world.db.write() as tx:
            counted = CutSession(tx, LIMITLESS)
            with pytest.raises(VoucherNotRedeemable) as refused:
                await world.subscriptions.redeem(
                    counted, world.at(world.owner, ours), ours, code, now=world.now
                )
        refusals.append((refused.value.code, refused.value.message, refused.value.facts))
        statements.append(LIMITLESS - counted.left)

    assert len({str(refusal) for refusal in refusals}) == 1
    assert len(set(statements)) == 1  # the same work, so the time tells nothing either


async def test_the_redeemer_is_told_where_and_when(world: World) -> None:
    """Who redeemed a code, and whoever manages that site, is told that it is spent."""
    site_id, other = await world.site(), await world.site("Other")
    (code,) = await world.mint(plan())
    await world.redeem(code, site_id)

    for where, by in ((other, world.owner), (site_id, await world.account("adam"))):
        with pytest.raises(VoucherAlreadyRedeemed) as refused:
            await world.redeem(code, where, by=by)
        assert refused.value.facts == {"redeemed_at": "2026-03-01T12:00:00Z", "site_id": site_id}


@pytest.mark.parametrize(
    ("typed", "refusal"),
    [
        ("7K3QF", CodeHasWrongLength),
        ("U0000-00000-00000-00000-00000", CodeHasWrongSymbol),
        ("10000-00000-00000-00000-00000", CodeFailsCheck),
    ],
)
async def test_slips_are_told_before_any_look_up(
    world: World, typed: str, refusal: type[Invalid]
) -> None:
    """A mistyped code names the field and is no guess."""
    site_id = await world.site()

    fields = set()
    for _ in range(40):
        with pytest.raises(refusal) as refused:
            await world.redeem(typed, site_id)
        fields.add(refused.value.facts["field"])

    assert fields == {"code"}


async def test_lower_case_spaces_and_look_alikes_are_accepted(world: World) -> None:
    """A code may be typed as people type: small, with spaces, O for 0 and L for 1."""
    site_id = await world.site()
    (code,) = await world.mint(plan())

    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    await world.redeem(f"  {typed} ", site_id)

    assert await world.spent() == 1


async def test_guessing_is_slowed_down(world: World) -> None:
    """The eleventh wrong code of an account within an hour is not even looked up."""
    site_id = await world.site()
    (good,) = await world.mint(plan())
    for _ in range(10):
        with pytest.raises(VoucherNotRedeemable):
            await world.redeem("00000-00000-00000-00000-00000", site_id)

    with pytest.raises(TooMany) as refused:
        await world.redeem(good, site_id)
    world.link.now_s += 360
    await world.redeem(good, site_id)

    assert refused.value.facts["retry_after_s"] == 360


async def test_a_site_that_is_not_released_waits(world: World) -> None:
    """Before the hand-over nobody redeems, and the refusal says what has to happen."""
    async with world.db.write() as tx:
        site = await world.sites.create(
            tx,
            world.installer,
            name="New",
            time_zone="UTC",
            buy_from="x",
            now=world.now,
        )
    (code,) = await world.mint(plan())

    async with world.db.write() as tx:
        with pytest.raises(SiteNotReleased) as refused:
            await world.subscriptions.redeem(
                tx,
                world.at(world.installer, site.id, SiteRole.INSTALLER),
                site.id,
                code,
                now=world.now,
            )

    assert refused.value.facts["remedy"] == "hand_over_site"


async def test_only_owner_and_admin_redeem(world: World) -> None:
    """Others at the site are forbidden, strangers do not even see it."""
    site_id = await world.site()
    (code,) = await world.mint(plan())

    async with world.db.write() as tx:
        with pytest.raises(Forbidden):
            await world.subscriptions.redeem(
                tx,
                world.at(world.installer, site_id, SiteRole.INSTALLER),
                site_id,
                code,
                now=world.now,
            )
        with pytest.raises(NotFound):
            await world.subscriptions.redeem(tx, world.owner, site_id, code, now=world.now)


async def test_a_preview_changes_nothing_and_tells_all(world: World) -> None:
    """A preview says the end, what is lost of the free week, and leaves the voucher unspent."""
    site_id = await world.site()
    (code,) = await world.mint(plan(days=30))
    world.now += DAY

    shown = await world.preview(code, site_id)

    assert shown.redemption.ends_at == NOON + 31 * DAY
    assert shown.redemption.lost_s == (WEEK - DAY).total_seconds()
    assert shown.redemption.lost_features == {Feature.PODS}
    assert await world.spent() == 0
    assert (await world.standing(site_id)).version == 1


async def test_fewer_seats_unseat_by_the_rule(world: World) -> None:
    """Owner and admins keep their seats, then who came first; hubs get a new revision."""
    site_id = await world.site()
    hub_id = await world.hub(site_id)
    late = await world.person(site_id, role=SiteRole.ADMIN, subscribed_at=NOON + 3 * DAY)
    early = [
        await world.person(site_id, subscribed_at=NOON + timedelta(hours=hour)) for hour in range(3)
    ]
    gone = await world.person(site_id, expires_at=NOON + DAY)
    (code,) = await world.mint(plan(users=3))
    world.now = NOON + WEEK

    done = await world.redeem(code, site_id)

    assert await world.seated(site_id) == {late, *early[:2], gone}
    assert done.seating.unseated == (early[2],)
    assert (await world.wanted(hub_id))[1] == 2


async def test_the_redeemer_chooses_who_keeps_a_seat(world: World) -> None:
    """Whoever is named keeps a seat; naming somebody without one is refused."""
    site_id = await world.site()
    people = [
        await world.person(site_id, subscribed_at=NOON + timedelta(hours=hour)) for hour in range(3)
    ]
    (code,) = await world.mint(plan(users=1))

    with pytest.raises(Invalid):
        await world.redeem(code, site_id, keep=(PersonId("f" * 32),))
    await world.redeem(code, site_id, keep=(people[2],))

    assert await world.seated(site_id) == {people[2]}


async def test_cancelling_forfeits_what_is_left(world: World) -> None:
    """The operator ends a subscription with a reason; nothing carries over."""
    site_id = await world.site()
    hub_id = await world.hub(site_id)
    vouchers = await world.mint(plan(days=10), 2)
    await world.redeem(vouchers[0], site_id)
    world.now += DAY

    async with world.db.write() as tx:
        await world.subscriptions.cancel(
            tx, world.operator, site_id, reason="Unpaid", now=world.now
        )
    assert await world.expire() == 0
    await world.redeem(vouchers[1], site_id)

    held = (await world.standing(site_id)).holdings
    assert held.subscription.ends_at == world.now + 10 * DAY
    assert fold(await world.history(site_id)) == held
    second = 86_400 * 80
    assert await world.ledger(site_id) == [
        (0, 0, 0),
        (10 * second, 0, 0),
        (0, second, 9 * second),
        (10 * second, 0, 0),
    ]
    assert (await world.wanted(hub_id))[0] == 4
    assert "subscription.cancelled" in await world.announced(site_id)
