"""Sections are named by their bytes, and the fullest ones fit."""

import hashlib

import pytest

from gateway.protocol import cbor, sections, wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import LOCKS_PER_HUB_MAX, ROOTS_MAX, Manifest, Root, SectionKind
from gateway.protocol.sections import (
    DoorSettings,
    Holiday,
    OfficeMode,
    OfflineGrant,
    OfflineList,
    Times,
    Window,
)
from gateway.protocol.wire import INT_MAX
from tests.gateway.protocol import examples

LAST_INSTANT_S = 2**32 - 1  # in the year 2106; subscriptions and grants end before 2100
LAST_DAY = 2**16 - 1  # in the year 2149
DIGEST, ID = b"d" * 32, b"i" * 16
FULLEST_TIMES = Times(
    windows=(Window(weekday=6, start_min=1438, end_min=1439),) * sections.WINDOWS_MAX,
    observes_holidays=True,
    from_day=LAST_DAY,
    until_day=LAST_DAY,
)
FULLEST_DOOR = DoorSettings(
    open_s=240,
    extended_open_s=240,
    memory_days=255,
    left_open_s=3600,
    office=OfficeMode.SCHEDULED,
    toggle=True,
    privacy=True,
    keypad=True,
    free_locker=True,
    office_times=FULLEST_TIMES,
)


def test_hash_is_sha_256_of_the_bytes() -> None:
    """A section's name is the plain SHA-256 of what is transferred."""
    section = examples.LIST

    assert section.hash == hashlib.sha256(section.data).digest()
    assert section.root == Root(kind=SectionKind.OFFLINE_LIST, hash=section.hash)


@pytest.mark.parametrize("kind", SectionKind)
def test_a_section_is_read_as_its_own_kind_only(kind: SectionKind) -> None:
    """The bytes say the kind, and reading them as another one is refused."""
    for other in SectionKind:
        if other is not kind:
            data = sections.build(kind, ()).data
            with pytest.raises(ProtocolError, match=f"not of kind {other.name}"):
                sections.read(other, data)


@pytest.mark.parametrize("value", [{}, {1: [], 2: []}, {1: {}}, {1: b""}, [], 5])
def test_what_is_no_section_is_refused(value: object) -> None:
    """A section is one map with one key and a list."""
    with pytest.raises(ProtocolError, match="not of kind SCHEDULES"):
        sections.read(SectionKind.SCHEDULES, cbor.encode(value))


def test_a_section_is_smaller_than_a_message() -> None:
    """12 KiB are read, of an offline list more; one byte more is refused before it is looked at."""
    for kind, text in (
        (SectionKind.PEOPLE, "12289 bytes, at most 12288"),
        (SectionKind.OFFLINE_LIST, "15873 bytes, at most 15872"),
    ):
        with pytest.raises(ProtocolError, match=text):
            sections.read(kind, bytes(sections.bytes_max(kind) + 1))


def test_an_offline_list_section_holds_one_list() -> None:
    """A lock has one list; none and two are refused."""
    item = wire.to_map(examples.ITEMS[SectionKind.OFFLINE_LIST])
    for items in ([], [item, item]):
        with pytest.raises(ProtocolError, match=f"{len(items)} items, not 1 to 1"):
            sections.read(SectionKind.OFFLINE_LIST, cbor.encode({5: items}))


def test_the_fullest_offline_list_fits() -> None:
    """360 grants that say all they can, six full weeks, holidays and purged ids: one section."""
    grant = OfflineGrant(
        credential_digest=ID,
        schedules=tuple(range(sections.SCHEDULES_PER_LIST_MAX)),
        ends_at_s=LAST_INSTANT_S,
        starts_at_s=LAST_INSTANT_S,
        privileges=sections.PRIVILEGES_MAX,
    )
    fullest = OfflineList(
        lock_id=ID,
        time_zone="x" * 64,
        schedules=(FULLEST_TIMES,) * sections.SCHEDULES_PER_LIST_MAX,
        grants=(grant,) * sections.GRANTS_MAX,
        purge=(ID,) * sections.PURGE_MAX,
        purge_before_s=LAST_INSTANT_S,
        holidays=(Holiday(day=LAST_DAY, days=31),) * sections.HOLIDAYS_MAX,
    )

    section = sections.build(SectionKind.OFFLINE_LIST, (fullest,))

    assert sections.read(SectionKind.OFFLINE_LIST, section.data) == (fullest,)


def test_the_settings_of_a_full_hub_fit() -> None:
    """Sixteen locks with their pairings and tickets are one section."""
    items = (examples.ITEMS[SectionKind.LOCKS],) * LOCKS_PER_HUB_MAX

    section = sections.build(SectionKind.LOCKS, items)

    assert sections.read(SectionKind.LOCKS, section.data) == items


def test_the_fullest_index_and_manifest_fit() -> None:
    """300 names are one index section and one manifest."""
    roots = (Root(kind=SectionKind.OFFLINE_LIST, hash=DIGEST),) * ROOTS_MAX
    manifest = Manifest(
        hub_id=ID,
        site_id=ID,
        epoch=INT_MAX,
        revision=INT_MAX,
        time_zone="x" * 64,
        roots=roots,
    )

    index = sections.build(SectionKind.INDEX, roots)

    assert sections.read(SectionKind.INDEX, index.data) == roots
    assert len(wire.encode(manifest)) + 100 < cbor.MESSAGE_BYTES_MAX  # 100: more than COSE adds
