"""PINs, tag numbers and access documents: told once, and then nowhere."""

import json
import logging
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.controller.whole import Answer, Whole, sqlite_url, whole

CHOSEN: Final = "7391846205"  # long enough to be nowhere by chance
TAG: Final = "04c0ffee15600d2b81"
OTHER_TAG: Final = "04badc0de5eed5a1e7"
PHONE: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(100, 132)))


@dataclass(kw_only=True)
class Told:
    """What was told once, and every other answer."""

    pins: list[str] = field(default_factory=list)
    documents: list[bytes] = field(default_factory=list)
    others: list[bytes] = field(default_factory=list)


async def use(cloud: Whole) -> Told:
    """Make, choose and replace everything there is to hold, well and badly."""
    told = Told()
    site_id = await cloud.site()
    site = f"/sites/{site_id}"

    async def ask(method: str, path: str, body: object = None, **more: Any) -> Answer:
        answer = await cloud.ask(method, f"{site}{path}", body, by="owner", **more)
        assert answer.status < 500, answer.raw
        return answer

    def version(number: int) -> dict[str, dict[str, str]]:
        return {"headers": {"If-Match": f'"{number}"'}}

    now = (await ask("GET", "")).body["version"]
    await ask("PATCH", "", {"custom_pins": True}, **version(now))
    people = [
        (await ask("POST", "/people", {"name": name, "subscribed": True})).body["id"]
        for name in ("Pia", "Max")
    ]
    pia, max_ = (f"/people/{person}" for person in people)
    drawn = await ask("POST", f"{pia}/pins", {"kind": "generated"})
    chosen = await ask("POST", f"{max_}/pins", {"kind": "custom", "pin": CHOSEN})
    told.pins += [drawn.body["pin"], chosen.body["pin"]]
    tag = await ask("POST", f"{pia}/credentials", {"number": TAG})
    key = PHONE.public_key().public_bytes_raw().hex()
    phone = await ask("POST", f"{pia}/digital-keys", {"public_key": key})
    document = await ask("POST", f"{pia}/digital-keys/{phone.body['id']}/document")
    told.documents.append(b64decode(document.body["document"]))
    bad: list[Any] = [
        {"kind": "custom", "pin": CHOSEN},
        {"kind": "custom", "pin": CHOSEN + "1"},
        {"kind": "custom", "pin": int(CHOSEN)},
        {"kind": CHOSEN},
        {"pin": CHOSEN},
        {"kind": "custom", "pin": CHOSEN, "ends_at": "2200-01-01T00:00:00Z"},
    ]
    refused = [
        *[await ask("POST", f"{pia}/pins", body) for body in bad],
        await ask("POST", f"{pia}/pins", data=b'{"kind": "custom", "pin": "%b' % CHOSEN.encode()),
        await ask("POST", f"{max_}/credentials", {"number": TAG}),
        await ask("POST", f"{max_}/credentials", {"number": TAG + "00112233"}),
        await ask("POST", f"{max_}/credentials", {"number": TAG, "kind": "pin"}),
    ]
    assert all(answer.status >= 400 for answer in refused)
    where = f"{pia}/credentials/{tag.body['id']}/replacement"
    replaced = await ask("POST", where, {"number": OTHER_TAG}, **version(1))
    shown = [await ask("GET", f"{person}/credentials") for person in (pia, max_)]
    told.others += [one.raw for one in (tag, phone, *refused, replaced, *shown)]
    return told


def spellings(told: Told) -> Iterator[re.Pattern[bytes]]:
    """Return all that is searched for."""
    for pin in (told.pins[1], TAG, OTHER_TAG):
        yield re.compile(re.escape(pin.encode()), re.IGNORECASE)
    for raw in (TAG, OTHER_TAG):
        yield re.compile(re.escape(bytes.fromhex(raw)))
    # Six digits are part of many an id and many an instant, so they are searched for by themselves.
    yield re.compile(rb"(?<![0-9a-f.:-])%b(?![0-9a-f])" % told.pins[0].encode())
    for document in told.documents:
        yield re.compile(re.escape(document[-64:]))  # the signature
        yield re.compile(re.escape(json.dumps(document[-64:].hex()).encode()[1:-1]))


def files(folder: Path) -> dict[str, bytes]:
    """Return the files of the database, the log of its last writes among them."""
    return {path.name: path.read_bytes() for path in folder.glob("doorward.sqlite*")}


@pytest.mark.invariant("L7")
async def test_what_is_told_once_is_nowhere_afterwards(
    migrated_sqlite: Path, tmp_path: Path, caplog: Any, capsys: Any
) -> None:
    """Neither the files of the database, nor any log line of any library, nor another answer."""
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="sqlalchemy"):
        async with whole(sqlite_url(migrated_sqlite, tmp_path), tmp_path) as cloud:
            told = await use(cloud)
            on_disk = files(tmp_path)
    printed = capsys.readouterr()
    places = on_disk | {
        "log": "\n".join(record.getMessage() for record in caplog.records).encode(),
        "out": printed.out.encode(),
        "err": printed.err.encode(),
        "answers": b"\n".join(told.others),
    }

    found = [
        (name, pattern.pattern)
        for name, content in places.items()
        for pattern in spellings(told)
        if pattern.search(content)
    ]

    assert found == []
    assert b"request_answered" in places["out"]
    assert b"INSERT INTO credentials" in places["log"]
    assert any(b"pin_made" in content for content in on_disk.values())
