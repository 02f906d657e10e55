"""What a lock decides alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.calendar import Mark
from firmware_sim.flash import MemoryFlash
from firmware_sim.inputs import Present
from firmware_sim.lock.door import PATIENCE_S
from firmware_sim.lock.offline import Opens, Refuses, decide_offline
from firmware_sim.lock.state import Opening
from firmware_sim.lock.step import boot
from firmware_sim.outputs import FlashWrite
from gateway.protocol import frames, wire
from gateway.protocol.messages import DenyReason, EntryKind
from gateway.protocol.sections import Holiday, OfflineGrant, Times, Window
from tests.firmware_sim.cloud import DAY, NOON, ident, offline_list, person, weekly
from tests.firmware_sim.scene import ANN, BEN, CAT, DAN, Scene, list_of, scene

TAG = ident("tag")
LUNCH = weekly(*(Window(weekday=day, start_min=720, end_min=780) for day in range(7)))
BREAKFAST = weekly(*(Window(weekday=day, start_min=480, end_min=540) for day in range(7)))
WORKDAYS = Times(windows=LUNCH.windows, observes_holidays=True)
LAST_YEAR = replace(LUNCH, until_day=NOON // DAY)
THIS_YEAR = replace(LUNCH, from_day=NOON // DAY)
ALWAYS = OfflineGrant(credential_digest=TAG)
AT_LUNCH = OfflineGrant(credential_digest=TAG, schedules=(0,))
AT_BREAKFAST = OfflineGrant(credential_digest=TAG, schedules=(1,))
AT_EITHER = OfflineGrant(credential_digest=TAG, schedules=(0, 1))
ON_WORKDAYS = OfflineGrant(credential_digest=TAG, schedules=(2,))
IN_LAST_YEAR = OfflineGrant(credential_digest=TAG, schedules=(3,))
IN_THIS_YEAR = OfflineGrant(credential_digest=TAG, schedules=(4,))
NOT_YET = OfflineGrant(credential_digest=TAG, starts_at_s=NOON + 1)
JUST_BEGUN = OfflineGrant(credential_digest=TAG, starts_at_s=NOON)
ENDED = OfflineGrant(credential_digest=TAG, ends_at_s=NOON)
LAST_SECOND = OfflineGrant(credential_digest=TAG, ends_at_s=NOON + 1)

BY_LIST = Opens(kind=EntryKind.OPENED_BY_LIST)
BY_MEMORY = Opens(kind=EntryKind.OPENED_BY_MEMORY)
UNKNOWN = Refuses(reason=DenyReason.UNKNOWN_CREDENTIAL)
EXPIRED = Refuses(reason=DenyReason.CREDENTIAL_EXPIRED)
OUTSIDE = Refuses(reason=DenyReason.OUTSIDE_SCHEDULE)
UNCERTAIN = Refuses(reason=DenyReason.CLOCK_UNCERTAIN)

LIST_TABLE: list[tuple[tuple[OfflineGrant, ...], bool, Opens | Refuses]] = [
    ((ALWAYS,), True, BY_LIST),
    ((ALWAYS,), False, BY_LIST),
    ((AT_LUNCH,), True, BY_LIST),
    ((AT_LUNCH,), False, UNCERTAIN),
    ((AT_BREAKFAST,), True, OUTSIDE),
    ((AT_BREAKFAST,), False, UNCERTAIN),
    ((AT_BREAKFAST, AT_LUNCH), True, BY_LIST),
    ((ENDED,), True, EXPIRED),
    ((ENDED,), False, EXPIRED),
    ((ENDED, ALWAYS), True, BY_LIST),
    ((ENDED, AT_BREAKFAST), True, OUTSIDE),
    ((LAST_SECOND,), True, BY_LIST),
    ((replace(AT_LUNCH, ends_at_s=NOON),), True, EXPIRED),
    ((AT_EITHER,), True, BY_LIST),
    ((AT_EITHER,), False, UNCERTAIN),
    ((ON_WORKDAYS,), True, OUTSIDE),  # it is a holiday
    ((IN_LAST_YEAR,), True, OUTSIDE),
    ((IN_THIS_YEAR,), True, BY_LIST),
    ((NOT_YET,), True, Refuses(reason=DenyReason.PERSON_NOT_YET)),
    ((NOT_YET,), False, UNCERTAIN),  # it may have begun meanwhile
    ((NOT_YET, ENDED), True, Refuses(reason=DenyReason.PERSON_NOT_YET)),
    ((NOT_YET, AT_BREAKFAST), True, OUTSIDE),
    ((NOT_YET, ALWAYS), True, BY_LIST),
    ((JUST_BEGUN,), True, BY_LIST),
    ((JUST_BEGUN,), False, BY_LIST),
    ((), True, UNKNOWN),
]


@pytest.mark.parametrize(("grants", "trusted", "verdict"), LIST_TABLE)
def test_the_list(
    grants: tuple[OfflineGrant, ...], *, trusted: bool, verdict: Opens | Refuses
) -> None:
    """A grant opens within its frame and its schedules; without the time, schedules do not."""
    held = offline_list(
        ident("lock"),
        *grants,
        schedules=(LUNCH, BREAKFAST, WORKDAYS, LAST_YEAR, THIS_YEAR),
        holidays=(Holiday(day=NOON // DAY - 1, days=2),),
    )

    found = decide_offline(held, {}, TAG, memory_days=7, at_s=NOON, clock_trusted=trusted)

    assert found == verdict


def test_the_list_tells_the_privileges_of_the_grants_that_open() -> None:
    """What stands in a grant that does not open now counts for nothing; the others add up."""
    grants = (
        replace(ALWAYS, privileges=1),
        replace(AT_LUNCH, privileges=4),
        replace(AT_BREAKFAST, privileges=2),
    )
    held = offline_list(ident("lock"), *grants, schedules=(LUNCH, BREAKFAST))

    found = decide_offline(held, {}, TAG, memory_days=7, at_s=NOON, clock_trusted=True)

    assert found == replace(BY_LIST, privileges=5)


A_MINUTE_AGO = Opening(opened_s=NOON - 60)
MEMORY_TABLE: list[tuple[Opening | None, int, dict[str, object], Opens | Refuses]] = [
    (Opening(opened_s=NOON), 7, {}, BY_MEMORY),
    (Opening(opened_s=NOON - 7 * DAY + 1), 7, {}, BY_MEMORY),
    (Opening(opened_s=NOON - 7 * DAY), 7, {}, EXPIRED),
    (Opening(opened_s=NOON), 0, {}, EXPIRED),
    (Opening(opened_s=NOON - 60, ends_at_s=NOON + 1), 7, {}, BY_MEMORY),
    (Opening(opened_s=NOON - 60, ends_at_s=NOON), 7, {}, EXPIRED),
    (None, 7, {}, UNKNOWN),
    (A_MINUTE_AGO, 7, {"purge": (TAG,)}, UNKNOWN),
    (A_MINUTE_AGO, 7, {"purge": (ident("other"),)}, BY_MEMORY),
    (A_MINUTE_AGO, 7, {"purge_before_s": NOON - 59}, UNKNOWN),
    (A_MINUTE_AGO, 7, {"purge_before_s": NOON - 60}, BY_MEMORY),
]


@pytest.mark.invariant("A1")
@pytest.mark.parametrize(("opening", "days", "list_says", "verdict"), MEMORY_TABLE)
def test_the_memory(
    opening: Opening | None, days: int, list_says: dict[str, object], verdict: Opens | Refuses
) -> None:
    """An opening by the hub counts for so many days, unless the list takes it back."""
    held = replace(offline_list(ident("lock")), **list_says)  # type: ignore[arg-type]  # the table's words
    memory = {} if opening is None else {TAG: opening}

    found = decide_offline(held, memory, TAG, memory_days=days, at_s=NOON, clock_trusted=True)

    assert found == verdict


def cut_off() -> Scene:
    """Return a site whose lock has just lost its hub."""
    made = scene()
    made.world.tap(made.lock, ANN)
    made.lock.has_radio = False
    return made


def in_days(days: int | None) -> int | None:
    """Return the calendar so many days after the beginning."""
    return None if days is None else NOON + days * DAY


def test_an_offline_opening_does_not_renew_the_memory() -> None:
    """Seven days after the hub's opening it is over, however often the lock opened since."""
    made = cut_off()
    kinds = []
    for _ in range(8):
        kinds.append(made.world.tap(made.lock, ANN).kind)
        made.world.skip(DAY - 2)

    assert kinds == [EntryKind.OPENED_BY_MEMORY] * 7 + [EntryKind.DENIED_OFFLINE]


@pytest.mark.invariant("A1", "E5")
@pytest.mark.parametrize(("tag_ends", "stay_ends"), [(2, 3), (3, 2), (2, None), (None, 2)])
def test_the_memory_outlives_neither_credential_nor_person(
    tag_ends: int | None, stay_ends: int | None
) -> None:
    """It opens until the earlier end and not beyond, even if the lock has lost power meanwhile."""
    made = scene()
    plan = made.cloud.plans[made.hub.identity.hub_id]
    ann = person("ann", made.cloud.digest(ANN), groups=("all",), ends_at_s=in_days(stay_ends))
    tag = replace(ann.credentials[0], ends_at_s=in_days(tag_ends))
    plan.people = (replace(ann, credentials=(tag,)), *plan.people[1:])
    made.publish()
    made.world.tap(made.lock, ANN)
    made.lock.has_radio = False
    made.world.power_off(made.lock)
    made.world.power_on(made.lock)

    before_s = NOON + 2 * DAY - made.lock.now.calendar.at_s(made.world.instant())
    made.world.skip(before_s - PATIENCE_S - 1)
    in_time = made.world.tap(made.lock, ANN)
    made.world.skip(1)
    too_late = made.world.tap(made.lock, ANN)

    assert in_time.kind is EntryKind.OPENED_BY_MEMORY
    assert too_late.reason is DenyReason.CREDENTIAL_EXPIRED


@pytest.mark.invariant("A1")
def test_a_revoked_credential_opens_by_no_path() -> None:
    """After the lock has confirmed the revision, neither hub, list nor memory opens."""
    made = scene()
    made.world.tap(made.lock, ANN)
    plan = made.cloud.plans[made.hub.identity.hub_id]
    plan.people = (person("cat", made.cloud.digest(CAT), groups=("staff",)),)
    purge = (made.cloud.digest(ANN), made.cloud.digest(BEN))
    plan.lists = {made.lock.name: offline_list(made.cloud.lock_id(made.lock.name), purge=purge)}

    made.publish()
    online = [made.world.tap(made.lock, tag).kind for tag in (ANN, BEN)]
    made.lock.has_radio = False
    offline = [made.world.tap(made.lock, tag).kind for tag in (ANN, BEN)]

    assert online == [EntryKind.DENIED_BY_HUB] * 2
    assert offline == [EntryKind.DENIED_OFFLINE] * 2
    assert made.lock.now.memory == {}


def revoke_by_time(made: Scene, *, before_s: int, purge: tuple[bytes, ...] = ()) -> None:
    """Take Ann out; the lock is told an instant and other names."""
    plan = made.cloud.plans[made.hub.identity.hub_id]
    plan.people = tuple(each for each in plan.people if each.person_id != person("ann").person_id)
    (name,) = plan.lists
    plan.lists = {name: replace(plan.lists[name], purge=purge, purge_before_s=before_s)}
    made.publish()


@pytest.mark.invariant("A1")
@pytest.mark.parametrize("before_s", [None, NOON - 60, NOON])
def test_what_a_stale_hub_granted_is_forgotten(before_s: int | None) -> None:
    """Ann is revoked at noon, a hub that is behind lets her in later, then the list comes.

    The list before named the same instant or an earlier one or none.
    """
    made = scene()
    plan = made.cloud.plans[made.hub.identity.hub_id]
    held = plan.lists[made.lock.name]
    plan.lists = {made.lock.name: replace(held, purge=(ident("x"),), purge_before_s=before_s)}
    made.publish()
    made.world.skip(60)
    assert made.world.tap(made.lock, ANN).kind is EntryKind.OPENED_BY_HUB
    assert made.lock.now.memory

    revoke_by_time(made, before_s=NOON, purge=(ident("y"),))
    made.lock.has_radio = False

    assert made.world.tap(made.lock, ANN).reason is DenyReason.UNKNOWN_CREDENTIAL
    assert not [key for key in made.lock.flash.read() if "/memory/" in key]


def test_a_list_that_takes_back_nothing_new_leaves_the_memory() -> None:
    """Another grant, or the same list once more, is no reason to forget anybody."""
    made = scene()
    plan = made.cloud.plans[made.hub.identity.hub_id]
    held = replace(plan.lists[made.lock.name], purge=(ident("x"),), purge_before_s=NOON - 60)
    plan.lists = {made.lock.name: held}
    made.publish()
    made.world.tap(made.lock, ANN)

    grants = (*held.grants, OfflineGrant(credential_digest=ident("another")))
    plan.lists = {made.lock.name: replace(held, grants=grants)}
    made.publish()

    assert made.cloud.digest(ANN) in made.lock.now.memory


@pytest.mark.invariant("A1", "A2")
def test_a_power_cut_keeps_no_memory_beside_a_list_that_takes_it_back() -> None:
    """Cut after any byte of what a new list writes: old list, or nothing of the memory."""
    made = scene()
    made.world.tap(made.lock, ANN)
    log = made.lock.flash.log
    revoke_by_time(made, before_s=NOON - 60)
    whole = made.lock.flash.log
    assert whole.startswith(log)

    for end in range(len(log), len(whole) + 1):
        flash = MemoryFlash(whole[:end]).read()
        booted, _ = boot(made.lock.identity, flash, made.world.instant())
        assert booted.configuration is not None
        assert booted.configuration.settings.revision == 1 or not booted.memory


@pytest.mark.invariant("A1")
def test_an_answer_that_the_configuration_overtook_does_not_open() -> None:
    """Granted before the revocation, heard after it: the lock has asked anew by then."""
    made = scene()
    made.lock.has_radio = False  # every frame is carried by hand
    made.world.tell(made.lock, Present(tag_number=ANN))
    made.hub.frames.clear()
    made.replay(made.hub, made.lock.frames[-1:])
    (answer,) = made.hub.frames
    revoke_by_time(made, before_s=NOON)

    made.replay(made.lock, made.hub.frames[1:])
    made.replay(made.lock, [answer])
    made.replay(made.hub, made.lock.frames)
    made.replay(made.lock, made.hub.frames)

    assert [each.kind for each in made.lock.decided] == [EntryKind.DENIED_BY_HUB]
    assert made.lock.opened == 0


def test_the_memory_uses_only_slots_that_the_list_leaves() -> None:
    """The oldest opening is forgotten first, and a longer list takes what it needs."""
    made = scene(capacity=4)  # two of them are the list's
    plan = made.cloud.plans[made.hub.identity.hub_id]
    tags = [bytes([4, 5, 6, 7, number]) for number in range(3)]
    plan.people += tuple(
        person(f"guest {tag.hex()}", made.cloud.digest(tag), groups=("all",)) for tag in tags
    )
    made.publish()
    for tag in (*tags, tags[1]):
        made.world.tap(made.lock, tag)
        made.world.skip(60)
    remembered = set(made.lock.now.memory)

    plan.lists = {made.lock.name: list_of(made.cloud, made.lock.name, DAN)}
    made.publish()

    assert remembered == {made.cloud.digest(tag) for tag in tags[1:]}
    assert set(made.lock.now.memory) == {made.cloud.digest(tags[1])}


def test_a_list_that_does_not_fit_changes_nothing() -> None:
    """More grants than slots: the present configuration stays, whole."""
    made = scene(capacity=3)
    before = made.lock.now.configuration
    plan = made.cloud.plans[made.hub.identity.hub_id]
    plan.lists = {made.lock.name: list_of(made.cloud, made.lock.name, DAN, ANN)}

    made.publish()

    assert made.lock.now.configuration == before
    assert made.world.tap(made.lock, BEN).kind is EntryKind.OPENED_BY_HUB


@pytest.mark.invariant("A3")
@given(revisions=st.lists(st.integers(0, 5), max_size=6))
def test_a_lock_never_goes_back_in_revision(revisions: list[int]) -> None:
    """CONFIGURE frames in any order, some recorded long ago: the newest stays."""
    made = scene()
    recorded = [made.hub.frames]
    plan = made.cloud.plans[made.hub.identity.hub_id]
    for number in range(5):
        made.hub.frames = []
        recorded.append(made.hub.frames)
        plan.lists = {
            made.lock.name: list_of(made.cloud, made.lock.name, bytes([4, 9, 9, 9, number]))
        }
        made.publish()
    newest = made.lock.now.configuration

    for number in revisions:
        made.replay(made.lock, recorded[number])
        assert made.lock.now.configuration == newest


@pytest.mark.invariant("E10")
def test_a_lock_without_the_time_still_opens_what_needs_none() -> None:
    """After a change of battery, with no hub: unscheduled grants open, scheduled ones do not."""
    made = cut_off()
    made.world.power_off(made.lock)
    made.world.power_on(made.lock)

    assert made.world.tap(made.lock, BEN).kind is EntryKind.OPENED_BY_LIST
    assert made.world.tap(made.lock, CAT).reason is DenyReason.CLOCK_UNCERTAIN
    assert not made.lock.now.log.entries[-1].clock_trusted


@pytest.mark.invariant("E10")
def test_an_old_time_is_not_taken_again() -> None:
    """TIME frames that were recorded and are played back neither set nor stop the calendar."""
    made = scene()
    made.world.run(60)
    recorded = list(made.hub.frames)
    made.world.run(600)
    made.lock.has_radio = False
    before_s = made.lock.now.calendar.at_s(made.world.instant())

    for _ in range(60):
        made.replay(made.lock, recorded)
        made.world.run(10)

    assert made.lock.now.calendar.at_s(made.world.instant()) == before_s + 600


def test_the_time_of_the_mark_itself_is_taken() -> None:
    """A battery is changed in the very instant of the mark: the lock knows the time again."""
    made = scene()
    while "mark" not in made.lock.flash.read():
        made.world.run(0.5)
    made.lock.has_radio = False
    made.world.power_off(made.lock)
    made.world.power_on(made.lock)
    time = frames.Time(calendar_ms=int(made.world.calendar_s * 1000), speed=1)
    link = made.lock.now.link
    assert link is not None
    frame = frames.protect(time, lock_id=made.cloud.lock_id(made.lock.name), link_key=link.key)

    made.replay(made.lock, [frames.encode(frame)])

    assert made.lock.now.calendar.trusted


def test_a_lock_that_ran_ahead_waits_for_the_hub_without_chatter() -> None:
    """It takes the time when the hub gets there; until then the two do not talk without end."""
    made = scene()
    made.world.run(30)
    made.world.power_off(made.lock)
    ahead = Mark(calendar_ms=int((made.world.calendar_s + 50) * 1000), speed=1)
    made.lock.flash.apply([FlashWrite(key="mark", data=wire.encode(ahead))])
    sent = len(made.lock.frames)

    made.world.power_on(made.lock)
    made.world.run(45)
    assert not made.lock.now.calendar.trusted
    assert len(made.lock.frames) <= sent + 10
    made.world.run(30)

    assert made.lock.now.calendar.trusted


def test_a_quiet_hub_costs_no_patience() -> None:
    """After a silence the next tap of a listed tag opens at once and asks nobody."""
    made = cut_off()
    made.world.tap(made.lock, BEN)
    sent = len(made.lock.frames)
    began_s = made.world.mono_s

    verdict = made.world.tap(made.lock, BEN)

    assert verdict.kind is EntryKind.OPENED_BY_LIST
    assert made.world.mono_s == began_s
    assert len(made.lock.frames) == sent + 1  # the entry


@pytest.mark.invariant("E7")
@pytest.mark.parametrize("silences", [1, 3, 8])
def test_the_hub_is_asked_again_within_thirty_seconds(silences: int) -> None:
    """However often it has not answered: 30 s after it is back, it decides."""
    made = scene()
    made.hub.state = None  # no power, so nothing tells the lock
    while made.lock.now.silence.count < silences:
        made.world.tap(made.lock, BEN)
        made.world.run(1)
    made.world.power_on(made.hub)

    made.world.run(29)

    assert made.world.tap(made.lock, BEN).kind is EntryKind.OPENED_BY_HUB
