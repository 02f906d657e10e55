"""What has been compiled, kept while hubs pull it."""

from collections import OrderedDict
from typing import Final

from controller.delivery.compile import Compiled
from controller.delivery.repository import Wanted

BYTES_MAX: Final = 64 * 1024 * 1024  # some hundred hubs with thousands of people each


class Shelf:
    """The newest compiled state of each hub, up to a weight; the longest unused one goes first."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, tuple[tuple[int, int], Compiled]] = OrderedDict()
        self._bytes = 0

    def get(self, wanted: Wanted) -> Compiled | None:
        """Return the hub's state at exactly this epoch and revision."""
        held = self._held.get(wanted.hub.id)
        if held is None or held[0] != _version(wanted):
            return None
        self._held.move_to_end(wanted.hub.id)
        return held[1]

    def put(self, wanted: Wanted, compiled: Compiled) -> None:
        """Keep the hub's state instead of the one before."""
        before = self._held.pop(wanted.hub.id, None)
        if before is not None:
            self._bytes -= before[1].size
        self._held[wanted.hub.id] = (_version(wanted), compiled)
        self._bytes += compiled.size
        while self._bytes > BYTES_MAX and len(self._held) > 1:
            _, (_, oldest) = self._held.popitem(last=False)
            self._bytes -= oldest.size


def _version(wanted: Wanted) -> tuple[int, int]:
    return wanted.hub.epoch, wanted.revision_wanted
