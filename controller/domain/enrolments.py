"""Enrolments: the next tag that is held to a lock within some time is somebody's."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from controller.domain.errors import Refused
from controller.domain.hardware import CommandState
from controller.domain.ids import AccountId, CommandId, CredentialId, LockId, PersonId, SiteId

SECONDS_MIN: Final = 10
SECONDS_MAX: Final = 240
SECONDS_DEFAULT: Final = 120

_FAILED: Final = (CommandState.REFUSED, CommandState.EXPIRED, CommandState.UNREACHABLE)


class EnrolmentState(StrEnum):
    """What is known of an enrolment."""

    WAITING = "waiting"  # for the lock, and for somebody to hold a tag to it
    PRESENTED = "presented"  # a tag was; it is about to be given to the person
    ENROLLED = "enrolled"  # it is the person's
    REFUSED = "refused"  # ``refusal`` says why
    EXPIRED = "expired"  # nobody held a tag to the lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A tag that is awaited at a lock."""

    site_id: SiteId
    id: CommandId  # of the order to the lock
    lock_id: LockId
    person_id: PersonId
    label: str
    offline: bool
    actor_id: AccountId | None
    actor_name: str
    created_at: datetime  # calendar
    until: datetime  # calendar; what the lock tells later counts no more
    state: EnrolmentState
    refusal: str | None  # code
    credential_id: CredentialId | None

    def with_order(self, order: CommandState) -> "Enrolment":
        """Return the enrolment as it stands when this is known of its order to the lock.

        A lock that never heard of it cannot wait for a tag.
        """
        is_open = self.state in (EnrolmentState.WAITING, EnrolmentState.EXPIRED)
        if not is_open or order not in _FAILED:
            return self
        return replace(self, state=EnrolmentState.REFUSED, refusal=f"order_{order}")


class EnrolmentUnderWay(Refused):
    """The lock waits for a tag already."""

    code = "enrolment_under_way"
