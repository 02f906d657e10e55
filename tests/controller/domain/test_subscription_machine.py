"""Any sequence of redemptions, expiries and cancellings: value, intervals, history.

The ledger beside the rules is written another way: it spends second by second from a queue of
fractions and knows nothing of ends, segments or balances.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from controller.domain.entitlements import (
    AddOnRedeemed,
    Holdings,
    PaidSubscriptionNeeded,
    SeatsNotInPlan,
    SeatsRedeemed,
    effective,
)
from controller.domain.history import HistoryEntry, fold, from_record, to_record
from controller.domain.redemption import Redemption, redeem
from controller.domain.subscription import (
    Cancelled,
    Change,
    Expired,
    FewerUsersWhileActive,
    FreeWeekStarted,
    LowerPlanWhileActive,
    PlanRedeemed,
    Status,
    SubscriptionNotRunning,
    cancel,
    expire,
    start_free_week,
)
from tests.controller.domain.builders import CATALOGUE, INSTANTS, SECOND, voucher_for
from vouchers.products import AddOnProduct, Plan, PlanProduct, Product, SeatProduct

ZONES = ["UTC", "Pacific/Kiritimati", "America/St_Johns", "Europe/Madrid", "Asia/Kathmandu"]


class Ledger:
    """What was paid, used and is left, in fractions."""

    def __init__(self) -> None:
        self.paid = Fraction(0)
        self.used = Fraction(0)
        self.queue: list[tuple[int, Fraction]] = []  # seconds, worth of one
        self.rest = Fraction(0)

    @property
    def left(self) -> Fraction:
        """Worth of all that is not used."""
        return sum((seconds * worth for seconds, worth in self.queue), self.rest)

    def spend(self, seconds: int) -> None:
        """Use time; with the last second the rest is gone too."""
        while seconds and self.queue:
            available, worth = self.queue.pop(0)
            taken = min(seconds, available)
            self.used += taken * worth
            seconds -= taken
            if taken < available:
                self.queue.insert(0, (available - taken, worth))
        if not self.queue:
            self.forfeit()

    def forfeit(self) -> None:
        """Use up all that is left."""
        self.used += self.left
        self.queue, self.rest = [], Fraction(0)

    def pay(self, product: PlanProduct, *, same_terms: bool) -> None:
        """Put a voucher behind what is left."""
        worth = Fraction(product.rate)
        self.paid += product.term_days * 86_400 * worth
        if self.queue and not same_terms:
            seconds, self.rest = divmod(self.left, worth)
            self.queue = [(int(seconds), worth)] if seconds else []
        self.queue.append((product.term_days * 86_400, worth))


class Life(RuleBasedStateMachine):
    """A site's life with vouchers."""

    @initialize(created_at=INSTANTS)
    def create(self, created_at: datetime) -> None:
        """The site is created and has its free week."""
        self.now = created_at
        self.ledger = Ledger()
        change = start_free_week(CATALOGUE.newest, now=self.now)
        self.holdings = Holdings(subscription=change.subscription)
        self.history: list[HistoryEntry] = list(change.entries)

    @rule(passed=st.timedeltas(timedelta(0), timedelta(days=60)))
    def wait(self, passed: timedelta) -> None:
        """Time goes by, with whatever fraction of a second."""
        self._go_to(self.now + passed)

    @rule(offset=st.sampled_from([-SECOND, -timedelta(microseconds=1), timedelta(0), SECOND]))
    def wait_for_the_end(self, offset: timedelta) -> None:
        """Time goes by until just before, at or just after the end."""
        self._go_to(max(self.now, self.holdings.subscription.ends_at + offset))

    @rule()
    def run_the_timer(self) -> None:
        """The worker looks at what has ended."""
        self._take(expire(self.holdings.subscription, now=self.now))

    @rule(
        plan=st.sampled_from(Plan),
        users=st.integers(1, 3),
        days=st.integers(1, 40),
        rate=st.integers(1, 60),
    )
    def redeem_plan(self, plan: Plan, users: int, days: int, rate: int) -> None:
        """A plan voucher is tried; the model says whether it is allowed."""
        product = PlanProduct(plan=plan, users=users, term_days=days, rate=rate)
        before = self.holdings.subscription
        same_terms = (plan, users) == (before.plan, before.users)
        left = self.ledger.left

        smaller = users < before.users or (before.plan, plan) == (Plan.PRO, Plan.LITE)
        if self.ledger.queue and smaller:
            with pytest.raises((FewerUsersWhileActive, LowerPlanWhileActive)):
                self._redeem(product)
            return
        redemption = self._redeem(product)

        assert redemption is not None
        self.ledger.pay(product, same_terms=same_terms)
        carried = redemption.carry_over
        assert carried is not None
        assert Fraction(carried.left_value) == left
        after = self.holdings.subscription
        assert after.ends_at >= self.now.replace(microsecond=0) + timedelta(days=days)
        if carried.converted:
            assert 0 <= after.rest < rate

    @rule(days=st.integers(1, 40))
    def redeem_add_on(self, days: int) -> None:
        """An add-on voucher is tried; it works only with a paid subscription."""
        if self._redeem(AddOnProduct(feature="pods", term_days=days)) is None:
            assert not self.ledger.queue

    @rule(days=st.integers(1, 40), count=st.integers(1, 5))
    def redeem_seats(self, days: int, count: int) -> None:
        """A seat voucher is tried; it works only with a paid Pro subscription."""
        if self._redeem(SeatProduct(component="lockers", count=count, term_days=days)) is None:
            assert not self.ledger.queue or self.holdings.subscription.plan is Plan.LITE

    @rule()
    def cancel(self) -> None:
        """The operator cancels, if there is something to cancel."""
        try:
            change = cancel(self.holdings.subscription, reason="test", now=self.now)
        except SubscriptionNotRunning:
            assert self._is_over()
            return
        self.ledger.forfeit()
        self._take(change)

    @invariant()
    def value_is_conserved(self) -> None:
        """V4: what was paid is what was used and what is left, exactly."""
        left = self.holdings.subscription.left(self.now)
        assert self.ledger.paid == self.ledger.used + left.value
        assert left.rest == self.ledger.rest
        assert left.seconds == sum(seconds for seconds, _ in self.ledger.queue)

    @invariant()
    def history_gives_the_present(self) -> None:
        """V14: the stored history, read back and folded, is exactly what the site holds."""
        stored = [(entry.kind, to_record(entry)) for entry in self.history]
        assert fold(from_record(kind, record) for kind, record in stored) == self.holdings

    @invariant()
    def intervals_are_disjoint(self) -> None:
        """V8: one that was ended lies before the next; one that ran gave way within its time."""
        for (start, end, over), (next_start, _, _) in pairwise(self._intervals()):
            assert start <= next_start
            assert end <= next_start if over else next_start < end

    @invariant()
    def zones_do_not_matter(self) -> None:
        """V15: the same instant given in any zone leads to the same state."""
        results = {
            repr(
                (
                    expire(self.holdings.subscription, now=self.now.astimezone(ZoneInfo(zone))),
                    self.holdings.subscription.left(self.now.astimezone(ZoneInfo(zone))),
                    self._features(self.now.astimezone(ZoneInfo(zone))),
                )
            )
            for zone in ZONES
        }
        assert len(results) == 1

    def _features(self, now: datetime) -> list[str]:
        rights = effective(self.holdings, catalogue=CATALOGUE, contact="them", now=now)
        return sorted(rights.features)

    def _redeem(self, product: Product) -> Redemption | None:
        try:
            redemption = redeem(
                self.holdings, voucher_for(product), catalogue=CATALOGUE, now=self.now
            )
        except (PaidSubscriptionNeeded, SeatsNotInPlan):
            return None
        self.holdings = redemption.holdings
        self.history += redemption.entries
        return redemption

    def _take(self, change: Change) -> None:
        self.holdings = replace(self.holdings, subscription=change.subscription)
        self.history += change.entries

    def _go_to(self, then: datetime) -> None:
        whole = then.replace(microsecond=0) - self.now.replace(microsecond=0)
        self.ledger.spend(whole // SECOND)
        self.now = then

    def _is_over(self) -> bool:
        subscription = self.holdings.subscription
        return subscription.status is not Status.RUNNING or self.now >= subscription.ends_at

    def _intervals(self) -> list[tuple[datetime, datetime, bool]]:
        """Start, end and whether it was ended by an entry, of every subscription so far."""
        intervals: list[tuple[datetime, datetime, bool]] = []
        for entry in self.history:
            match entry:
                case FreeWeekStarted() | PlanRedeemed():
                    intervals.append((entry.at, entry.ends_at, False))
                case Expired() | Cancelled():
                    intervals[-1] = (intervals[-1][0], entry.at, True)
                case AddOnRedeemed() | SeatsRedeemed():
                    pass
        return intervals


@pytest.mark.invariant("V4", "V8", "V14", "V15")
def test_any_life_with_vouchers_keeps_the_rules() -> None:
    """Whatever is redeemed, awaited and cancelled in whatever order, the invariants hold."""
    run_state_machine_as_test(Life, settings=settings(max_examples=150, stateful_step_count=40))
