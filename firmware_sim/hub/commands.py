"""Orders of the controller to a lock: now or never, and once. What is ordered is sealed."""

from dataclasses import replace
from typing import Final

from firmware_sim.hub import clock, locks, uplink
from firmware_sim.hub.state import Done, HubState, LockLink, Order
from firmware_sim.turn import Turn
from gateway.protocol import frames, wire
from gateway.protocol.messages import Command, CommandOutcome, Reply
from gateway.protocol.topics import UpKind

PATIENCE_S: Final = 3.0  # how long the lock is tried
TRY_AGAIN_S: Final = 0.6
EARLY_MS_MAX: Final = 1_000  # how far the controller's clocks may differ among themselves
REMEMBERED_S: Final = 60.0  # a command lives 10 s at most
REMEMBERED_MAX: Final = 256


def take(turn: Turn[HubState], payload: bytes) -> None:
    """Judge a command whose signature has been verified, and try its lock.

    Raises:
        ProtocolError: It is none.
    """
    command = wire.decode(Command, payload)
    state = turn.state
    if command.command_id in state.orders:
        return
    done = state.done.get(command.command_id)
    if done is not None:
        _reply(turn, command.command_id, done.outcome)
        return
    life_s = _life_s(turn, command)
    if not state.subscribed:
        _finish(turn, command.command_id, CommandOutcome.REFUSED)
    elif life_s <= 0:
        _finish(turn, command.command_id, CommandOutcome.EXPIRED)
    elif command.lock_id not in state.locks:
        _finish(turn, command.command_id, CommandOutcome.UNREACHABLE)
    else:
        now_s = turn.instant.mono_s
        order = Order(
            lock_id=command.lock_id,
            sealed=command.sealed,
            until_s=now_s + min(life_s, PATIENCE_S),
            again_s=now_s,
        )
        turn.state = replace(state, orders={**state.orders, command.command_id: order})
        try_locks(turn)


def try_locks(turn: Turn[HubState]) -> None:
    """Send what waits to its lock (again), and give up what has waited too long."""
    now_s = turn.instant.mono_s
    for command_id, order in turn.state.orders.items():
        if now_s >= order.until_s or order.lock_id not in turn.state.locks:
            _finish(turn, command_id, CommandOutcome.UNREACHABLE)
        elif now_s >= order.again_s:
            again = replace(order, again_s=now_s + TRY_AGAIN_S)
            turn.state = replace(turn.state, orders={**turn.state.orders, command_id: again})
            message = frames.Order(command_id=command_id, sealed=order.sealed)
            locks.send(turn, order.lock_id, message)


def hear(turn: Turn[HubState], link: LockLink, obeyed: frames.Obeyed) -> None:
    """Take the lock's word for what became of an order."""
    order = turn.state.orders.get(obeyed.command_id)
    if order is not None and order.lock_id == link.settings.lock_id:
        _finish(turn, obeyed.command_id, obeyed.outcome)


def _life_s(turn: Turn[HubState], command: Command) -> float:
    """Return how long the command may still be carried out; a hub without UTC cannot tell."""
    utc_ms = clock.utc_ms(turn)
    if utc_ms is None or command.issued_ms - utc_ms > EARLY_MS_MAX:
        return 0
    age_ms = max(0, utc_ms - command.issued_ms)
    return command.ttl_s - age_ms / 1000


def _finish(turn: Turn[HubState], command_id: bytes, outcome: CommandOutcome) -> None:
    now_s = turn.instant.mono_s
    orders = {key: order for key, order in turn.state.orders.items() if key != command_id}
    done = {key: each for key, each in turn.state.done.items() if each.until_s > now_s}
    done = dict(list(done.items())[-REMEMBERED_MAX + 1 :])
    done[command_id] = Done(outcome=outcome, until_s=now_s + REMEMBERED_S)
    turn.state = replace(turn.state, orders=orders, done=done)
    _reply(turn, command_id, outcome)


def _reply(turn: Turn[HubState], command_id: bytes, outcome: CommandOutcome) -> None:
    if turn.state.uplink.connected:
        reply = Reply(command_id=command_id, outcome=outcome)
        turn.emit(uplink.signed(turn.state, UpKind.REPLY, reply))
