"""One small site, told in every message of the protocol. golden.json holds its bytes.

The ids are letters that say what they are (``HHHH…`` is the hub), the private keys are one byte
repeated, so that a reader of docs/protocol can compute everything again.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.protocol import claim, cose, frames, phone, sealing, sections, topics, wire
from gateway.protocol.claim import ClaimRequest, ClaimResponse
from gateway.protocol.frames import Frame, FrameKind
from gateway.protocol.messages import (
    Ack,
    Ask,
    Batch,
    Command,
    CommandOutcome,
    CredentialKind,
    DenyReason,
    Entry,
    EntryKind,
    Greeting,
    Lease,
    LockMode,
    LockStatus,
    Manifest,
    Reply,
    SectionKind,
    Status,
    Welcome,
)
from gateway.protocol.phone import AccessDocument
from gateway.protocol.sealing import HubTicket, LockOrder, LockTicket, OrderKind, Pairing
from gateway.protocol.sections import (
    HOLIDAY,
    Credential,
    DoorSettings,
    Group,
    Holiday,
    LockSettings,
    OfficeMode,
    OfflineGrant,
    OfflineList,
    Person,
    Privilege,
    Schedule,
    Section,
    Times,
    Window,
)
from gateway.protocol.topics import DownKind, Topic, UpKind

GOLDEN: Final[dict[str, str]] = json.loads(
    Path(__file__).with_name("golden.json").read_text(encoding="utf-8")
)

SITE, HUB, LOCK = b"S" * 16, b"H" * 16, b"L" * 16
PERSON, GROUP, SCHEDULE = b"P" * 16, b"G" * 16, b"C" * 16
COMMAND, NONCE, CHALLENGE, DIGITAL_KEY = b"O" * 16, b"N" * 16, b"Q" * 16, b"K" * 16
HUB_HEX: Final = HUB.hex()

CONTROLLER_SIGNING = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
CONTROLLER_AGREEMENT = X25519PrivateKey.from_private_bytes(b"\x02" * 32)
HUB_SIGNING = Ed25519PrivateKey.from_private_bytes(b"\x03" * 32)
HUB_AGREEMENT = X25519PrivateKey.from_private_bytes(b"\x04" * 32)
LOCK_AGREEMENT = X25519PrivateKey.from_private_bytes(b"\x05" * 32)
TAG_KEY = b"\x06" * 32
PHONE_SIGNING = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
HUB_CODE, LOCK_CODE = "7K3M-W9QX-T2RD", "4FZ8-C1HN-V6BS"
CA_FINGERPRINT = claim.fingerprint(b"DER of the CA's certificate")
TAG = bytes.fromhex("04a1b2c3d4e580")
PIN = "314159"
EPOCH, LEASE, REVISION, TICKET = 1, 7, 12, 1

NOW_S: Final = 1_795_424_400  # Monday 2026-11-23 09:00:00 UTC
ENDS_S: Final = 1_796_083_200  # Tuesday 2026-12-01 00:00:00 UTC
FIRST_DAY: Final = 20_758  # Sunday 2026-11-01
CHRISTMAS_DAY: Final = 20_812  # Friday 2026-12-25
GRACE_S: Final = 86_400

SEAL_KEY = sealing.seal_key(
    CONTROLLER_AGREEMENT,
    LOCK_AGREEMENT.public_key(),
    site_id=SITE,
    lock_id=LOCK,
    epoch=EPOCH,
)
HUB_KEY = sealing.hub_key(CONTROLLER_AGREEMENT, HUB_AGREEMENT.public_key(), hub_id=HUB)
LINK_KEY = sealing.link_key(SEAL_KEY, hub_id=HUB, number=TICKET)
CREDENTIAL = sealing.tag_digest(TAG, TAG_KEY)
OTHER_CREDENTIAL = sealing.tag_digest(bytes.fromhex("04a1b2c3"), TAG_KEY)
PHONE_KEY = PHONE_SIGNING.public_key().public_bytes_raw()
PHONE_CREDENTIAL = sealing.phone_digest(PHONE_KEY, TAG_KEY)

PAIRING = Pairing(
    site_id=SITE,
    lock_id=LOCK,
    epoch=EPOCH,
    agreement_key=CONTROLLER_AGREEMENT.public_key().public_bytes_raw(),
    signing_key=CONTROLLER_SIGNING.public_key().public_bytes_raw(),
)
SIGNED_PAIRING = sealing.sign_pairing(PAIRING, claim.code_secret(LOCK_CODE))
LOCK_TICKET = LockTicket(hub_id=HUB, number=TICKET, tag_key=TAG_KEY)
HUB_TICKET = HubTicket(lock_id=LOCK, number=TICKET, link_key=LINK_KEY)
ORDER = LockOrder(command_id=COMMAND, number=5, until_ms=(NOW_S + 10) * 1000, kind=OrderKind.OPEN)
ENROL_ORDER = LockOrder(
    command_id=COMMAND,
    number=6,
    until_ms=(NOW_S + 10) * 1000,
    kind=OrderKind.ENROL_TAG,
    seconds=60,
)
SEALED_LOCK_TICKET = sealing.seal(SEAL_KEY, LOCK_TICKET, purpose=sealing.LOCK_TICKET)
SEALED_HUB_TICKET = sealing.seal(HUB_KEY, HUB_TICKET, purpose=sealing.HUB_TICKET)
SEALED_ORDER = sealing.seal(SEAL_KEY, ORDER, purpose=sealing.LOCK_ORDER)

OFFICE_HOURS = Times(
    windows=(
        Window(weekday=0, start_min=480, end_min=1080),
        Window(weekday=HOLIDAY, start_min=600, end_min=840),
    ),
    observes_holidays=True,
    from_day=FIRST_DAY,
    until_day=CHRISTMAS_DAY + 7,
)
LUNCH = Times(windows=(Window(weekday=1, start_min=720, end_min=780),), observes_holidays=False)
CHRISTMAS = Holiday(day=CHRISTMAS_DAY, days=2)
DOOR = DoorSettings(
    open_s=5,
    extended_open_s=20,
    memory_days=7,
    left_open_s=60,
    office=OfficeMode.EASY,
    toggle=False,
    privacy=True,
    keypad=True,
    free_locker=False,
    office_times=LUNCH,
)
ITEMS: Final[dict[SectionKind, sections.Item]] = {
    SectionKind.SCHEDULES: Schedule(schedule_id=SCHEDULE, times=OFFICE_HOURS),
    SectionKind.HOLIDAYS: CHRISTMAS,
    SectionKind.GROUPS: Group(
        group_id=GROUP,
        lock_ids=(LOCK,),
        schedule_id=SCHEDULE,
        starts_at_s=NOW_S,
        ends_at_s=ENDS_S,
    ),
    SectionKind.PEOPLE: Person(
        person_id=PERSON,
        subscribed=True,
        group_ids=(GROUP,),
        credentials=(
            Credential(credential_digest=CREDENTIAL, blocked=False),
            Credential(credential_digest=OTHER_CREDENTIAL, blocked=True, ends_at_s=ENDS_S),
        ),
        ends_at_s=ENDS_S,
        starts_at_s=NOW_S,
        privileges=Privilege.OFFICE | Privilege.EXTENDED_OPENING,
    ),
    SectionKind.LOCKS: LockSettings(
        lock_id=LOCK,
        serial="LK-0001",
        door=DOOR,
        pairing=SIGNED_PAIRING,
        lock_ticket=SEALED_LOCK_TICKET,
        hub_ticket=SEALED_HUB_TICKET,
    ),
    SectionKind.OFFLINE_LIST: OfflineList(
        lock_id=LOCK,
        time_zone="Europe/Madrid",
        schedules=(LUNCH, OFFICE_HOURS),
        grants=(
            OfflineGrant(
                credential_digest=CREDENTIAL,
                schedules=(0, 1),
                ends_at_s=ENDS_S,
                starts_at_s=NOW_S,
                privileges=Privilege.OFFICE,
            ),
            OfflineGrant(credential_digest=b"D" * 16),
        ),
        purge=(OTHER_CREDENTIAL,),
        purge_before_s=NOW_S,
        holidays=(CHRISTMAS,),
    ),
}
SECTIONS: Final = {kind: sections.build(kind, (item,)) for kind, item in ITEMS.items()}
ROOTS: Final = tuple(section.root for section in SECTIONS.values())
INDEX: Final = sections.build(SectionKind.INDEX, ROOTS[:2])
LIST: Final = SECTIONS[SectionKind.OFFLINE_LIST]

STATUS = Status(
    nonce=NONCE,
    epoch=EPOCH,
    lease_number=LEASE,
    revision=REVISION,
    subscribed=True,
    firmware="sim 1.0",
    entries_waiting=5,
    locks=(
        LockStatus(
            lock_id=LOCK,
            online=True,
            paired=True,
            log_epoch=1,
            list_hash=LIST.hash,
            battery=87,
            mode=LockMode.NORMAL,
        ),
    ),
)


def _entry(sequence: int, kind: EntryKind, **more: Any) -> Entry:
    return Entry(
        lock_id=LOCK, log_epoch=1, sequence=sequence, kind=kind, at_s=NOW_S + sequence, **more
    )


ENTRIES = (
    _entry(38, EntryKind.OVERFLOW, clock_trusted=True, hub_at_s=NOW_S + 40, count=3),
    _entry(
        39,
        EntryKind.OPENED_BY_HUB,
        clock_trusted=True,
        hub_at_s=NOW_S + 40,
        credential_digest=CREDENTIAL,
        credential_kind=CredentialKind.TAG,
    ),
    _entry(
        40,
        EntryKind.DENIED_OFFLINE,
        clock_trusted=False,
        hub_at_s=NOW_S + 60,
        reason=DenyReason.OUTSIDE_SCHEDULE,
        credential_digest=PHONE_CREDENTIAL,
        credential_kind=CredentialKind.DIGITAL_KEY,
    ),
    _entry(
        41,
        EntryKind.OPENED_REMOTELY,
        clock_trusted=True,
        hub_at_s=NOW_S + 60,
        command_id=COMMAND,
    ),
    _entry(42, EntryKind.BATTERY_LOW, clock_trusted=True, hub_at_s=NOW_S + 60, count=18),
)
BATCH = Batch(entries=ENTRIES)
UP: Final[dict[UpKind, object]] = {
    UpKind.HELLO: STATUS,
    UpKind.BEAT: STATUS,
    UpKind.CONFIRM: STATUS,
    UpKind.BATCH: BATCH,
    UpKind.ASK: Ask(revision=REVISION, hashes=(ROOTS[2].hash, LIST.hash)),
    UpKind.REPLY: Reply(command_id=COMMAND, outcome=CommandOutcome.OPENED),
}


def signed(topic: Topic, message: object) -> bytes:
    """Return a message as it travels on its topic, signed by whoever speaks there."""
    key = HUB_SIGNING if isinstance(topic.kind, UpKind) else CONTROLLER_SIGNING
    return cose.sign(wire.encode(message), key, cose.external_data(topic))


SIGNED_BATCH: Final = signed(Topic(hub_id=HUB_HEX, kind=UpKind.BATCH), BATCH)
DOWN: Final[dict[DownKind, object]] = {
    DownKind.WELCOME: Welcome(
        nonce=NONCE,
        epoch=EPOCH,
        lease_number=LEASE,
        revision=REVISION,
        calendar_ms=NOW_S * 1000,
        speed=1,
        utc_ms=NOW_S * 1000,
    ),
    DownKind.GREETING: Greeting(utc_ms=NOW_S * 1000),
    DownKind.LEASE: Lease(
        hub_id=HUB,
        site_id=SITE,
        epoch=EPOCH,
        number=LEASE,
        subscribed=True,
        ends_at_s=ENDS_S,
        serve_until_s=ENDS_S + GRACE_S,
        revision=REVISION,
    ),
    DownKind.MANIFEST: Manifest(
        hub_id=HUB,
        site_id=SITE,
        epoch=EPOCH,
        revision=REVISION,
        time_zone="Europe/Madrid",
        roots=ROOTS,
    ),
    DownKind.ACK: Ack(
        batch_hash=sha256(SIGNED_BATCH).digest(), lease_number=LEASE, revision=REVISION
    ),
    DownKind.COMMAND: Command(
        command_id=COMMAND, lock_id=LOCK, issued_ms=NOW_S * 1000, ttl_s=10, sealed=SEALED_ORDER
    ),
}

FRAMES: Final[tuple[frames.Message, ...]] = (
    frames.State(
        log_epoch=1,
        epoch=EPOCH,
        revision=REVISION,
        clock_trusted=True,
        entries_waiting=5,
        list_hash=LIST.hash,
        battery=87,
        mode=LockMode.NORMAL,
    ),
    frames.Time(calendar_ms=NOW_S * 1000, speed=1),
    frames.Configure(epoch=EPOCH, revision=REVISION, door=DOOR, offline_list=LIST.data),
    frames.Ask(challenge=CHALLENGE, credential_digest=CREDENTIAL),
    frames.Answer(challenge=CHALLENGE, granted=False, reason=DenyReason.OUTSIDE_SCHEDULE),
    frames.Entries(entries=ENTRIES[2:3]),
    frames.Free(log_epoch=1, up_to=42),
    frames.Order(command_id=COMMAND, sealed=SEALED_ORDER),
    frames.Obeyed(command_id=COMMAND, outcome=CommandOutcome.OPENED),
)
DOCUMENT: Final = AccessDocument(
    site_id=SITE,
    credential_id=DIGITAL_KEY,
    public_key=PHONE_KEY,
    issued_at_s=NOW_S,
    expires_at_s=NOW_S + phone.DOCUMENT_LIFE_S,
)
SIGNED_DOCUMENT: Final = phone.issue(DOCUMENT, CONTROLLER_SIGNING)
PHONE_CHALLENGE: Final = phone.Challenge(lock_id=LOCK, challenge=CHALLENGE)
PROOF: Final = phone.prove(PHONE_CHALLENGE, SIGNED_DOCUMENT, PHONE_SIGNING)


def _claim_request() -> ClaimRequest:
    parts: dict[str, Any] = {
        "serial": "IQ-0001",
        "csr": b"DER of the certificate request",
        "device_key": HUB_SIGNING.public_key().public_bytes_raw(),
        "agreement_key": HUB_AGREEMENT.public_key().public_bytes_raw(),
        "nonce": NONCE,
    }
    mac = claim.request_mac(
        ClaimRequest(**parts, mac=bytes(32)),
        secret=claim.code_secret(HUB_CODE),
        ca_fingerprint=CA_FINGERPRINT,
    )
    return ClaimRequest(**parts, mac=mac)


def _claim_response() -> ClaimResponse:
    parts: dict[str, Any] = {
        "hub_id": HUB,
        "site_id": SITE,
        "epoch": EPOCH,
        "certificate": b"PEM of the certificate",
        "signing_key": CONTROLLER_SIGNING.public_key().public_bytes_raw(),
        "agreement_key": CONTROLLER_AGREEMENT.public_key().public_bytes_raw(),
        "broker_host": "broker.example",
        "broker_port": 8883,
    }
    mac = claim.response_mac(
        ClaimResponse(**parts, mac=bytes(32)),
        request_nonce=NONCE,
        secret=claim.code_secret(HUB_CODE),
    )
    return ClaimResponse(**parts, mac=mac)


CLAIM_REQUEST: Final = _claim_request()
CLAIM_RESPONSE: Final = _claim_response()

MESSAGES: Final[dict[str, object]] = {
    "status": STATUS,
    **{str(kind): UP[kind] for kind in (UpKind.BATCH, UpKind.ASK, UpKind.REPLY)},
    **{str(kind): message for kind, message in DOWN.items()},
    **{f"frame-{type(message).__name__.lower()}": message for message in FRAMES},
    "frame-answer-granted": frames.Answer(
        challenge=CHALLENGE, granted=True, ends_at_s=ENDS_S, privileges=Privilege.OFFICE
    ),
    "pairing": PAIRING,
    "signed-pairing": wire.decode(sealing.SignedPairing, SIGNED_PAIRING),
    "lock-ticket": LOCK_TICKET,
    "hub-ticket": HUB_TICKET,
    "lock-order": ORDER,
    "lock-order-enrol": ENROL_ORDER,
    "phone-access-document": DOCUMENT,
    "phone-hello": phone.Hello(document=SIGNED_DOCUMENT),
    "phone-challenge": PHONE_CHALLENGE,
    "phone-proof": PROOF,
    "claim-request": CLAIM_REQUEST,
    "claim-response": CLAIM_RESPONSE,
}
"""Every example of a message, by the name of its CDDL rule."""

GOLDEN_SECTIONS: Final[dict[str, Section]] = {
    f"section-{section.kind.name.lower().replace('_', '-')}": section
    for section in (INDEX, *SECTIONS.values())
}


def _frame_bytes() -> dict[str, bytes]:
    on_air = [
        Frame(kind=FrameKind.PAIR, address=b"LK-0001", body=SIGNED_PAIRING),
        Frame(kind=FrameKind.TICKET, address=LOCK, body=SEALED_LOCK_TICKET),
        *(frames.protect(message, lock_id=LOCK, link_key=LINK_KEY) for message in FRAMES),
    ]
    return {f"on-air-{frame.kind.name.lower()}": frames.encode(frame) for frame in on_air}


def _trust_bytes() -> dict[str, bytes]:
    return {
        "controller-signing-public": CONTROLLER_SIGNING.public_key().public_bytes_raw(),
        "controller-signing-kid": cose.key_id(CONTROLLER_SIGNING.public_key()),
        "controller-agreement-public": CONTROLLER_AGREEMENT.public_key().public_bytes_raw(),
        "hub-signing-public": HUB_SIGNING.public_key().public_bytes_raw(),
        "hub-signing-kid": cose.key_id(HUB_SIGNING.public_key()),
        "hub-agreement-public": HUB_AGREEMENT.public_key().public_bytes_raw(),
        "lock-agreement-public": LOCK_AGREEMENT.public_key().public_bytes_raw(),
        "hub-sticker-secret": claim.code_secret(HUB_CODE),
        "lock-sticker-secret": claim.code_secret(LOCK_CODE),
        "ca-fingerprint": CA_FINGERPRINT,
        "seal-key": SEAL_KEY,
        "hub-key": HUB_KEY,
        "link-key": LINK_KEY,
        "phone-public": PHONE_KEY,
        "credential-digest": CREDENTIAL,
        "pin-digest": sealing.pin_digest(PIN, TAG_KEY),
        "phone-digest": PHONE_CREDENTIAL,
        "sealed-lock-ticket": SEALED_LOCK_TICKET,
        "sealed-hub-ticket": SEALED_HUB_TICKET,
        "sealed-lock-order": SEALED_ORDER,
        "external-data": cose.external_data(Topic(hub_id=HUB_HEX, kind=DownKind.GREETING)),
        "partition": bytes([topics.partition_of(HUB_HEX)]),
    }


def computed() -> dict[str, bytes]:
    """Return every golden example as the code makes it now."""
    up = [(Topic(hub_id=HUB_HEX, kind=kind), message) for kind, message in UP.items()]
    down = [(Topic(hub_id=HUB_HEX, kind=kind), message) for kind, message in DOWN.items()]
    return {
        **_trust_bytes(),
        **{name: wire.encode(message) for name, message in MESSAGES.items()},
        **{name: section.data for name, section in GOLDEN_SECTIONS.items()},
        **{f"up-{topic.kind}": signed(topic, message) for topic, message in up},
        **{f"down-{topic.kind}": signed(topic, message) for topic, message in down},
        **_frame_bytes(),
        "phone-document": SIGNED_DOCUMENT,
        "claim-body": cose.sign(wire.encode(CLAIM_REQUEST), HUB_SIGNING, claim.EXTERNAL),
    }
