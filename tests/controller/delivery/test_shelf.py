"""What was compiled is kept up to a weight, and never taken for something else."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from controller.delivery.compile import HubState
from controller.delivery.repository import Wanted
from controller.delivery.shelf import Shelf
from tests.controller.delivery import states

HUBS: Final = 3


def wanted(number: int, *, revision: int = 1, epoch: int = 1) -> Wanted:
    """What is wanted of a hub."""
    return Wanted(
        site_id=states.SITE,
        hub=states.hub(number, epoch=epoch),
        lease_wanted=1,
        revision_wanted=revision,
        revision_confirmed=0,
        ends_at=states.NOON + timedelta(days=1),
        is_over=False,
    )


def test_a_state_is_of_one_revision_and_one_device() -> None:
    """Another revision has to be compiled, and another device in its place begins anew."""
    shelf, state = Shelf(), HubState(hub=states.hub())
    shelf.put(wanted(0), state, number=7)

    assert shelf.get(wanted(0)) is state
    assert shelf.get(wanted(0, revision=2)) is None
    held = shelf.newest(states.hub())
    assert held is not None
    assert (held.state, held.number) == (state, 7)
    assert shelf.newest(states.hub(epoch=2)) is None


def test_a_hub_that_was_not_asked_for_is_as_new_as_the_others() -> None:
    """Its number moves on; that of one that was asked for meanwhile does not, nor does any back."""
    shelf = Shelf()
    for number in range(HUBS):
        shelf.put(wanted(number), HubState(hub=states.hub(number)), number=3)

    shelf.confirm(wanted(0), number=5)
    shelf.confirm(wanted(1, revision=2), number=5)
    shelf.confirm(wanted(2), number=2)

    held = [shelf.newest(states.hub(number)) for number in range(HUBS)]
    assert [each and each.number for each in held] == [5, 3, 3]


def test_the_longest_unused_goes_first() -> None:
    """When it gets too heavy; the one that is put stays, however heavy it is."""
    heavy = HubState(hub=states.hub(0))
    shelf = Shelf(bytes_max=-1)
    for number in range(HUBS):
        shelf.put(wanted(number), replace(heavy, hub=states.hub(number)), number=1)

    held = [shelf.get(wanted(number)) for number in range(HUBS)]
    assert [each is not None for each in held] == [False, False, True]
