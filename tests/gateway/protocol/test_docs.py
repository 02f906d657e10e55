"""docs/protocol/ is complete and true: every example is a golden one, every table is the CDDL's."""

import re
from pathlib import Path

import pytest

from firmware_sim import link
from firmware_sim.hub import access, commands, expiry, journal, locks, uplink
from firmware_sim.lock import digital_key, door, pairing
from gateway import presence
from gateway.protocol import cbor, claim, messages, sections
from gateway.protocol.topics import DownKind, UpKind
from tests.gateway.protocol import diagnose, examples, shapes
from tests.gateway.protocol.test_cddl import CHOICE, CHOICE_RULE, ENUMERATIONS, MAP_RULE, TEXT

DOCS = Path(__file__).parents[3] / "docs/protocol"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
WHOLE = "\n".join(PAGES.values())

HEX_FENCE = re.compile(r"^```hex ([a-z-]+)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
HEX_ROW = re.compile(r"^\| `([a-z-]+)` \| .* \| `([0-9a-f]+)` \|$", re.MULTILINE)
EDN_FENCE = re.compile(r"^```edn ([a-z-]+)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"^\| (?:Key)? ?\| `([a-z-]+)` \|.*\n\|[-|]+\n((?:\|.*\n)+)", re.MULTILINE)
ROW = re.compile(r"^\| (\d+) \| `(\w+)` \| (?:`(.*?)` \| )?(.+) \|$", re.MULTILINE)
CDDL_LINE = re.compile(r"^  ((?:\? )?)(\d+): (.*), ; (\w+)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]*))?\)")

NUMBERS = {
    "beat": uplink.BEAT_S,
    "answer to a status counts for": uplink.ANSWER_S,
    "contact counts for": expiry.CONTACT_S,
    "entries in a batch, at most": messages.ENTRIES_PER_BATCH_MAX,
    "batches on their way, at most": journal.SHIPMENTS_MAX,
    "batch sent again after": journal.AGAIN_S_MIN,
    "batch sent again after, at most": journal.AGAIN_S_MAX,
    "sections asked for at a time": messages.SECTIONS_IN_FLIGHT_MAX,
    "section asked for again after": access.ASK_AGAIN_S_MIN,
    "section asked for again after, at most": access.ASK_AGAIN_S_MAX,
    "section, at most": sections.SECTION_BYTES_MAX,
    "offline list, at most": sections.LIST_BYTES_MAX,
    "message or frame, at most": cbor.MESSAGE_BYTES_MAX,
    "locks of a hub, at most": messages.LOCKS_PER_HUB_MAX,
    "roots of a manifest, at most": messages.ROOTS_MAX,
    "life of a command": 10,  # the CDDL's bound of ttl_s
    "lock tried with a command for": commands.PATIENCE_S,
    "reconnect within, at first": link.RECONNECT_BASE_S,
    "reconnect within, at most": link.RECONNECT_CAP_S,
    "radio heartbeat": locks.HEARTBEAT_S,
    "lock offline after missed heartbeats": locks.MISSED_MAX,
    "lock's patience": door.PATIENCE_S,
    "lock asks again after": door.ASK_AGAIN_S,
    "press at a lock lasts": pairing.PRESS_LASTS_S,
    "challenge to a phone lasts": digital_key.CHALLENGE_LASTS_S,
    "hub offline for the controller after": presence.SILENT_S,
}


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as a forge makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings}


def test_every_golden_example_stands_in_the_docs_once() -> None:
    """The hex of the pages is exactly the golden bytes: none missing, none twice, none else."""
    fences = [(name, re.sub(r"\s", "", text)) for name, text in HEX_FENCE.findall(WHOLE)]
    found = [*fences, *HEX_ROW.findall(WHOLE)]

    assert dict(found) == examples.GOLDEN
    assert len(found) == len(examples.GOLDEN)


@pytest.mark.parametrize("name", [*examples.MESSAGES, *examples.GOLDEN_SECTIONS])
def test_diagnostic_notation_is_that_of_the_bytes(name: str) -> None:
    """What stands above the hex is what the hex says, with the names of the fields."""
    if name in examples.MESSAGES:
        lines = diagnose.message_lines(examples.MESSAGES[name])
    else:
        lines = diagnose.section_lines(examples.GOLDEN_SECTIONS[name])

    assert dict(EDN_FENCE.findall(WHOLE))[name] == "\n".join(lines)


@pytest.mark.parametrize("kind", shapes.wire_types(), ids=shapes.rule_of)
def test_every_message_has_its_table(kind: type) -> None:
    """Keys, names and types of a message's table are those of the CDDL, and each has a text."""
    rule = shapes.rule_of(kind)
    tables = [rows for name, rows in TABLE.findall(WHOLE) if name == rule]
    assert len(tables) == 1

    written = ROW.findall(tables[0])

    assert [(int(key), name, of) for key, name, of, _ in written] == [
        (int(key), name, mark + of)
        for mark, key, of, name in CDDL_LINE.findall(dict(MAP_RULE.findall(TEXT))[rule])
    ]
    assert len(written) == len(shapes.fields(kind))


@pytest.mark.parametrize("enumeration", ENUMERATIONS)
def test_every_enumeration_has_its_table(enumeration: type) -> None:
    """Every number that means something is explained once."""
    rule = re.sub(r"(?<!^)(?=[A-Z])", "-", enumeration.__name__).lower()
    tables = [rows for name, rows in TABLE.findall(WHOLE) if name == rule]
    assert len(tables) == 1

    written = [(number, name) for number, name, _, _ in ROW.findall(tables[0])]

    assert written == CHOICE.findall(dict(CHOICE_RULE.findall(TEXT))[rule])


def test_every_topic_is_named() -> None:
    """The list of topics has every kind of both directions, in the order of the source."""
    assert f"hub to controller: {' '.join(UpKind)}\n" in PAGES["README.md"]
    assert f"controller to hub: {' '.join(DownKind)}\n" in PAGES["README.md"]


def test_the_claims_addresses_are_named() -> None:
    """Where a hub asks, with which type and bound to what, stands in the page about trust."""
    for text in (claim.PATH, claim.CA_PATH, claim.CONTENT_TYPE, claim.EXTERNAL.decode()):
        assert text in PAGES["trust.md"]


def test_numbers_are_those_of_the_code() -> None:
    """Every number of the table is the one by which our own hub, lock and gateway live."""
    table = PAGES["README.md"].split("\n## Numbers\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([a-z].*?) \| ([\d.]+)(?: s| bytes)? \|$", table, re.MULTILINE)

    assert {rule: float(number) for rule, number in rows} == NUMBERS


def test_the_message_taken_apart_is_the_golden_one() -> None:
    """The bytes that trust.md explains one by one are the beginning of the greeting."""
    block = PAGES["trust.md"].split("Taken apart")[1].split("```")[1]
    parts = [re.match(r"^ *((?:[0-9a-f]{2,} )+)", line) for line in block.splitlines()]
    joined = "".join(part[1] for part in parts if part is not None).replace(" ", "")

    assert len(joined) > 40
    assert examples.GOLDEN["down-greeting"].startswith(joined)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Every link of a page names a file that is there and a heading that it has."""
    for target, anchor in LINK.findall(PAGES[page]):
        file = (DOCS / target) if target else DOCS / page
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), (target, anchor)
