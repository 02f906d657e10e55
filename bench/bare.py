"""What the machine can do with nothing of ours in the way: the same rows by the stdlib's sqlite3.

The statements are those that the services end up sending, on the same tables with the same indexes
and durability, without SQLAlchemy, threads, event loop, rules or HTTP.
"""

import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from controller.db.migrate import back_up

NOW: Final = "2026-03-01 12:00:00.000000"
FACTS: Final = '{"kind": "plan", "plan": "pro", "users": 25, "term_days": 1, "rate": 200}' * 2
SEGMENTS: Final = "[[2592000, 200]]"
PREPARE: Final = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
"""
READ_SITE: Final = """
SELECT * FROM subscriptions JOIN sites ON sites.id = subscriptions.site_id WHERE site_id = ?
"""
READ_MORE: Final = """
SELECT feature, ends_at FROM add_ons WHERE site_id = ?
UNION ALL SELECT component, ends_at FROM seat_grants WHERE site_id = ?
"""
READ_VOUCHER: Final = "SELECT * FROM vouchers WHERE digest = ?"
SPEND: Final = """
UPDATE vouchers SET redeemed_at = ?, redeemed_site_id = ? WHERE id = ? AND redeemed_at IS NULL
"""
CLAIM: Final = """
UPDATE subscriptions SET started_at = ?, ends_at = ?, segments = ?, reminder_at = ?,
version = version + 1 WHERE site_id = ? RETURNING version
"""
HISTORY: Final = """
INSERT INTO subscription_history (site_id, number, kind, at, actor_name, facts)
VALUES (?, ?, 'plan_redeemed', ?, 'bare', ?)
"""
LEDGER: Final = "INSERT INTO value_ledger VALUES (?, ?, 1, 1, 0)"
AUDIT: Final = """
INSERT INTO audit_records (site_id, id, at, actor_name, action, object_kind, object_id, facts)
VALUES (?, ?, ?, 'bare', 'voucher_redeemed', 'voucher', ?, ?)
"""
OUTBOX: Final = """
INSERT INTO outbox (site_id, kind, once_key, facts, created_at)
VALUES (?, 'voucher.redeemed', ?, ?, ?)
"""
LEASE: Final = """
UPDATE hubs SET lease_wanted = lease_wanted + 1, lease_signed_at = ? WHERE site_id = ?
"""
EXPIRE: Final = """
UPDATE subscriptions SET expired = 1, reminder_at = NULL, version = version + 1 WHERE site_id = ?
"""
ENTRY: Final = """
INSERT INTO entries VALUES (?, ?, 1, ?, ?, 1, NULL, ?, 1, ?, ?, ?, ?, ?, NULL, NULL, 1)
ON CONFLICT DO NOTHING
"""


def redeems(file: Path, site_ids: Sequence[str], *, count: int) -> float:
    """Return how many vouchers a second can be spent, one transaction each, on a copy."""
    with _copy(file) as db:
        vouchers = db.execute("SELECT id, digest FROM vouchers LIMIT ?", (count,)).fetchall()
        started = time.perf_counter()
        for number, voucher in enumerate(vouchers):
            _redeem(db, site_ids[number % len(site_ids)], *voucher)
        return count / (time.perf_counter() - started)


def ends(file: Path, site_ids: Sequence[str], *, batch: int) -> float:
    """Return in how many seconds the ends of these sites can be written down, on a copy."""
    with _copy(file) as db:
        started = time.perf_counter()
        for first in range(0, len(site_ids), batch):
            some = site_ids[first : first + batch]
            db.execute("BEGIN IMMEDIATE")
            db.executemany(EXPIRE, [(site,) for site in some])
            db.executemany(HISTORY, [(site, 9, NOW, '{"at": "2026-03-01"}') for site in some])
            db.executemany(LEDGER, [(site, 9) for site in some])
            db.executemany(AUDIT, [(site, uuid.uuid4().hex, NOW, site, "{}") for site in some])
            db.executemany(OUTBOX, [(site, f"ended {site} 9", "{}", NOW) for site in some])
            db.executemany(LEASE, [(NOW, site) for site in some])
            db.execute("COMMIT")
        return time.perf_counter() - started


def entries(file: Path, site_id: str, *, batch: int, batches: int) -> float:
    """Return how many entries a second can be stored, so many in a transaction, on a copy."""
    lock, hub, person = (uuid.uuid4().hex for _ in range(3))
    with _copy(file) as db:
        started = time.perf_counter()
        for number in range(batches):
            db.execute("BEGIN IMMEDIATE")
            sequences = range(number * batch, number * batch + batch)
            facts = (NOW, NOW, NOW, hub.encode()[:16], person, person)
            db.executemany(ENTRY, [(site_id, lock, each, hub, *facts) for each in sequences])
            db.execute("COMMIT")
        return batches * batch / (time.perf_counter() - started)


def _redeem(db: sqlite3.Connection, site_id: str, voucher_id: str, digest: bytes) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.execute(READ_SITE, (site_id,)).fetchone()
    db.execute(READ_MORE, (site_id, site_id)).fetchall()
    db.execute(READ_VOUCHER, (digest,)).fetchone()
    db.execute(SPEND, (NOW, site_id, voucher_id))
    claimed = (NOW, NOW, SEGMENTS, NOW, site_id)
    (number,) = db.execute(CLAIM, claimed).fetchone()
    db.execute(HISTORY, (site_id, number, NOW, FACTS))
    db.execute(LEDGER, (site_id, number))
    db.execute(AUDIT, (site_id, uuid.uuid4().hex, NOW, voucher_id, FACTS))
    db.execute(OUTBOX, (site_id, None, FACTS, NOW))
    db.execute(LEASE, (NOW, site_id))
    db.execute("COMMIT")


@contextmanager
def _copy(file: Path) -> Iterator[sqlite3.Connection]:
    copy = file.with_name("bare.sqlite")
    back_up(file, copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as db:
        db.executescript(PREPARE)
        yield db
    copy.unlink()
