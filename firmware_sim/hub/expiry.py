"""Whether the hub is subscribed. Source: docs/architecture.md, expiry at the hub."""

from dataclasses import dataclass, replace
from typing import Annotated, Final

from firmware_sim.hub import clock, locks
from firmware_sim.hub.state import HubState
from firmware_sim.outputs import Colour, FlashWrite, Led
from firmware_sim.turn import Turn
from gateway.protocol import wire
from gateway.protocol.errors import ProtocolError
from gateway.protocol.messages import Lease
from gateway.protocol.wire import Key, Uint

CONTACT_S: Final = 300.0  # of link clock; an older answer proves nothing about a payment
LEASE_KEY: Final = "lease"
LATCH_KEY: Final = "latch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """The lease that is over."""

    epoch: Annotated[Uint, Key(1)]
    number: Annotated[Uint, Key(2)]


def take_lease(turn: Turn[HubState], payload: bytes) -> None:
    """Apply a lease whose signature has been verified, if it is this hub's and newer.

    Raises:
        ProtocolError: It is none, or somebody else's.
    """
    state = turn.state
    lease = wire.decode(Lease, payload)
    if (lease.hub_id, lease.site_id) != (state.identity.hub_id, state.identity.site_id):
        raise ProtocolError("lease: for another hub or site")
    held = state.lease
    if held is not None and (lease.epoch, lease.number) <= (held.epoch, held.number):
        return
    turn.emit(FlashWrite(key=LEASE_KEY, data=payload))
    turn.state = replace(state, lease=lease, latched=False)


def settle(turn: Turn[HubState]) -> None:
    """Bring the state up to this instant: latch what is over, and act where that changed."""
    if not turn.state.latched and _is_over(turn):
        lease = turn.state.lease
        assert lease is not None, "nothing is over without a lease"
        latch = Latch(epoch=lease.epoch, number=lease.number)
        turn.emit(FlashWrite(key=LATCH_KEY, data=wire.encode(latch)))
        turn.state = replace(turn.state, latched=True)
    state = turn.state
    lease = state.lease
    subscribed = (
        lease is not None
        and lease.subscribed
        and not state.latched
        and not clock.is_worn_out(state)
    )
    if subscribed != state.subscribed:
        turn.state = replace(state, subscribed=subscribed, pull=None)
        if subscribed:
            locks.configure_all(turn)
    _show(turn)


def _is_over(turn: Turn[HubState]) -> bool:
    lease = turn.state.lease
    if lease is None or not lease.subscribed:
        return False
    now_s = turn.state.calendar.at_s(turn.instant)
    contact_s = turn.state.uplink.contact_s
    has_contact = contact_s is not None and turn.instant.mono_s - contact_s <= CONTACT_S
    return now_s >= lease.serve_until_s or (now_s >= lease.ends_at_s and has_contact)


def _show(turn: Turn[HubState]) -> None:
    if not turn.state.subscribed:
        colour = Colour.PURPLE
    elif turn.state.uplink.connected:
        colour = Colour.GREEN
    else:
        colour = Colour.BLUE
    if colour is not turn.state.led:
        turn.state = replace(turn.state, led=colour)
        turn.emit(Led(colour=colour))
