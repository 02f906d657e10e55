"""How much one hub may say."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

# A hub that empties its journal has at most 4 batches of 100 entries under way: these bounds leave
# it more than the database takes, and keep one that has gone mad from costing the others anything.
MESSAGES_PER_S: Final = 100.0
MESSAGES_AT_ONCE: Final = 400
HUBS_MAX: Final = 10_000  # as many as may be connected; who was silent longest is forgotten


@dataclass(slots=True)
class _Bucket:
    left: float
    at_s: float


class Allowance:
    """A token bucket a hub."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, hub_id: str, *, now_s: float) -> bool:
        """Return whether the hub may say something now, and count it."""
        bucket = self._buckets.get(hub_id)
        if bucket is None:
            bucket = _Bucket(left=MESSAGES_AT_ONCE, at_s=now_s)
            self._buckets[hub_id] = bucket
            if len(self._buckets) > HUBS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(hub_id)
        earned = (now_s - bucket.at_s) * MESSAGES_PER_S
        bucket.left = min(MESSAGES_AT_ONCE, bucket.left + earned)
        bucket.at_s = now_s
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True
