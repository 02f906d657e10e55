"""Why a person may or may not open a lock, now and until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Final
from zoneinfo import ZoneInfo

from controller.access.queries import holidays_of
from controller.access.rights import Right, known, presented, rights_at, zone_of
from controller.db.engine import ReadSession
from controller.domain.access import (
    AccessGroup,
    Credential,
    Decision,
    Person,
    ShutBy,
    allowed_within,
    decide,
    furthest,
)
from controller.domain.entitlements import Entitlements
from controller.domain.ids import LockId, PersonId, SiteId
from controller.domain.openings import Outlook, Span, merged
from controller.domain.people import SiteCredential
from controller.domain.schedule import Holiday
from controller.hardware import repository as hardware
from controller.people import repository as people

FORESIGHT: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedCredential:
    """What would happen if a person presented one of its credentials."""

    credential: SiteCredential
    decision: Decision
    outlook: Outlook


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedRight:
    """What one access group gives the person at the lock, whatever she presents."""

    right: Right
    shut_by: ShutBy | None  # None: it gives its right
    outlook: Outlook


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What a lock would do for a person, at best and by each credential and group."""

    decision: Decision
    outlook: Outlook
    credentials: tuple[ExplainedCredential, ...]
    rights: tuple[ExplainedRight, ...]


async def why(
    tx: ReadSession,
    site_id: SiteId,
    *,
    person_id: PersonId,
    lock_id: LockId,
    site: Entitlements,
    at: datetime,
) -> Why:
    """Return what a lock would do for a person at an instant, and within 14 days of it.

    Args:
        tx: The view to read in.
        site_id: The site.
        person_id: Who stands at the door.
        lock_id: Which door.
        site: What the site may use at that instant.
        at: The instant.

    Raises:
        NotFound: The site has no such person or lock.
    """
    person = await people.person(tx, site_id, person_id)
    lock = await hardware.lock(tx, site_id, lock_id)
    rights = await rights_at(tx, site_id, person_id=person.id, lock_id=lock.id)
    held = await people.credentials_of(tx, site_id, person.id)
    door = _Door(
        person=known(person),
        lock_id=lock.id,
        groups=tuple(right.group for right in rights),
        zone=await zone_of(tx, site_id),
        holidays=await holidays_of(tx, site_id),
        site=site,
        within=Span(starts_at=at, ends_at=at + FORESIGHT),
    )
    return door.explained(held, rights)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    """A lock with one person in front of it."""

    person: Person
    lock_id: LockId
    groups: tuple[AccessGroup, ...]
    zone: ZoneInfo
    holidays: tuple[Holiday, ...]
    site: Entitlements
    within: Span

    def explained(self, held: Sequence[SiteCredential], rights: Sequence[Right]) -> Why:
        """Return what each credential and each group does, and what comes of it."""
        # What is not usable, hubs do not know.
        cases = [(one, presented(one) if one.usable else None) for one in held]
        decisions = [self.decision(credential) for _, credential in cases]
        openings = [self.openings(credential) for _, credential in cases]
        return Why(
            decision=furthest(decisions or [self.decision(None)]),
            outlook=Outlook.of(merged(chain.from_iterable(openings)), self.within),
            credentials=tuple(
                ExplainedCredential(
                    credential=one, decision=decision, outlook=Outlook.of(spans, self.within)
                )
                for one, decision, spans in zip(held, decisions, openings, strict=True)
            ),
            rights=tuple(self.given(right) for right in rights),
        )

    def decision(self, credential: Credential | None) -> Decision:
        """Return what happens at the start of the span; None: an unknown credential."""
        return decide(
            subscribed=self.site.active,
            holder=(credential, self.person) if credential else None,
            groups=self.groups,
            lock_id=self.lock_id,
            zone=self.zone,
            now=self.within.starts_at,
            holidays=self.holidays,
        )

    def openings(self, credential: Credential | None) -> list[Span]:
        """Return when a credential opens the lock within the span, as the rows are now."""
        subscribed = self.within.part(None, self.site.ended_at) if self.site.active else None
        if credential is None or subscribed is None:
            return []
        return allowed_within(
            subscribed,
            holder=(credential, self.person),
            groups=self.groups,
            lock_id=self.lock_id,
            zone=self.zone,
            holidays=self.holidays,
        )

    def given(self, right: Right) -> ExplainedRight:
        """Return what a group gives by itself."""
        group, holidays = right.group, self.holidays
        return ExplainedRight(
            right=right,
            shut_by=group.shut_by(self.within.starts_at, zone=self.zone, holidays=holidays),
            outlook=Outlook.of(
                group.openings(self.within, zone=self.zone, holidays=holidays), self.within
            ),
        )
