"""History is folded and stored."""

import pytest

from controller.domain.catalogue import Component, Feature
from controller.domain.entitlements import AddOnRedeemed, SeatsRedeemed
from controller.domain.history import HistoryEntry, fold, from_record, to_record
from controller.domain.subscription import (
    Cancelled,
    Expired,
    FreeWeekStarted,
    PlanRedeemed,
    Status,
)
from tests.controller.domain.builders import DAY, NOON
from vouchers.carry_over import Segment
from vouchers.products import Plan

WEEK = FreeWeekStarted(
    at=NOON, plan=Plan.PRO, users=25, ends_at=NOON + 7 * DAY, catalogue_version=1
)
REDEEMED = PlanRedeemed(
    at=NOON + DAY,
    plan=Plan.LITE,
    users=3,
    ends_at=NOON + 3 * DAY,
    catalogue_version=1,
    segments=(Segment(seconds=86_400, rate=5), Segment(seconds=86_400, rate=7)),
    rest=4,
    term_s=86_400,
    rate=7,
    left_s=86_400,
    left_value=432_004,
    carried_s=86_400,
)
ENTRIES: dict[str, HistoryEntry] = {
    "free_week_started": WEEK,
    "plan_redeemed": REDEEMED,
    "add_on_redeemed": AddOnRedeemed(
        at=NOON, feature=Feature.PODS, term_s=9, ends_at=NOON + 9 * DAY
    ),
    "seats_redeemed": SeatsRedeemed(
        at=NOON, component=Component.LOCKERS, count=2, ends_at=NOON + DAY
    ),
    "expired": Expired(at=NOON),
    "cancelled": Cancelled(at=NOON, reason="fraud", forfeited_s=86_400),
}


@pytest.mark.invariant("V14")
@pytest.mark.parametrize("kind", ENTRIES)
def test_an_entry_is_read_back_as_it_was_written(kind: str) -> None:
    """Kind and record together are the entry."""
    entry = ENTRIES[kind]

    assert entry.kind == kind
    assert from_record(kind, to_record(entry)) == entry


def test_a_record_is_json_that_never_changes() -> None:
    """Old histories must stay readable, so this is the stored form for good."""
    assert to_record(REDEEMED) == {
        "at": "2026-03-02T12:00:00Z",
        "plan": "lite",
        "users": 3,
        "ends_at": "2026-03-04T12:00:00Z",
        "catalogue_version": 1,
        "segments": [{"seconds": 86_400, "rate": 5}, {"seconds": 86_400, "rate": 7}],
        "rest": 4,
        "term_s": 86_400,
        "rate": 7,
        "left_s": 86_400,
        "left_value": 432_004,
        "carried_s": 86_400,
    }


@pytest.mark.invariant("V14")
def test_folding_applies_every_entry_in_order() -> None:
    """The last word on subscription, add-ons and seats is the last entry about each."""
    held = fold([WEEK, REDEEMED, ENTRIES["add_on_redeemed"], ENTRIES["seats_redeemed"]])
    over = fold([WEEK, REDEEMED, Expired(at=REDEEMED.ends_at)])

    assert (held.subscription.plan, held.subscription.users) == (Plan.LITE, 3)
    assert held.subscription.segments == REDEEMED.segments
    assert [add_on.feature for add_on in held.add_ons] == [Feature.PODS]
    assert [(grant.count, grant.ends_at) for grant in held.seats] == [(2, NOON + DAY)]
    assert over.subscription.status is Status.EXPIRED


@pytest.mark.parametrize("entries", [[], [REDEEMED], [Expired(at=NOON)]])
def test_a_history_begins_with_the_free_week(entries: list[HistoryEntry]) -> None:
    """Anything else is a torn history, and is not taken for a present."""
    with pytest.raises(ValueError, match="history"):
        fold(entries)
