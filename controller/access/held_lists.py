"""What the offline lists say that locks hold, or may hold still, read back from their bytes."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from controller.db.engine import ReadSession
from controller.db.tables.hardware import offline_lists
from controller.domain.ids import LockId, SiteId
from controller.domain.instants import from_seconds
from gateway.protocol import sections
from gateway.protocol.messages import SectionKind
from gateway.protocol.sections import OfflineList, Times


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldGrant:
    """One way in which a list lets a credential open."""

    schedules: frozenset[Times] | None
    starts_at: datetime | None
    ends_at: datetime | None
    privileges: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldList:
    """A list that was compiled for a lock."""

    hash: bytes
    compiled_at: datetime
    grants: Mapping[bytes, frozenset[HeldGrant]]  # by credential digest


async def held_lists(
    tx: ReadSession, site_id: SiteId, lock_ids: Collection[LockId]
) -> dict[LockId, list[HeldList]]:
    """Return the lists that are kept of some locks, oldest first; a lock may have none."""
    found: defaultdict[LockId, list[HeldList]] = defaultdict(list)
    rows = await tx.execute(
        select(offline_lists)
        .where(offline_lists.c.site_id == site_id, offline_lists.c.lock_id.in_(lock_ids))
        .order_by(offline_lists.c.compiled_at, offline_lists.c.hash)
    )
    for row in rows:
        held = HeldList(hash=row.hash, compiled_at=row.compiled_at, grants=read_grants(row.data))
        found[LockId(row.lock_id)].append(held)
    return dict(found)


def read_grants(data: bytes) -> dict[bytes, frozenset[HeldGrant]]:
    """Return whom an offline list names and how each may open."""
    (item,) = sections.read(SectionKind.OFFLINE_LIST, data)
    assert isinstance(item, OfflineList), "the kind says so"
    grants: defaultdict[bytes, set[HeldGrant]] = defaultdict(set)
    for grant in item.grants:
        places = grant.schedules
        grants[grant.credential_digest].add(
            HeldGrant(
                schedules=None if places is None else frozenset(item.schedules[n] for n in places),
                starts_at=_instant(grant.starts_at_s),
                ends_at=_instant(grant.ends_at_s),
                privileges=grant.privileges or 0,
            )
        )
    return {digest: frozenset(several) for digest, several in grants.items()}


def _instant(seconds: int | None) -> datetime | None:
    return None if seconds is None else from_seconds(seconds)
