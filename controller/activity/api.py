"""What happened at the doors, over REST."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Final, Protocol, Self

from pydantic import Field

from controller.activity import queries
from controller.activity.queries import EntryShown, Place
from controller.db.engine import ReadSession
from controller.domain.ids import CommandId, CredentialId, LockId, PersonId, SiteId
from controller.domain.roles import Action
from controller.web.api import Call, get
from controller.web.models import ID, Out
from controller.web.pagination import (
    LIMIT_DEFAULT,
    BadCursor,
    Cursor,
    Key,
    Limit,
    Page,
    decoded,
    page_of,
)

GAPS_MAX: Final = 200
NUMBER_MAX: Final = 2**63 - 1  # what the database can compare with


class EntryOut(Out):
    """What a lock has written down. Lock, log epoch and sequence identify it for ever."""

    lock_id: LockId
    lock_name: Annotated[str | None, Field(description="Nothing once the lock was deleted.")]
    log_epoch: int
    sequence: Annotated[int, Field(description="From 1 without gaps, by the lock.")]
    kind: Annotated[str, Field(examples=["opened_by_hub"])]
    reason: Annotated[
        str | None, Field(description="Why it stayed shut.", examples=["outside_schedule"])
    ]
    at: Annotated[datetime, Field(description="By the lock's clock.")]
    clock_trusted: Annotated[bool, Field(description="Whether the lock knew the time.")]
    hub_at: Annotated[datetime | None, Field(description="When its hub heard of it.")]
    received_at: Annotated[datetime, Field(description="When it was stored here.")]
    credential_id: CredentialId | None
    credential_kind: Annotated[str | None, Field(examples=["tag", "digital_key", "pin"])]
    person_id: PersonId | None
    person_name: str | None
    command_id: CommandId | None
    count: Annotated[int | None, Field(description="Of an overflow: how many older are lost.")]

    @classmethod
    def of(cls, entry: EntryShown) -> Self:
        """Return an entry as it is shown."""
        shown = {field.name: getattr(entry, field.name) for field in fields(EntryShown)}
        named = {
            name: None if shown[name] is None else shown[name].name.lower()
            for name in ("kind", "reason", "credential_kind")
        }
        return cls(**shown | named)


class GapOut(Out):
    """Entries of a lock that have not arrived, or are lost."""

    log_epoch: int
    first: Annotated[int, Field(description="First missing sequence.")]
    last: int
    count: int
    lost: Annotated[int, Field(description="Of these, as the lock says, never to come.")]


class GapsOut(Out):
    """What is missing of a lock's entries, the first 200."""

    items: list[GapOut]


class Retention(Protocol):
    """How long a site keeps entries; the subscriptions feature, which stands above, knows."""

    async def entries_since(self, tx: ReadSession, site_id: SiteId, *, now: datetime) -> datetime:
        """Return when the oldest entry that is shown was received."""
        ...


class ActivityApi:
    """The entries of a site."""

    tag = "activity"

    def __init__(self, retention: Retention) -> None:
        self._retention = retention

    @get("/sites/{site_id}/entries", requires=Action.READ_ACTIVITY)
    async def entries(
        self,
        call: Call,
        site_id: SiteId,
        *,
        lock_id: Annotated[LockId, ID] | None = None,
        person_id: Annotated[PersonId, ID] | None = None,
        cursor: Cursor = None,
        limit: Limit = LIMIT_DEFAULT,
    ) -> Page[EntryOut]:
        """List entries, those that arrived last first, as far back as the plan keeps them."""
        after = place_of(cursor)
        async with call.db.read() as tx:
            since = await self._retention.entries_since(tx, site_id, now=call.now)
            found = await queries.site_entries(
                tx,
                site_id,
                after=after,
                limit=limit + 1,
                since=since,
                lock_id=lock_id,
                person_id=person_id,
            )
        page = page_of(found, limit, key_of)
        return Page(items=[EntryOut.of(each) for each in page.items], next_cursor=page.next_cursor)

    @get("/sites/{site_id}/locks/{lock_id}/entry-gaps", requires=Action.READ_ACTIVITY)
    async def gaps(self, call: Call, site_id: SiteId, lock_id: LockId) -> GapsOut:
        """Show what is missing of a lock's entries."""
        async with call.db.read() as tx:
            found = await queries.gaps(tx, site_id, lock_id=lock_id, limit=GAPS_MAX)
        return GapsOut(
            items=[
                GapOut(
                    log_epoch=gap.log_epoch,
                    first=gap.first,
                    last=gap.last,
                    count=gap.count,
                    lost=gap.lost,
                )
                for gap in found
            ]
        )


def key_of(entry: EntryShown) -> tuple[Key, ...]:
    """Return what the cursor behind an entry says."""
    received_at, lock_id, log_epoch, sequence = entry.place
    return received_at.isoformat(), lock_id, log_epoch, sequence


def place_of(cursor: str | None) -> Place | None:
    """Return the entry behind which a page begins.

    Raises:
        BadCursor: No page of ours ends there.
    """
    key = decoded(cursor, str, str, int, int)
    if key is None:
        return None
    received_at, lock_id, log_epoch, sequence = str(key[0]), str(key[1]), int(key[2]), int(key[3])
    try:
        instant = datetime.fromisoformat(received_at).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadCursor from error
    if not (0 <= log_epoch <= NUMBER_MAX and 0 <= sequence <= NUMBER_MAX):
        raise BadCursor
    return instant, lock_id, log_epoch, sequence
