"""Codes at the keypad: who guesses has to wait, and no pulled battery helps."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.flash import MemoryFlash
from firmware_sim.inputs import EnterPin, Present, Tick
from firmware_sim.instant import Instant
from firmware_sim.lock import step as lock_firmware
from firmware_sim.lock.keypad import FREE_TRIES, OFF_AFTER, wait_s
from firmware_sim.lock.state import LockState
from firmware_sim.outputs import (
    Decided,
    FlashDelete,
    FlashWrite,
    MotorOpen,
    Noted,
    Output,
)
from gateway.protocol import frames
from gateway.protocol.frames import FrameKind
from gateway.protocol.messages import CredentialKind, DenyReason, EntryKind
from gateway.protocol.sealing import OrderKind
from tests.firmware_sim.cloud import DAY, blocked
from tests.firmware_sim.scene import BEN, DAN, Scene, prepare
from tests.firmware_sim.world import World

RIGHT = "274105"
LATE = "835520"  # a code that is blocked
WRONG = "111111"
HOUR_S = 3600


def at_keypad(*, world: World | None = None, site: str = "a") -> Scene:
    """Return a site whose lock has a keypad, and two codes."""
    made = prepare(world=world, site=site)
    made.world.start()
    made.set_door(keypad=True)
    made.add_person("pia", made.cloud.pin_digest(RIGHT))
    plan = made.cloud.plans[made.hub.identity.hub_id]
    late = replace(plan.people[-1], person_id=b"late" * 4)
    credential = replace(late.credentials[0], credential_digest=made.cloud.pin_digest(LATE))
    plan.people += (blocked(replace(late, credentials=(credential,))),)
    made.publish()
    return made


def guess(made: Scene, times: int) -> None:
    """Enter wrong codes, each as soon as the keypad takes one."""
    for _ in range(times):
        now_s = made.world.mono_s
        made.world.skip(max(0.0, made.lock.now.keypad_until_s - now_s))
        assert made.world.enter(made.lock, WRONG).reason is DenyReason.UNKNOWN_CREDENTIAL


def asks(made: Scene) -> int:
    """Return how many questions the lock has sent."""
    return sum(frames.decode(data).kind is FrameKind.ASK for data in made.lock.frames)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (4, 0), (5, 30), (6, 60), (7, 120), (11, 1920), (12, 3600), (13, 3600), (49, 3600)],
)
def test_the_waits(failures: int, seconds: int) -> None:
    """Five tries are free, then 30 s, doubling to an hour."""
    assert wait_s(failures) == seconds


def test_a_right_code_opens_like_a_tag() -> None:
    """By the hub while it answers, by the list while it does not; the entry says it was a code."""
    made = at_keypad()

    online = made.world.enter(made.lock, RIGHT)
    made.lock.has_radio = False
    offline = made.world.enter(made.lock, RIGHT)

    assert online == Decided(kind=EntryKind.OPENED_BY_HUB)
    assert offline == Decided(kind=EntryKind.OPENED_BY_LIST)
    assert made.lock.opened == 2
    for entry in made.log():
        assert entry.credential_kind is CredentialKind.PIN
        assert entry.credential_digest == made.cloud.pin_digest(RIGHT)


def test_a_wrong_code_has_no_name() -> None:
    """Nobody who reads the log learns which digits were tried; whose code it is, they learn."""
    made = at_keypad()

    made.world.enter(made.lock, WRONG)
    made.world.enter(made.lock, LATE)

    wrong, late = made.log()
    assert (wrong.reason, wrong.credential_digest) == (DenyReason.UNKNOWN_CREDENTIAL, None)
    assert late.reason is DenyReason.CREDENTIAL_BLOCKED
    assert late.credential_digest == made.cloud.pin_digest(LATE)
    assert {wrong.credential_kind, late.credential_kind} == {CredentialKind.PIN}


def test_the_fifth_wrong_code_makes_the_keypad_wait() -> None:
    """It is an incident, and until the wait is over not even the right code is tried."""
    made = at_keypad()
    guess(made, 5)
    incident = made.log()[-1]
    asked, failures = asks(made), made.lock.now.guard.failures

    early = made.world.enter(made.lock, RIGHT)
    made.world.skip(made.lock.now.keypad_until_s - made.world.mono_s)
    late = made.world.enter(made.lock, RIGHT)

    assert (incident.kind, incident.count) == (EntryKind.KEYPAD_WAITS, 5)
    assert early == Decided(kind=EntryKind.DENIED_OFFLINE, reason=DenyReason.KEYPAD_WAITS)
    assert (asks(made), failures) == (asked + 1, 5)
    assert late.kind is EntryKind.OPENED_BY_HUB


def test_a_right_code_gives_the_free_tries_back() -> None:
    """And ends the incident."""
    made = at_keypad()
    guess(made, 6)
    made.world.skip(HOUR_S)
    made.world.enter(made.lock, RIGHT)

    assert made.kinds()[-2:] == [EntryKind.OPENED_BY_HUB, EntryKind.KEYPAD_CLEARED]
    before_s = made.world.mono_s
    guess(made, 5)
    assert made.world.mono_s == before_s
    assert made.kinds().count(EntryKind.KEYPAD_WAITS) == 2


def test_somebodys_code_that_may_not_open_neither_counts_nor_clears() -> None:
    """Else whoever has an old code could guess for ever, or would be taken for a guesser."""
    made = at_keypad()
    guess(made, 3)

    for _ in range(20):
        made.world.enter(made.lock, LATE)

    assert made.lock.now.guard.failures == 3


def test_fifty_wrong_codes_switch_the_keypad_off() -> None:
    """Then no code opens any more, however long one waits."""
    made = at_keypad()
    guess(made, 50)
    made.world.skip(7 * DAY)

    assert made.log()[-1].kind is EntryKind.KEYPAD_OFF
    assert made.log()[-1].count == 50
    assert made.world.enter(made.lock, RIGHT).reason is DenyReason.KEYPAD_OFF
    assert made.kinds().count(EntryKind.KEYPAD_WAITS) == 1


def test_what_switches_the_keypad_on_again() -> None:
    """A tag or digital key that opens, or the order; a tag that opens nothing does not."""
    made = at_keypad()
    phone = made.cloud.phone("pia")
    made.add_person("phoebe", made.cloud.phone_digest(phone))
    for clear in (
        lambda: made.world.tap(made.lock, BEN),
        lambda: made.world.show(made.lock, phone),
        lambda: made.order(OrderKind.CLEAR_KEYPAD),
    ):
        guess(made, 50)
        made.world.tap(made.lock, DAN)
        assert made.world.enter(made.lock, RIGHT).reason is DenyReason.KEYPAD_OFF

        clear()

        assert made.log()[-1].kind is EntryKind.KEYPAD_CLEARED
        assert made.world.enter(made.lock, RIGHT).kind is EntryKind.OPENED_BY_HUB


@pytest.mark.invariant("A11")
def test_a_tag_does_not_shorten_a_wait() -> None:
    """At a door that many use there would be no waiting at all."""
    made = at_keypad()
    guess(made, 8)
    until_s = made.lock.now.keypad_until_s

    made.world.tap(made.lock, BEN)

    assert made.lock.now.keypad_until_s == until_s
    assert made.lock.now.guard.failures == 8


def test_a_lock_whose_keypad_is_not_in_use_tries_no_code() -> None:
    """The right one is refused too, and nothing is asked."""
    made = at_keypad()
    made.set_door(keypad=False)

    assert made.world.enter(made.lock, RIGHT).reason is DenyReason.KEYPAD_OFF
    assert asks(made) == 0
    assert made.log()[-1].credential_digest is None


@given(code=st.text(max_size=12) | st.text(alphabet="0123456789", max_size=12))
def test_what_is_no_code_changes_nothing(code: str) -> None:
    """Six to ten digits are tried, and counted; anything else is not."""
    before = KEYPAD.lock.now

    after, outputs = lock_firmware.step(before, EnterPin(pin=code), KEYPAD.world.instant())

    if code.isascii() and code.isdecimal() and 6 <= len(code) <= 10:
        assert after.guard.failures == before.guard.failures + 1
    else:
        assert after == before
        assert all(isinstance(output, Noted) for output in outputs)


@pytest.mark.invariant("A11")
def test_a_code_counts_before_anybody_is_asked() -> None:
    """Cut at any byte that a code makes the lock write: what was asked was counted."""
    made = at_keypad()
    guess(made, 4)
    log = made.lock.flash.log
    made.world.tell(made.lock, EnterPin(pin=WRONG))
    asked_at = len(log) + len(made.lock.flash.log[len(log) :])
    made.world.run(5)

    counts = [
        _booted(made, made.lock.flash.log[:end]).guard.failures
        for end in range(len(log), len(made.lock.flash.log) + 1)
    ]

    assert counts == sorted(counts)
    assert counts[0] == 4
    assert set(counts[asked_at - len(log) :]) == {5}


@pytest.mark.invariant("A11")
def test_a_power_cut_hides_no_incident() -> None:
    """Power goes after the fifth code is counted and before it is judged: the start reports it."""
    made = at_keypad()
    guess(made, 4)
    made.lock.has_radio = False
    made.world.tell(made.lock, EnterPin(pin=WRONG))
    made.world.power_off(made.lock)

    made.world.power_on(made.lock)

    assert made.kinds()[-1] is EntryKind.KEYPAD_WAITS
    assert made.world.enter(made.lock, RIGHT).reason is DenyReason.KEYPAD_WAITS
    made.world.power_off(made.lock)
    made.world.power_on(made.lock)
    assert made.kinds().count(EntryKind.KEYPAD_WAITS) == 1


def _booted(made: Scene, log: bytes) -> LockState:
    flash = MemoryFlash(log).read()
    state, _ = lock_firmware.boot(made.lock.identity, flash, made.world.instant())
    return state


KEYPAD = at_keypad()
LOG = KEYPAD.lock.flash.log


class Attacker:
    """Somebody at a keypad without a hub, who knows when it listens and may pull its battery."""

    def __init__(self) -> None:
        self.flash = MemoryFlash(LOG)
        self.now_s = 5000.0
        self.tried = 0
        self.state, _ = self._boot()

    @property
    def left_s(self) -> float:
        """How long the keypad still waits."""
        return max(0.0, self.state.keypad_until_s - self.now_s)

    def pull(self) -> None:
        """Take the battery out and put it back."""
        self.state, outputs = self._boot()
        self._apply(outputs)

    def wait(self, seconds: float) -> None:
        """Do nothing; the lock ticks now and then."""
        self.now_s += seconds
        self.step(Tick())

    def enter(self, *, pulls_at_once: bool) -> None:
        """Enter a code; perhaps pull the battery before the lock has answered."""
        outputs = self.step(EnterPin(pin=WRONG))
        refused = [each for each in outputs if isinstance(each, Decided)]
        self.tried += not refused
        if pulls_at_once:
            self.pull()
        while self.state.request is not None:
            self.wait(0.5)

    def step(self, event: EnterPin | Tick | Present) -> tuple[Output, ...]:
        """Let something happen to the lock."""
        self.state, outputs = lock_firmware.step(self.state, event, self._instant())
        assert not any(isinstance(each, MotorOpen) for each in outputs)
        self._apply(outputs)
        return outputs

    def _boot(self) -> tuple[LockState, tuple[Output, ...]]:
        return lock_firmware.boot(KEYPAD.lock.identity, self.flash.read(), self._instant())

    def _apply(self, outputs: tuple[Output, ...]) -> None:
        self.flash.apply([each for each in outputs if isinstance(each, FlashWrite | FlashDelete)])

    def _instant(self) -> Instant:
        return Instant(mono_s=self.now_s, entropy=bytes(32))


def tries_within(seconds: float) -> int:
    """Return the formula's greatest number of tries from a fresh start: the rule, written anew."""
    tries, at_s = 0, 0.0
    while at_s <= seconds and tries < OFF_AFTER:
        tries += 1
        at_s += 0 if tries < FREE_TRIES else min(3600, 30 * 2 ** (tries - FREE_TRIES))
    return tries


@pytest.mark.invariant("A11")
@given(
    habits=st.lists(
        st.tuples(
            st.booleans(),  # pulls the battery while waiting
            st.booleans(),  # pulls it right after the code
            st.booleans(),  # tries too early as well
            st.sampled_from([0.0, 0.0, 0.0, 1.0, 400.0]),  # comes late
        ),
        min_size=1,
        max_size=12,
    )
)
def test_no_attacker_gets_more_tries_than_the_formula(
    habits: list[tuple[bool, bool, bool, float]],
) -> None:
    """A day at the keypad, with any pattern of pulled batteries: at most about 35 tries."""
    attacker = Attacker()
    began_s = attacker.now_s
    turn = 0
    while attacker.now_s - began_s < DAY and attacker.tried < OFF_AFTER:
        pulls_waiting, pulls_at_once, is_early, late_s = habits[turn % len(habits)]
        turn += 1
        assert turn < 10 * OFF_AFTER, "time goes on"
        if pulls_waiting:
            attacker.wait(attacker.left_s / 2)
            attacker.pull()
        if is_early:
            attacker.wait(max(0.0, attacker.left_s - 0.5))
            attacker.enter(pulls_at_once=pulls_at_once)
        attacker.wait(attacker.left_s + late_s)
        attacker.enter(pulls_at_once=pulls_at_once)

    assert attacker.tried <= tries_within(attacker.now_s - began_s)
    assert attacker.state.guard.failures >= attacker.tried


def test_the_formula_is_reached() -> None:
    """Who pulls no battery and comes on time gets what the formula says, so it is no idle bound."""
    attacker = Attacker()
    began_s = attacker.now_s
    while attacker.now_s + attacker.left_s - began_s <= DAY:
        attacker.wait(attacker.left_s)
        attacker.enter(pulls_at_once=False)

    assert attacker.tried == tries_within(DAY) == 34


@pytest.mark.invariant("A11")
def test_a_power_cut_begins_the_wait_anew() -> None:
    """The battery is changed with a second left: all of the present wait is still to come."""
    attacker = Attacker()
    for _ in range(7):
        attacker.wait(attacker.left_s)
        attacker.enter(pulls_at_once=False)
    attacker.wait(attacker.left_s - 1)

    attacker.pull()

    assert attacker.state.guard.failures == 7
    assert attacker.left_s == wait_s(7)
