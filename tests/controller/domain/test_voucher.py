"""Who may still redeem a voucher, and what others are told."""

from datetime import datetime

import pytest

from controller.domain.ids import AccountId, SiteId
from controller.domain.voucher import (
    Spent,
    Voucher,
    VoucherAlreadyRedeemed,
    VoucherAlreadySpent,
    VoucherNotRedeemable,
    require_redeemable,
    void,
)
from tests.controller.domain.builders import DAY, NOON, SECOND, plan_product, voucher_for

ADA, EVE = AccountId("ada"), AccountId("eve")
GOOD = voucher_for(plan_product(), redeem_until=NOON + DAY)
SPENT = voucher_for(plan_product(), spent=Spent(by=ADA, site_id=SiteId("here"), at=NOON))


@pytest.mark.invariant("V13")
@pytest.mark.parametrize(
    ("voucher", "now"),
    [
        (None, NOON),
        (void(GOOD, now=NOON), NOON),
        (GOOD, NOON + DAY),
        (SPENT, NOON),
    ],
    ids=["unknown", "void", "past its date", "spent by somebody else"],
)
def test_a_stranger_cannot_tell_why(voucher: Voucher | None, now: datetime) -> None:
    """Unknown, void, past its date and spent give the same class, code, text and facts."""
    with pytest.raises(VoucherNotRedeemable) as refusal:
        require_redeemable(voucher, account_id=EVE, now=now)

    assert type(refusal.value) is VoucherNotRedeemable
    assert refusal.value.code == "voucher_not_redeemable"
    assert refusal.value.facts == {}
    assert refusal.value.message == (
        "This voucher cannot be redeemed. Compare the code with the voucher, or ask whoever sold "
        "it to you."
    )


def test_who_redeemed_it_is_told_so() -> None:
    """The redeemer learns when and where, also past its date."""
    with pytest.raises(VoucherAlreadyRedeemed) as refusal:
        require_redeemable(SPENT, account_id=ADA, now=NOON + 40_000 * DAY)

    assert refusal.value.code == "voucher_already_redeemed"
    assert refusal.value.facts == {"redeemed_at": "2026-03-01T12:00:00Z", "site_id": "here"}


def test_a_good_voucher_passes_until_its_last_second() -> None:
    """``redeem_until`` is the first instant outside."""
    assert require_redeemable(GOOD, account_id=EVE, now=NOON + DAY - SECOND) is GOOD


def test_voiding_twice_keeps_the_first_instant() -> None:
    """The second time changes nothing."""
    once = void(GOOD, now=NOON)

    assert once.voided_at == NOON
    assert void(once, now=NOON + DAY) == once


def test_a_spent_voucher_cannot_be_voided() -> None:
    """The site keeps what it redeemed."""
    with pytest.raises(VoucherAlreadySpent) as refusal:
        void(SPENT, now=NOON)

    assert refusal.value.code == "voucher_already_spent"
    assert refusal.value.facts == {"redeemed_at": "2026-03-01T12:00:00Z"}
