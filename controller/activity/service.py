"""Take in what locks have written down.

A lock is the only author of its entries, and (lock, log epoch, sequence) names each for ever. So a
batch may come any number of times, in any order, to any number of controllers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import structlog

from controller.activity import incidents, repository
from controller.activity.repository import Holder
from controller.db.engine import Session
from controller.domain.happenings import Happening
from controller.domain.ids import HubId, LockId, PersonId, SiteId
from controller.domain.instants import from_seconds, to_seconds
from gateway.protocol.messages import FIRST_INCIDENT, Batch, DenyReason, Entry, EntryKind

log = structlog.get_logger()

LAST_S: Final = to_seconds(datetime(9000, 1, 1, tzinfo=UTC))
"""Later than any calendar; a lock that says more has lost its clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A batch, and the hub in service that signed it."""

    site_id: SiteId
    hub_id: HubId
    batch: Batch


class Audience(Protocol):
    """Is told what is new; features above provide it."""

    async def note(self, tx: Session, happenings: Sequence[Happening], *, now: datetime) -> None:
        """Take what this transaction has written down for the first time."""
        ...


async def take_in(tx: Session, arrivals: Sequence[Arrival], *, now: datetime) -> list[Happening]:
    """Write the entries of some batches, and what they tell of incidents; return what is new.

    What is not for this hub to tell is dropped: entries of a lock that is not of its site and never
    was. Whose credential it was is looked up once and kept with the entry.

    Args:
        tx: The transaction; only after its commit may anything be acknowledged.
        arrivals: With 500 entries altogether at most.
        now: The calendar's instant.
    """
    told = [(arrival, entry) for arrival in arrivals for entry in arrival.batch.entries]
    if not told:
        return []
    site_ids = {arrival.site_id for arrival in arrivals}
    ours = await repository.locks_of(tx, site_ids, {entry.lock_id.hex() for _, entry in told})
    kept: list[tuple[Arrival, Entry]] = []
    foreign: list[tuple[Arrival, Entry]] = []
    for arrival, entry in told:
        is_ours = (arrival.site_id, LockId(entry.lock_id.hex())) in ours
        (kept if is_ours else foreign).append((arrival, entry))
    if foreign:
        hub_ids = sorted({arrival.hub_id for arrival, _ in foreign})
        log.warning("foreign_entries_dropped", entries=len(foreign), hub_ids=hub_ids)
    digests = {entry.credential_digest for _, entry in kept if entry.credential_digest}
    holders = await repository.holders(tx, site_ids, digests)
    new = await repository.add(
        tx,
        [
            _row(
                arrival, entry, holders.get((arrival.site_id, entry.credential_digest or b"")), now
            )
            for arrival, entry in kept
        ],
    )
    return [
        *(_happening(row) for row in new if row["kind"] < FIRST_INCIDENT),
        *await incidents.of_logs(tx, new, now=now),
        *await incidents.of_wrong_pins(tx, new, now=now),
    ]


def _happening(row: dict[str, Any]) -> Happening:
    reason = row["reason"]
    return Happening(
        site_id=row["site_id"],
        id=f"{row['lock_id']} {row['log_epoch']} {row['sequence']}",
        kind=EntryKind(row["kind"]).name.lower(),
        at=row["at"],
        lock_id=LockId(row["lock_id"]),
        hub_id=row["hub_id"],
        person_id=None if row["person_id"] is None else PersonId(row["person_id"]),
        reason=None if reason is None else DenyReason(reason).name.lower(),
        count=row["count"],
    )


def _row(arrival: Arrival, entry: Entry, holder: Holder | None, now: datetime) -> dict[str, Any]:
    command_id = entry.command_id
    return {
        "site_id": arrival.site_id,
        "lock_id": entry.lock_id.hex(),
        "log_epoch": entry.log_epoch,
        "sequence": entry.sequence,
        "hub_id": arrival.hub_id,
        "kind": int(entry.kind),
        "reason": None if entry.reason is None else int(entry.reason),
        "at": from_seconds(min(entry.at_s, LAST_S)),
        "clock_trusted": entry.clock_trusted and entry.at_s <= LAST_S,
        "hub_at": None if entry.hub_at_s is None else from_seconds(min(entry.hub_at_s, LAST_S)),
        "received_at": now,
        "digest": entry.credential_digest,
        "credential_id": holder.credential_id if holder else None,
        "person_id": holder.person_id if holder else None,
        "command_id": None if command_id is None else command_id.hex(),
        "count": entry.count,
        "credential_kind": None if entry.credential_kind is None else int(entry.credential_kind),
    }
