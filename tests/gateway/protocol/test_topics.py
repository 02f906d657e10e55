"""Topics are built and read in one way."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol import topics
from gateway.protocol.errors import ProtocolError
from gateway.protocol.topics import DownKind, Topic, UpKind
from tests.gateway.protocol.examples import GOLDEN, HUB_HEX

ROOT = "iq/1/31/48484848484848484848484848484848"


def test_topics_never_change() -> None:
    """A hub in the field publishes and subscribes exactly these."""
    assert GOLDEN["partition"] == "1f"
    assert [topics.up(HUB_HEX, kind) for kind in UpKind] == [
        f"{ROOT}/up/{kind}" for kind in ("hello", "beat", "batch", "ask", "confirm", "reply")
    ]
    assert [topics.down(HUB_HEX, kind) for kind in DownKind] == [
        f"{ROOT}/down/{kind}"
        for kind in ("welcome", "greeting", "lease", "manifest", "section", "ack", "command")
    ]
    assert topics.down_filter(HUB_HEX) == f"{ROOT}/down/+"


@given(st.binary(min_size=16, max_size=16))
def test_partition_follows_from_the_hub(hub: bytes) -> None:
    """The partition is the first byte of the id's SHA-256, modulo 64."""
    assert topics.partition_of(hub.hex()) == hashlib.sha256(hub).digest()[0] % 64


@given(st.binary(min_size=16, max_size=16), st.sampled_from([*UpKind, *DownKind]))
def test_what_is_built_is_read(hub: bytes, kind: UpKind | DownKind) -> None:
    """A topic survives being written and read."""
    topic = Topic(hub_id=hub.hex(), kind=kind)

    assert topics.parse(str(topic)) == topic


@pytest.mark.parametrize(
    "text",
    [
        "",
        ROOT,
        f"{ROOT}/up",
        f"{ROOT}/up/hello/",
        f"/{ROOT}/up/hello",
        f"{ROOT}/up/lease",
        f"{ROOT}/down/hello",
        f"{ROOT}/up/+",
        f"{ROOT}/#",
        f"{ROOT}/side/hello",
        f"{ROOT}/up/HELLO",
        f"{ROOT.replace('/31/', '/8/')}/up/hello",
        f"{ROOT.replace('/31/', '/031/')}/up/hello",
        f"{ROOT.replace('iq/1', 'iq/2')}/up/hello",
        f"{ROOT.replace('4848', '484X')}/up/hello",
        f"{ROOT[:-2]}/up/hello",
        f"iq/1/31/{'+'}/up/hello",
        f"iq/1/31/{'٤' * 32}/up/hello",
        f"{ROOT}/up/{'x' * 100}",
    ],
)
def test_any_other_topic_is_refused(text: str) -> None:
    """Only what a hub's own topics look like is read, partition included."""
    with pytest.raises(ProtocolError):
        topics.parse(text)


@pytest.mark.parametrize(
    "hub_id", ["", "48" * 15, "48" * 17, "4G" * 16, "+", "#", "48" * 16 + "\n"]
)
def test_what_is_no_hub_id_is_refused(hub_id: str) -> None:
    """A topic is built for 32 lower-case hex characters only."""
    with pytest.raises(ProtocolError, match="32 lower-case hex"):
        topics.partition_of(hub_id)


def test_a_hubs_rights_on_nats_are_its_own_topics() -> None:
    """The broker lets a hub publish its six topics and subscribe its own, and nothing else."""
    root = ROOT.replace("/", ".")

    assert topics.publish_subjects(HUB_HEX) == tuple(f"{root}.up.{kind}" for kind in UpKind)
    assert topics.subscribe_subjects(HUB_HEX) == (f"{root}.down.*",)
