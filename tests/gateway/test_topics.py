"""Topics: one spelling for each, and nothing else is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol import topics
from gateway.protocol.errors import ProtocolError
from gateway.protocol.topics import DownKind, Topic, UpKind

HUB = "0123456789abcdef" * 2
HUB_IDS = st.binary(min_size=16, max_size=16).map(bytes.hex)


def test_a_hub_keeps_its_topics_for_ever() -> None:
    """These are printed on hubs' flash: they never change."""
    assert topics.up(HUB, UpKind.BATCH) == f"iq/1/34/{HUB}/up/batch"
    assert topics.down(HUB, DownKind.LEASE) == f"iq/1/34/{HUB}/down/lease"
    assert topics.down_filter(HUB) == f"iq/1/34/{HUB}/down/+"


@given(hub_id=HUB_IDS, kind=st.sampled_from([*UpKind, *DownKind]))
def test_what_is_built_is_read_back(hub_id: str, kind: UpKind | DownKind) -> None:
    """Every topic is read as what it was built from, in a partition that exists."""
    topic = Topic(hub_id=hub_id, kind=kind)

    assert topics.parse(str(topic)) == topic
    assert topics.partition_of(hub_id) in range(topics.PARTITIONS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        f"iq/1/34/{HUB}/up",
        f"iq/1/34/{HUB}/up/batch/",
        f"/iq/1/34/{HUB}/up/batch",
        f"iq/1/34/{HUB}/up/lease",
        f"iq/1/34/{HUB}/down/batch",
        f"iq/1/34/{HUB}/up/Batch",
        f"iq/1/34/{HUB}/sideways/batch",
        f"iq/1/34/{HUB.upper()}/up/batch",
        f"iq/1/34/{HUB[:-1]}/up/batch",
        f"iq/1/34/{HUB}0/up/batch",
        f"iq/1/034/{HUB}/up/batch",
        f"iq/1/35/{HUB}/up/batch",
        f"iq/1/98/{HUB}/up/batch",
        f"iq/2/42/{HUB}/up/batch",
        "iq/1/34/+/up/batch",
        "iq/1/34/#",
        f"iq/1/34/{chr(0x660) * 32}/up/batch",  # digits, but not ours
        pytest.param("x" * 1_000_000, id="endless"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """A foreign partition, a wrong case, a level too many: all of it is no topic of ours."""
    with pytest.raises(ProtocolError):
        topics.parse(text)


def test_rights_are_as_narrow_as_the_words() -> None:
    """On NATS a hub may say its six kinds of message and hear one level below its own name."""
    assert set(topics.publish_subjects(HUB)) == {f"iq.1.34.{HUB}.up.{kind}" for kind in UpKind}
    assert topics.subscribe_subjects(HUB) == (f"iq.1.34.{HUB}.down.*",)
