"""The radio: a frame opens under its link key, as the kind it was made for."""

import cbor2
import pytest

from gateway.protocol import cbor, frames, sections
from gateway.protocol.errors import ProtocolError
from gateway.protocol.frames import Frame, FrameKind
from gateway.protocol.messages import CredentialKind, Entry, EntryKind, SectionKind
from gateway.protocol.wire import INT_MAX
from tests.gateway.protocol import examples
from tests.gateway.protocol.examples import HUB, LINK_KEY, LOCK, SEAL_KEY
from tests.gateway.protocol.test_sections import FULLEST_DOOR

each_message = pytest.mark.parametrize("message", examples.FRAMES, ids=lambda m: type(m).__name__)


@each_message
def test_survives_the_air(message: frames.Message) -> None:
    """What one end protects and encodes, the other decodes and unprotects."""
    frame = frames.protect(message, lock_id=LOCK, link_key=LINK_KEY)

    arrived = frames.decode(frames.encode(frame))

    assert arrived == frame
    assert frames.unprotect(arrived, link_key=LINK_KEY) == message


@each_message
def test_another_kind_is_refused(message: frames.Message) -> None:
    """A frame whose kind was changed on the air is refused, so no question becomes an answer."""
    frame = frames.protect(message, lock_id=LOCK, link_key=LINK_KEY)

    for kind in set(frames.TYPES) - {frame.kind}:
        with pytest.raises(ProtocolError, match="not sealed"):
            frames.unprotect(Frame(kind=kind, address=LOCK, body=frame.body), link_key=LINK_KEY)


@each_message
def test_another_key_is_refused(message: frames.Message) -> None:
    """Neither the seal key nor the link key of another ticket opens a frame."""
    frame = frames.protect(message, lock_id=LOCK, link_key=LINK_KEY)

    for key in (SEAL_KEY, LINK_KEY[::-1], bytes(64)):
        with pytest.raises(ProtocolError, match="not sealed"):
            frames.unprotect(frame, link_key=key)


@each_message
def test_any_flipped_bit_of_the_body_is_refused(message: frames.Message) -> None:
    """There is no bit in a protected body that may be another."""
    frame = frames.protect(message, lock_id=LOCK, link_key=LINK_KEY)

    for place in range(len(frame.body)):
        damaged = bytearray(frame.body)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(ProtocolError):
            frames.unprotect(
                Frame(kind=frame.kind, address=LOCK, body=bytes(damaged)), link_key=LINK_KEY
            )


@pytest.mark.parametrize("kind", [FrameKind.PAIR, FrameKind.TICKET])
def test_what_protects_itself_is_not_opened(kind: FrameKind) -> None:
    """Pairing and ticket come before there is a link key, so it opens neither."""
    frame = Frame(kind=kind, address=LOCK, body=examples.SEALED_LOCK_TICKET)

    with pytest.raises(ProtocolError, match=f"{kind.name} is not protected"):
        frames.unprotect(frame, link_key=LINK_KEY)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([2, 4, LOCK, b""], "frame version 2 is not known"),
        ([0, 4, LOCK, b""], "frame version 0 is not known"),
        ([True, 4, LOCK, b""], "wrong type"),
        ([1, True, LOCK, b""], "wrong type"),
        ([1, 0, LOCK, b""], "frame kind 0 is not known"),
        ([1, 12, LOCK, b""], "frame kind 12 is not known"),
        ([1, 4, b"", b""], "address has 0 bytes, 1 to 40 do"),
        ([1, 4, b"x" * 41, b""], "address has 41 bytes, 1 to 40 do"),
        ([1, 4, "LK-0001", b""], "wrong type"),
        ([1, 4, LOCK, "body"], "wrong type"),
        ([1, 4, LOCK], "frame is not"),
        ([1, 4, LOCK, b"", b""], "frame is not"),
        ({1: 4}, "frame is not"),
    ],
)
def test_what_is_no_frame_is_refused(value: object, text: str) -> None:
    """Anything but the array of four is refused with what is wrong with it."""
    with pytest.raises(ProtocolError, match=text):
        frames.decode(cbor2.dumps(value))


def test_the_largest_frames_fit() -> None:
    """The fullest list and the fullest load of entries stay within the size of a frame."""
    entry = Entry(
        lock_id=LOCK,
        log_epoch=INT_MAX,
        sequence=INT_MAX,
        kind=EntryKind.DENIED_OFFLINE,
        at_s=INT_MAX,
        clock_trusted=True,
        hub_at_s=INT_MAX,
        credential_digest=HUB,
        command_id=HUB,
        count=INT_MAX,
        credential_kind=CredentialKind.PIN,
    )
    largest: list[frames.Message] = [
        frames.Entries(entries=(entry,) * frames.ENTRIES_PER_FRAME_MAX),
        frames.Configure(
            epoch=INT_MAX,
            revision=INT_MAX,
            door=FULLEST_DOOR,
            offline_list=bytes(sections.LIST_BYTES_MAX),
        ),
    ]
    for message in largest:
        data = frames.encode(frames.protect(message, lock_id=LOCK, link_key=LINK_KEY))
        assert len(data) <= cbor.MESSAGE_BYTES_MAX
        assert frames.unprotect(frames.decode(data), link_key=LINK_KEY) == message


def test_a_lock_stores_the_list_as_it_came() -> None:
    """The list in a configuration is the section's very bytes, so its hash can be confirmed."""
    configure = examples.FRAMES[2]

    assert isinstance(configure, frames.Configure)
    assert sections.read(SectionKind.OFFLINE_LIST, configure.offline_list) == (
        examples.ITEMS[SectionKind.OFFLINE_LIST],
    )
