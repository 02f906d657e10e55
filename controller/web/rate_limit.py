"""A token bucket for each actor, or for each address of those who are not signed in."""

from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Final

from controller.ports import LinkClock
from controller.web.problems import Refusal

BUCKETS_MAX: Final = 10_000  # about 2 MB; beyond, those unseen for longest are forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """So many requests at once, and so many a second in the long run."""

    burst: int
    per_s: float


SIGNED_IN_ALLOWANCE: Final = Allowance(burst=600, per_s=50)
ADDRESS_ALLOWANCE: Final = Allowance(burst=60, per_s=2)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at_s: float


class RateLimiter:
    """Counts requests in memory; a restart forgives."""

    def __init__(self, link: LinkClock, *, buckets_max: int = BUCKETS_MAX) -> None:
        self._link = link
        self._buckets_max = buckets_max
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str, allowance: Allowance) -> dict[str, str]:
        """Count one request and return the headers that tell what is left.

        Raises:
            Refusal: Nothing was left (429).
        """
        bucket = self._filled(key, allowance)
        allowed = bucket.tokens >= 1
        if allowed:
            bucket.tokens -= 1
        full_in_s = ceil((allowance.burst - bucket.tokens) / allowance.per_s)
        window_s = ceil(allowance.burst / allowance.per_s)
        headers = {
            "RateLimit-Policy": f'"default";q={allowance.burst};w={window_s}',
            "RateLimit": f'"default";r={int(bucket.tokens)};t={full_in_s}',
        }
        if allowed:
            return headers
        wait_s = max(1, ceil((1 - bucket.tokens) / allowance.per_s))
        raise Refusal(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too_many_requests",
            f"Too many requests; come again in {wait_s} s.",
            headers=headers | {"Retry-After": str(wait_s)},
        )

    def _filled(self, key: str, allowance: Allowance) -> _Bucket:
        now_s = self._link.now()
        bucket = self._buckets.pop(key, None) or _Bucket(allowance.burst, now_s)
        gained = (now_s - bucket.filled_at_s) * allowance.per_s
        bucket.tokens = min(allowance.burst, bucket.tokens + gained)
        bucket.filled_at_s = now_s
        self._buckets[key] = bucket  # to the end: the first one is the least recently seen
        if len(self._buckets) > self._buckets_max:
            self._buckets.popitem(last=False)
        return bucket
