"""What has been compiled, kept for the edits to come and while hubs pull it."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from controller.delivery.buckets import bytes_in_use
from controller.delivery.compile import HubState
from controller.delivery.items import HubIdentity
from controller.delivery.repository import Wanted

BYTES_MAX: Final = 256 * 1024 * 1024  # 50 hubs with 10,000 people each that share nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A hub's state with what it is of."""

    state: HubState
    revision: int
    number: int  # of the newest change of its site that is in it


class Shelf:
    """The newest compiled state of each hub, up to a weight; the longest unused one goes first."""

    def __init__(self, *, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._bytes = 0

    def get(self, wanted: Wanted) -> HubState | None:
        """Return the hub's state at exactly this epoch and revision."""
        held = self.newest(wanted.hub)
        return held.state if held is not None and held.revision == wanted.revision_wanted else None

    def newest(self, hub: HubIdentity) -> Held | None:
        """Return what was compiled last for this device in the hub's place."""
        held = self._held.get(hub.id)
        if held is None or held.state.hub != hub:
            return None
        self._held.move_to_end(hub.id)
        return held

    def put(self, wanted: Wanted, state: HubState, *, number: int) -> None:
        """Keep the hub's state instead of the one before."""
        before = self._held.pop(wanted.hub.id, None)
        if before is not None:
            self._bytes -= before.state.size
        self._held[wanted.hub.id] = Held(
            state=state, revision=wanted.revision_wanted, number=number
        )
        self._bytes += state.size
        while self._bytes + bytes_in_use() > self._bytes_max and len(self._held) > 1:
            _, oldest = self._held.popitem(last=False)
            self._bytes -= oldest.state.size

    def confirm(self, wanted: Wanted, *, number: int) -> None:
        """Note that a hub's state is the same at a later change, which has not asked for it."""
        held = self._held.get(wanted.hub.id)
        if (
            held is not None
            and held.state.hub == wanted.hub
            and held.revision == wanted.revision_wanted
        ):
            self._held[wanted.hub.id] = replace(held, number=max(held.number, number))
