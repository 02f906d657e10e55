"""Pods: locks that a few members run by themselves, with guests of their own."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from controller.domain.errors import Invalid, Refused
from controller.domain.ids import PersonId, PodId, SiteId

POD_LOCKS_MAX: Final = 50
POD_MEMBERS_MAX: Final = 50
POD_GUESTS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod with the time in which it opens; without one at all times."""

    site_id: SiteId
    id: PodId
    name: str
    starts_at: datetime | None
    ends_at: datetime | None  # first instant outside
    guests_max: int
    usable: bool  # False: the site's subscription has no pods now
    created_at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPerson:
    """Somebody in a pod."""

    person_id: PersonId
    is_guest: bool
    invited_by: PersonId | None


class InvalidPod(Invalid):
    """A pod that cannot be."""

    code = "invalid_pod"


class PodFull(Refused):
    """A pod has as many locks, members or guests as it can."""

    code = "pod_full"


def require_frame(pod: Pod) -> None:
    """Refuse a pod that ends before it starts.

    Raises:
        InvalidPod: It names the field.
    """
    if pod.starts_at is not None and pod.ends_at is not None and pod.ends_at <= pod.starts_at:
        raise InvalidPod("ends_at: a pod ends after it starts.", field="ends_at")
