"""Write incidents down, once each, and note when they are over and who has seen them.

What makes an incident that one and no other is its key: the line of a log, or the outage of a
device. Telling it again changes nothing, whoever else is writing.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from controller.db.engine import Session
from controller.db.tables.activity import entries, incidents
from controller.domain.happenings import Happening
from controller.domain.ids import HubId, IncidentId, LockId, SiteId
from controller.domain.incidents import (
    ENDED_BY,
    GUESSES_WITHIN,
    LASTING,
    IncidentKind,
    Line,
    Told,
    guessed_at,
    told,
)
from controller.domain.roles import Actor
from gateway.protocol.messages import CredentialKind, DenyReason, EntryKind

LINES_MAX: Final = 1_000  # of one log and kind that are looked at together: a lock keeps as many
TRIES_MAX: Final = 1_000
LATE: Final = timedelta(hours=1)  # a lock's clock may be ahead of the cloud's by this much
_NAMES: Final = {kind: kind.name.lower() for kind in EntryKind}
_KINDS: Final = {name: int(kind) for kind, name in _NAMES.items()}
_DENIED: Final = (EntryKind.DENIED_BY_HUB, EntryKind.DENIED_OFFLINE)

LogName = tuple[str, str, int]
"""Site, lock and log epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIncident:
    """An incident that may have been written down already."""

    site_id: SiteId
    kind: IncidentKind
    once_key: str  # of its site; what makes it this one and no other
    at: datetime
    over_at: datetime | None = None
    lock_id: LockId | None = None
    hub_id: HubId | None = None
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Return its id, which follows from its key."""
        return sha256(f"{self.site_id} {self.once_key}".encode()).hexdigest()[:32]


async def begin(tx: Session, new: Sequence[NewIncident], *, now: datetime) -> list[Happening]:
    """Write incidents that are not there yet, and return those.

    Args:
        tx: The transaction.
        new: In any order.
        now: The calendar's instant.
    """
    if not new:
        return []
    insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    rows = sorted(
        (_row(one, now) for one in new), key=lambda row: (row["site_id"], row["once_key"])
    )
    written = await tx.execute(
        insert(incidents).on_conflict_do_nothing().returning(incidents.c.id), rows
    )
    ids = set(written.scalars())
    return [_happening(one) for one in new if one.id in ids]


async def end(tx: Session, over: Mapping[tuple[SiteId, str], datetime]) -> None:
    """Note when incidents were over; an earlier end that comes late counts.

    Args:
        tx: The transaction.
        over: The instant, by site and id.
    """
    if not over:
        return
    one = update(incidents).where(
        incidents.c.site_id == bindparam("its_site"), incidents.c.id == bindparam("its_id")
    )
    is_wrong = incidents.c.over_at.is_(None) | (incidents.c.over_at > bindparam("ends_at"))
    await tx.execute(
        one.where(is_wrong).values(over_at=bindparam("ends_at")),
        [
            {"its_site": site_id, "its_id": incident_id, "ends_at": at}
            for (site_id, incident_id), at in sorted(over.items())
        ],
    )


async def acknowledge(
    tx: Session, actor: Actor, site_id: SiteId, incident_id: IncidentId, *, now: datetime
) -> bool:
    """Note that somebody has seen an incident; return whether nobody had before."""
    seen = await tx.execute(
        update(incidents)
        .where(
            incidents.c.site_id == site_id,
            incidents.c.id == incident_id,
            incidents.c.acknowledged_at.is_(None),
        )
        .values(acknowledged_at=now, acknowledged_by=actor.account_id)
    )
    return seen.rowcount == 1


async def of_logs(
    tx: Session, written: Sequence[Mapping[str, Any]], *, now: datetime
) -> list[Happening]:
    """Write the incidents that new lines of logs tell of or end, and return the new ones.

    Args:
        tx: The transaction that has written the lines.
        written: The new rows of ``entries``.
        now: The calendar's instant.
    """
    firsts: dict[tuple[LogName, IncidentKind], int] = {}
    hubs: dict[tuple[str, str], HubId] = {}
    for row in written:
        name = _NAMES[EntryKind(row["kind"])]
        log_name = row["site_id"], row["lock_id"], row["log_epoch"]
        hubs[row["site_id"], row["lock_id"]] = HubId(row["hub_id"])
        for kind, enders in ENDED_BY.items():
            if name == kind or name in enders:
                key = log_name, kind
                firsts[key] = min(row["sequence"], firsts.get(key, row["sequence"]))
    new: list[NewIncident] = []
    for (log_name, kind), first in sorted(firsts.items()):
        lines = await _lines(tx, log_name, kind, first=first)
        hub_id = hubs[log_name[:2]]
        new += [_logged(kind, log_name, each, hub_id) for each in told(kind, lines)]
    happened = await begin(tx, new, now=now)
    over = {(one.site_id, one.id): one.over_at for one in new if one.over_at is not None}
    await end(tx, over)
    return happened


async def of_wrong_pins(
    tx: Session, written: Sequence[Mapping[str, Any]], *, now: datetime
) -> list[Happening]:
    """Write down that somebody tries PINs at a site, where new entries make them too many.

    Args:
        tx: The transaction that has written the entries.
        written: The new rows of ``entries``.
        now: The calendar's instant.
    """
    tried: defaultdict[SiteId, list[datetime]] = defaultdict(list)
    for row in written:
        if _is_wrong_pin(row):
            tried[row["site_id"]].append(row["at"])
    new: list[NewIncident] = []
    for site_id, instants in sorted(tried.items()):
        first, last = min(instants) - GUESSES_WITHIN, max(instants) + GUESSES_WITHIN
        all_tries = await _tries(tx, site_id, first=first, last=last)
        known = await _guessed(tx, site_id, first=first, last=last)
        new += [
            NewIncident(
                site_id=site_id,
                kind=IncidentKind.PIN_GUESSING,
                once_key=f"pin_guessing {int(at.timestamp() // GUESSES_WITHIN.total_seconds())}",
                at=at,
                over_at=at,
                facts={"count": len([each for each in all_tries if at - GUESSES_WITHIN < each])},
            )
            for at in guessed_at(all_tries)
            if not any(abs(at - other) < GUESSES_WITHIN for other in known)
        ]
    return await begin(tx, new, now=now)


def _is_wrong_pin(row: Mapping[str, Any]) -> bool:
    return (
        row["credential_kind"] == CredentialKind.PIN
        and row["kind"] in _DENIED
        and row["reason"] == DenyReason.UNKNOWN_CREDENTIAL
    )


async def _lines(tx: Session, log_name: LogName, kind: IncidentKind, *, first: int) -> list[Line]:
    """Return the lines of a log about a kind, from the last of the kind before ``first`` on."""
    site_id, lock_id, log_epoch = log_name
    mine = (
        entries.c.site_id == site_id,
        entries.c.lock_id == lock_id,
        entries.c.log_epoch == log_epoch,
    )
    before = select(func.max(entries.c.sequence)).where(
        *mine, entries.c.kind == _KINDS[kind], entries.c.sequence < first
    )
    start = (await tx.execute(before)).scalar_one()
    found = await tx.execute(
        select(entries.c.sequence, entries.c.kind, entries.c.at, entries.c["count"].label("told"))
        .where(
            *mine,
            entries.c.kind.in_({_KINDS[name] for name in {kind, *ENDED_BY[kind]}}),
            entries.c.sequence >= (first if start is None else start),
        )
        .order_by(entries.c.sequence)
        .limit(LINES_MAX)
    )
    return [
        Line(sequence=row.sequence, kind=_NAMES[EntryKind(row.kind)], at=row.at, count=row.told)
        for row in found
    ]


def _logged(kind: IncidentKind, log_name: LogName, each: Told, hub_id: HubId) -> NewIncident:
    site_id, lock_id, log_epoch = log_name
    facts = {"log_epoch": log_epoch, "sequence": each.line.sequence}
    if each.line.count is not None:
        facts["count"] = each.line.count
    return NewIncident(
        site_id=SiteId(site_id),
        kind=kind,
        once_key=f"{kind} {lock_id} {log_epoch} {each.line.sequence}",
        at=each.line.at,
        over_at=each.over_at,
        lock_id=LockId(lock_id),
        hub_id=hub_id,
        facts=facts,
    )


async def _tries(
    tx: Session, site_id: SiteId, *, first: datetime, last: datetime
) -> Collection[datetime]:
    found = await tx.execute(
        select(entries.c.at)
        .where(
            entries.c.site_id == site_id,
            entries.c.received_at > first - LATE,
            entries.c.at > first,
            entries.c.at < last,
            entries.c.credential_kind == int(CredentialKind.PIN),
            entries.c.kind.in_(_DENIED),
            entries.c.reason == int(DenyReason.UNKNOWN_CREDENTIAL),
        )
        .order_by(entries.c.at.desc())
        .limit(TRIES_MAX)
    )
    return list(found.scalars())


async def _guessed(
    tx: Session, site_id: SiteId, *, first: datetime, last: datetime
) -> Collection[datetime]:
    found = await tx.execute(
        select(incidents.c.at).where(
            incidents.c.site_id == site_id,
            incidents.c.kind == IncidentKind.PIN_GUESSING,
            incidents.c.at > first - GUESSES_WITHIN,
            incidents.c.at < last + GUESSES_WITHIN,
        )
    )
    return list(found.scalars())


def _row(one: NewIncident, now: datetime) -> dict[str, Any]:
    assert one.over_at is not None or one.kind in LASTING, "what does not last is over at once"
    return {
        "site_id": one.site_id,
        "id": one.id,
        "kind": one.kind,
        "lock_id": one.lock_id,
        "hub_id": one.hub_id,
        "at": one.at,
        "received_at": now,
        "over_at": one.over_at,
        "facts": dict(one.facts),
        "once_key": one.once_key,
    }


def _happening(one: NewIncident) -> Happening:
    count = one.facts.get("count")
    return Happening(
        site_id=one.site_id,
        id=one.id,
        kind=one.kind,
        at=one.at,
        lock_id=one.lock_id,
        hub_id=one.hub_id,
        count=count if isinstance(count, int) else None,
    )
