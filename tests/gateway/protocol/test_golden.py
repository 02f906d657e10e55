"""The bytes of every message, fixed for ever: a hub in the field does not change with us."""

import dataclasses
import re
from collections.abc import Iterator

import pytest
from cddl_verifier import Validator

from gateway.protocol import cose, frames, sections, wire
from gateway.protocol.frames import FrameKind
from gateway.protocol.messages import SectionKind
from gateway.protocol.topics import DownKind, Topic, UpKind
from tests.gateway.protocol import examples, shapes
from tests.gateway.protocol.test_cddl import CDDL, TEXT

VALIDATOR = Validator(CDDL)
RULES = set(re.findall(r"^([a-z0-9-]+) =", TEXT, re.MULTILINE))


def golden(name: str) -> bytes:
    """Return a golden example's bytes."""
    return bytes.fromhex(examples.GOLDEN[name])


def inside(value: object) -> Iterator[type]:
    """Yield the type of a message and of every message inside it."""
    if dataclasses.is_dataclass(value):
        yield type(value)
        for field in dataclasses.fields(value):
            yield from inside(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from inside(item)


def test_golden_bytes_never_change() -> None:
    """The code makes exactly the bytes on file: no more examples, no fewer, none different."""
    assert {name: data.hex() for name, data in examples.computed().items()} == examples.GOLDEN


@pytest.mark.parametrize("name", examples.MESSAGES)
def test_golden_message_decodes(name: str) -> None:
    """The bytes on file are the example again."""
    message = examples.MESSAGES[name]

    assert wire.decode(type(message), golden(name)) == message


@pytest.mark.parametrize("name", examples.GOLDEN_SECTIONS)
def test_golden_section_decodes(name: str) -> None:
    """The bytes on file are the section again, and its hash stands where it is named."""
    section = examples.GOLDEN_SECTIONS[name]

    items = sections.read(section.kind, golden(name))

    assert sections.build(section.kind, items) == section
    assert section.kind is SectionKind.INDEX or section.root in examples.ROOTS


@pytest.mark.parametrize("kind", examples.UP)
def test_golden_uplink_verifies(kind: UpKind) -> None:
    """A message of the hub verifies under its key on its topic."""
    external = cose.external_data(Topic(hub_id=examples.HUB_HEX, kind=kind))
    message = examples.UP[kind]

    payload = cose.verify(golden(f"up-{kind}"), [examples.HUB_SIGNING.public_key()], external)

    assert wire.decode(type(message), payload) == message


@pytest.mark.parametrize("kind", examples.DOWN)
def test_golden_downlink_verifies(kind: DownKind) -> None:
    """A message to the hub verifies under the controller's key on its topic."""
    external = cose.external_data(Topic(hub_id=examples.HUB_HEX, kind=kind))
    keys = [examples.CONTROLLER_SIGNING.public_key()]
    message = examples.DOWN[kind]

    payload = cose.verify(golden(f"down-{kind}"), keys, external)

    assert wire.decode(type(message), payload) == message


@pytest.mark.parametrize("message", examples.FRAMES, ids=lambda m: type(m).__name__)
def test_golden_frame_opens(message: frames.Message) -> None:
    """A frame on the air is the example again under the link key."""
    name = f"on-air-{type(message).__name__.lower()}"

    frame = frames.decode(golden(name))

    assert frame.address == examples.LOCK
    assert frames.unprotect(frame, link_key=examples.LINK_KEY) == message


@pytest.mark.parametrize("name", sorted(RULES & examples.GOLDEN.keys()))
def test_golden_example_fits_its_rule(name: str) -> None:
    """An example that is named like a CDDL rule satisfies it."""
    assert VALIDATOR.validate(golden(name), root_type=name).valid


@pytest.mark.parametrize("kind", FrameKind)
def test_golden_frame_fits_the_rule(kind: FrameKind) -> None:
    """Every frame on the air satisfies the CDDL."""
    data = golden(f"on-air-{kind.name.lower()}")

    assert VALIDATOR.validate(data, root_type="frame").valid


def test_every_type_and_kind_has_an_example() -> None:
    """No wire type, no topic and no kind of frame or section is without golden bytes."""
    sections_seen = [examples.ROOTS, tuple(examples.ITEMS.values())]
    seen = {kind for value in examples.MESSAGES.values() for kind in inside(value)}
    seen |= {kind for value in sections_seen for kind in inside(value)}

    assert seen == set(shapes.wire_types())
    assert set(examples.UP) == set(UpKind)
    assert set(examples.DOWN) == set(DownKind) - {DownKind.SECTION}
    assert {section.kind for section in examples.GOLDEN_SECTIONS.values()} == set(SectionKind)
