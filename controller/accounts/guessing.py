"""How often somebody may guess wrong: passwords and voucher codes.

Only failures count, so that whoever knows the secret is never held up by his own haste. Guesses
that run at the same moment can overdraw an allowance; the debt is then waited off.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Final

from controller.domain.errors import TooMany
from controller.ports import LinkClock

REMEMBERED_MAX: Final = 10_000  # about 2 MB; beyond, those unseen for longest are forgotten
HOUR_S: Final = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """So many failures at once, and so many an hour in the long run."""

    name: str
    burst: int
    per_hour: int


Key = tuple[Failures, str]


@dataclass(slots=True)
class _Account:
    left: float
    at_s: float


class GuessLimit:
    """Counts failures in memory; a restart forgives."""

    def __init__(self, link: LinkClock, *, remembered_max: int = REMEMBERED_MAX) -> None:
        self._link = link
        self._remembered_max = remembered_max
        self._accounts: OrderedDict[tuple[str, str], _Account] = OrderedDict()

    def require(self, keys: Iterable[Key]) -> None:
        """Refuse another guess where too many have failed.

        Raises:
            TooMany: ``retry_after_s`` says when the next guess is allowed.
        """
        wait_s = 0
        for failures, who in keys:
            account = self._accounts.get((failures.name, who))
            if account is not None and (left := self._left(account, failures)) < 1:
                wait_s = max(wait_s, ceil((1 - left) * HOUR_S / failures.per_hour))
        if wait_s:
            raise TooMany(f"Too many wrong tries; come again in {wait_s} s.", retry_after_s=wait_s)

    def failed(self, keys: Iterable[Key]) -> None:
        """Count a wrong guess."""
        for failures, who in keys:
            account = self._accounts.pop((failures.name, who), None)
            left = failures.burst if account is None else self._left(account, failures)
            self._accounts[failures.name, who] = _Account(left - 1, self._link.now())
        while len(self._accounts) > self._remembered_max:
            self._accounts.popitem(last=False)

    def _left(self, account: _Account, failures: Failures) -> float:
        gained = (self._link.now() - account.at_s) * failures.per_hour / HOUR_S
        return min(failures.burst, account.left + gained)
