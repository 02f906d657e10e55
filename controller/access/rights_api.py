"""Who may open what, and why a door opens or not, over REST."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, Field
from typing_extensions import TypedDict

from controller.access import explain, rights
from controller.access.explain import ExplainedCredential, ExplainedRight, Why
from controller.access.rights import LockRights, PersonRights, Right, RightKind, known, presented
from controller.domain.access import Allowed, Decision, DenyReason, ShutBy, barred
from controller.domain.errors import Invalid
from controller.domain.ids import CredentialId, GroupId, LockId, PersonId, ScheduleId, SiteId
from controller.domain.instants import EPOCH, from_seconds, to_text
from controller.domain.roles import Action
from controller.hardware import repository as hardware
from controller.people import repository as people
from controller.subscriptions.entitlement import Entitlement
from controller.web.api import Call, get
from controller.web.models import Out
from controller.web.pagination import LIMIT_DEFAULT, Cursor, Limit, Page, decoded, page_of
from vouchers.products import HORIZON_S

PERSON = "/sites/{site_id}/people/{person_id}"
LOCK = "/sites/{site_id}/locks/{lock_id}"

OpensAt = Annotated[
    datetime | None, Field(description="Where it is shut: when it opens, within 14 days.")
]
OpenUntil = Annotated[
    datetime | None, Field(description="Where it is open: when it shuts, within 14 days.")
]


class CredentialWhyOut(Out):
    """What would happen with one credential."""

    credential_id: CredentialId
    label: str
    allowed: bool
    reason: DenyReason | None
    group_id: GroupId | None
    opens_at: OpensAt
    open_until: OpenUntil

    @classmethod
    def of(cls, one: ExplainedCredential) -> Self:
        """Return an explanation as it is shown."""
        return cls(
            credential_id=one.credential.id,
            label=one.credential.label,
            **_told(one.decision),
            **asdict(one.outlook),
        )


class GroupWhyOut(Out):
    """What one group with the person and the lock gives, whatever is presented."""

    kind: RightKind
    group_id: GroupId
    name: str
    schedule_id: ScheduleId | None
    open: bool
    reason: Annotated[ShutBy | None, Field(description="Why it is not open.")]
    opens_at: OpensAt
    open_until: OpenUntil

    @classmethod
    def of(cls, one: ExplainedRight) -> Self:
        """Return an explanation as it is shown."""
        return cls(
            kind=one.right.kind,
            group_id=one.right.group.id,
            name=one.right.name,
            schedule_id=one.right.schedule_id,
            open=one.shut_by is None,
            reason=one.shut_by,
            **asdict(one.outlook),
        )


class WhyOut(Out):
    """Whether a person may open a lock at an instant, and why.

    Instants to come are by everything as it stands now, the end of the subscription included.
    """

    at: datetime
    allowed: bool
    reason: Annotated[DenyReason | None, Field(description="Of the credential that got furthest.")]
    group_id: Annotated[GroupId | None, Field(description="By whose right it opens.")]
    opens_at: OpensAt
    open_until: OpenUntil
    credentials: list[CredentialWhyOut]
    groups: list[GroupWhyOut]

    @classmethod
    def of(cls, one: Why, at: datetime) -> Self:
        """Return an explanation as it is shown."""
        return cls(
            at=at,
            credentials=[CredentialWhyOut.of(credential) for credential in one.credentials],
            groups=[GroupWhyOut.of(right) for right in one.rights],
            **_told(one.decision),
            **asdict(one.outlook),
        )


class RightOut(Out):
    """A group that gives a right, and when it does: an access group, a locker or a pod."""

    kind: RightKind
    group_id: GroupId
    name: str
    schedule_id: Annotated[ScheduleId | None, Field(description="null: at all times.")]
    starts_at: datetime | None
    ends_at: datetime | None

    @classmethod
    def all_of(cls, some: Sequence[Right]) -> list[Self]:
        """Return rights as they are shown."""
        return [
            cls(
                kind=one.kind,
                group_id=one.group.id,
                name=one.name,
                schedule_id=one.schedule_id,
                starts_at=one.group.starts_at,
                ends_at=one.group.ends_at,
            )
            for one in some
        ]


class LockRightsOut(Out):
    """A lock that the person may open."""

    lock_id: LockId
    lock_name: str
    groups: list[RightOut]

    @classmethod
    def of(cls, one: LockRights) -> Self:
        """Return a lock with its rights as it is shown."""
        return cls(lock_id=one.lock_id, lock_name=one.lock_name, groups=RightOut.all_of(one.rights))


Barred = Annotated[
    DenyReason | None,
    Field(description="Why the person opens nothing at all now; null: groups say."),
]


class PersonAccessOut(Page[LockRightsOut]):
    """The locks that a person may open, now or later."""

    reason: Barred


class PersonRightsOut(Out):
    """Who may open the lock."""

    person_id: PersonId
    person_name: str
    reason: Barred
    groups: list[RightOut]

    @classmethod
    def of(cls, one: PersonRights, *, subscribed: bool, now: datetime) -> Self:
        """Return a person with its rights as it is shown."""
        return cls(
            person_id=one.person.id,
            person_name=one.person.name,
            reason=barred(
                subscribed=subscribed,
                person=known(one.person),
                credentials=one.credentials,
                now=now,
            ),
            groups=RightOut.all_of(one.rights),
        )


class RightsApi:
    """What follows from access groups, schedules, people and credentials."""

    tag = "access"

    def __init__(self, entitlement: Entitlement) -> None:
        self._entitlement = entitlement

    @get(PERSON + "/locks/{lock_id}/why", requires=Action.READ_ACCESS)
    async def why(
        self,
        call: Call,
        site_id: SiteId,
        person_id: PersonId,
        lock_id: LockId,
        at: AwareDatetime | None = None,
    ) -> WhyOut:
        """Tell why a person may or may not open a lock, now or at another instant."""
        instant = call.now if at is None else _foreseeable(at)
        async with call.db.read() as tx:
            site = await self._entitlement.entitled(tx, site_id, now=instant)
            found = await explain.why(
                tx, site_id, person_id=person_id, lock_id=lock_id, site=site, at=instant
            )
        return WhyOut.of(found, instant)

    @get(PERSON + "/access", requires=Action.READ_ACCESS)
    async def of_person(
        self,
        call: Call,
        site_id: SiteId,
        person_id: PersonId,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> PersonAccessOut:
        """List the locks that a person may open now or later, each with the groups that say so."""
        after = decoded(cursor, str)
        async with call.db.read() as tx:
            site = await self._entitlement.entitled(tx, site_id, now=call.now)
            person = await people.person(tx, site_id, person_id)
            held = await people.credentials_of(tx, site_id, person_id)
            found = await rights.locks_of(
                tx,
                site_id,
                person_id,
                now=call.now,
                after_id=str(after[0]) if after else None,
                limit=limit + 1,
            )
        shown = page_of([LockRightsOut.of(one) for one in found], limit, lambda one: (one.lock_id,))
        reason = barred(
            subscribed=site.active,
            person=known(person),
            credentials=[presented(one) for one in held if one.usable],
            now=call.now,
        )
        return PersonAccessOut(items=shown.items, next_cursor=shown.next_cursor, reason=reason)

    @get(LOCK + "/access", requires=Action.READ_ACCESS)
    async def of_lock(
        self,
        call: Call,
        site_id: SiteId,
        lock_id: LockId,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[PersonRightsOut]:
        """List who may open a lock now or later, each with the groups that say so."""
        after = decoded(cursor, str)
        async with call.db.read() as tx:
            site = await self._entitlement.entitled(tx, site_id, now=call.now)
            lock = await hardware.lock(tx, site_id, lock_id)
            found = await rights.people_of(
                tx,
                site_id,
                lock.id,
                now=call.now,
                after_id=str(after[0]) if after else None,
                limit=limit + 1,
            )
        shown = [PersonRightsOut.of(one, subscribed=site.active, now=call.now) for one in found]
        return page_of(shown, limit, lambda one: (one.person_id,))


def _foreseeable(at: datetime) -> datetime:
    """Return an instant that can be asked about.

    Raises:
        Invalid: It lies outside of what any hub can be told.
    """
    horizon = from_seconds(HORIZON_S)
    if not EPOCH <= at < horizon:
        raise Invalid(
            f"at: choose an instant from {to_text(EPOCH)} to before {to_text(horizon)}.", field="at"
        )
    return at


class _Told(TypedDict):
    allowed: bool
    reason: DenyReason | None
    group_id: GroupId | None


def _told(decision: Decision) -> _Told:
    match decision:
        case Allowed(group_id=group_id):
            return _Told(allowed=True, reason=None, group_id=group_id)
        case _:
            return _Told(allowed=False, reason=decision.reason, group_id=None)
