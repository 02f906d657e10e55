"""Digital keys at a lock: a document says whose key it is, a challenge shows who has it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.inputs import PhoneSays
from firmware_sim.lock import step as lock_firmware
from firmware_sim.lock.digital_key import CHALLENGE_LASTS_S
from firmware_sim.outputs import Decided, Noted
from firmware_sim.phone import Phone
from gateway.protocol.messages import CredentialKind, DenyReason, EntryKind
from gateway.protocol.phone import DOCUMENT_BYTES_MAX, Challenge, Hello, Proof
from tests.firmware_sim.cloud import DAY, NOON, secret
from tests.firmware_sim.scene import Scene, scene

WEEK_S = 7 * DAY


def with_phone(*, expires_at_s: int = NOON + WEEK_S, locks: int = 1) -> tuple[Scene, Phone]:
    """Return a site and a phone that opens its first lock, also offline."""
    made = scene(locks=locks)
    phone = made.cloud.phone("phoebe", expires_at_s=expires_at_s)
    made.add_person("phoebe", made.cloud.phone_digest(phone))
    return made, phone


def challenge(made: Scene, phone: Phone) -> Challenge:
    """Say hello and return what the lock asks."""
    made.lock.challenges.clear()
    made.world.tell(made.lock, PhoneSays(message=phone.hello()))
    (asked,) = made.lock.challenges
    return asked.challenge


def test_a_phone_opens_like_a_tag() -> None:
    """By the hub while it answers, by the list while it does not; the entry says it was a phone."""
    made, phone = with_phone()

    online = made.world.show(made.lock, phone)
    made.lock.has_radio = False
    offline = made.world.show(made.lock, phone)

    assert online == Decided(kind=EntryKind.OPENED_BY_HUB)
    assert offline == Decided(kind=EntryKind.OPENED_BY_LIST)
    assert made.lock.opened == 2
    for entry in made.log():
        assert entry.credential_kind is CredentialKind.DIGITAL_KEY
        assert entry.credential_digest == made.cloud.phone_digest(phone)


def test_a_phone_without_a_right_stays_outside() -> None:
    """The document says whose the key is, not what it may open."""
    made, _ = with_phone()

    verdict = made.world.show(made.lock, made.cloud.phone("somebody else"))

    assert verdict == Decided(kind=EntryKind.DENIED_BY_HUB, reason=DenyReason.UNKNOWN_CREDENTIAL)


def test_a_foreign_document_is_not_challenged() -> None:
    """Another site's, or one that somebody else signed, comes to nothing at all."""
    made, phone = with_phone()
    stranger = scene(site="b").cloud.phone("phoebe")
    forger = scene(site="a").cloud
    forger.signing_key = scene(site="b").cloud.signing_key
    before = made.lock.now

    for document in (stranger.document, forger.phone("phoebe").document, phone.document[:-1]):
        made.world.tell(made.lock, PhoneSays(message=Hello(document=document)))

    assert made.lock.challenges == []
    assert made.lock.now == before


@pytest.mark.parametrize("late_s", [-1, 0, DAY])
def test_a_document_ends(late_s: int) -> None:
    """At its end it is over, whatever list the key stands on; the log says whose it was."""
    made, phone = with_phone()
    made.lock.has_radio = False
    lag_s = made.lock.now.calendar.at_s(made.world.instant()) - NOON
    made.world.skip(WEEK_S - lag_s + late_s)

    verdict = made.world.show(made.lock, phone)

    if late_s < 0:
        assert verdict.kind is EntryKind.OPENED_BY_LIST
    else:
        expired = Decided(kind=EntryKind.DENIED_OFFLINE, reason=DenyReason.DOCUMENT_EXPIRED)
        assert verdict == expired
        assert made.log()[-1].credential_digest == made.cloud.phone_digest(phone)


def test_without_the_time_the_lower_bound_judges_a_document() -> None:
    """One that had ended before the power went has ended; another still opens."""
    made, phone = with_phone(expires_at_s=NOON + DAY)
    longer = made.cloud.phone("phoebe", expires_at_s=NOON + WEEK_S)
    made.world.skip(2 * DAY)
    made.world.run(25)  # a heartbeat, and a mark
    made.lock.has_radio = False
    made.world.power_off(made.lock)
    made.world.power_on(made.lock)

    assert not made.lock.now.calendar.trusted
    assert made.world.show(made.lock, phone).reason is DenyReason.DOCUMENT_EXPIRED
    assert made.world.show(made.lock, longer).kind is EntryKind.OPENED_BY_LIST


def test_a_copied_document_puts_no_name_into_the_log() -> None:
    """Whoever recorded one, expired or not, cannot prove to be its phone."""
    made, phone = with_phone()
    thief = replace(phone, key=secret("thief"))
    for later_s in (0, WEEK_S):
        made.world.skip(later_s)
        asked = challenge(made, thief)

        made.world.tell(made.lock, PhoneSays(message=thief.prove(asked)))

    assert made.lock.decided == []
    assert made.log() == []


def test_a_challenge_works_once() -> None:
    """The same proof again opens nothing."""
    made, phone = with_phone()
    proof = phone.prove(challenge(made, phone))

    for _ in range(3):
        made.world.tell(made.lock, PhoneSays(message=proof))
        made.world.run(5)

    assert made.lock.opened == 1


def test_a_challenge_dies() -> None:
    """After 10 s a right proof is too late; just before it is not."""
    for wait_s, opened in ((CHALLENGE_LASTS_S - 1, 1), (CHALLENGE_LASTS_S, 0)):
        made, phone = with_phone()
        proof = phone.prove(challenge(made, phone))
        made.world.skip(wait_s)

        made.world.tell(made.lock, PhoneSays(message=proof))

        assert made.lock.opened == opened


def test_one_challenge_at_a_time() -> None:
    """The next hello takes the place of the one before, with another challenge."""
    made, phone = with_phone()
    first = challenge(made, phone)
    second = challenge(made, phone)

    made.world.tell(made.lock, PhoneSays(message=phone.prove(first)))
    assert made.lock.opened == 0
    made.world.tell(made.lock, PhoneSays(message=phone.prove(second)))

    assert first.challenge != second.challenge
    assert made.lock.opened == 1


def test_a_proof_for_one_lock_opens_no_other() -> None:
    """Somebody in the middle passes the challenge of another lock on to the phone."""
    made, phone = with_phone(locks=2)
    other = made.hub.locks[1]
    asked = challenge(made, phone)
    made.world.tell(other, PhoneSays(message=phone.hello()))
    elsewhere = other.challenges[0].challenge
    proof = phone.prove(replace(elsewhere, challenge=asked.challenge))

    made.world.tell(made.lock, PhoneSays(message=proof))
    made.world.tell(other, PhoneSays(message=phone.prove(asked)))

    assert (made.lock.opened, other.opened) == (0, 0)


def test_a_power_cut_forgets_the_challenge() -> None:
    """The phone has to begin again."""
    made, phone = with_phone()
    proof = phone.prove(challenge(made, phone))
    made.world.power_off(made.lock)
    made.world.power_on(made.lock)

    made.world.tell(made.lock, PhoneSays(message=proof))

    assert made.lock.opened == 0


SITE, PHONE = with_phone()
ASKED = challenge(SITE, PHONE)

messages = (
    st.builds(Hello, document=st.binary(min_size=1, max_size=DOCUMENT_BYTES_MAX + 20))
    | st.builds(
        Proof,
        challenge=st.just(ASKED.challenge) | st.binary(min_size=16, max_size=16),
        signature=st.binary(min_size=64, max_size=64),
    )
)  # fmt: skip


@pytest.mark.invariant("E12")
@given(message=messages)
def test_no_phone_confuses_a_lock(message: Hello | Proof) -> None:
    """Documents and proofs that nobody with a key has made change nothing."""
    before = SITE.lock.now

    after, outputs = lock_firmware.step(before, PhoneSays(message=message), SITE.world.instant())

    assert after == before
    assert all(isinstance(output, Noted) for output in outputs)
