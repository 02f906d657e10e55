"""People in and out as a sheet."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.db.engine import Database
from controller.db.tables.people import people
from controller.db.tables.records import outbox
from controller.domain.access import Privilege
from controller.domain.ids import PersonId
from controller.domain.instants import from_seconds
from controller.domain.people import SitePerson
from controller.people import sheet
from tests.controller.people.ground import FOREIGN, NOW, OWN, Answer, Ground, served

IMPORT = f"/sites/{OWN}/people/import"
THREE = b"""name,email,subscribed\r
Pia,pia@example.org,yes\r
"Quinn, R.",,no\r
Rob,ROB@example.org,\r
"""


async def take(ground: Ground, data: bytes, *, dry_run: bool = False, by: str = "ada") -> Answer:
    """Send a sheet."""
    path = f"{IMPORT}?dry_run=true" if dry_run else IMPORT
    return await ground.call("POST", path, sheet=data, by=by)


async def test_a_sheet_adds_everybody_on_it(ground: Ground) -> None:
    """Each line is a person, as if added one by one; the audit record says how many."""
    answer = await take(ground, THREE)

    assert (answer.status, answer.body["added"], answer.body["seats_taken"]) == (200, 3, 1)
    listed = (await ground.call("GET", f"/sites/{OWN}/people")).body["items"]
    assert {(one["name"], one["email"], one["subscribed"]) for one in listed} == {
        ("Pia", "pia@example.org", True),
        ("Quinn, R.", None, False),
        ("Rob", "rob@example.org", False),
    }
    assert await ground.audited() == ["people_imported"]


async def test_a_dry_run_changes_nothing_and_lists_every_error_by_line(ground: Ground) -> None:
    """All that is wrong is told at once, with line and field, also the second error of a line."""
    data = (
        b"name,email,is_guest,expires_at\n"
        b"Pia,pia@example.org,no,\n"
        b",nowhere,no,\n"
        b"Gus,,yes,\n"
        b"Ray,pia@example.org,no,\n"
        b"Sal,,perhaps,\n"
        b"Tom,,no,tomorrow\n"
        b"Uma,,no\n"
        b"\xe2\x80\xaeevil,,no,\n"
    )

    answer = await take(ground, data, dry_run=True)

    assert answer.status == 200
    assert [(one["line"], one["field"]) for one in answer.body["errors"]] == [
        (3, "name"),
        (3, "email"),
        (4, "expires_at"),
        (5, "email"),
        (6, "is_guest"),
        (7, "expires_at"),
        (8, "line"),
        (9, "name"),
    ]
    assert (answer.body["added"], answer.body["errors_total"]) == (1, 8)
    assert await ground.count(people) == 0


async def test_one_broken_line_keeps_everybody_out(ground: Ground) -> None:
    """Without the dry run a sheet with an error is refused as a whole, by line."""
    answer = await take(ground, THREE + b"Ted,nowhere,no\n")

    assert (answer.status, answer.code) == (422, "sheet_refused")
    assert [(one["line"], one["field"]) for one in answer.facts["errors"]] == [(5, "email")]
    assert await ground.count(people) == 0
    assert await ground.audited() == ["request_refused"]


async def test_ten_megabytes_with_one_broken_line_name_the_line(ground: Ground) -> None:
    """A sheet as long as one may be is read to its end, and the one bad line is found."""
    name = "Pia" + " " * 1_000
    lines = [f"{name},,"] * 10_000
    lines[7_000] = f"{name},nowhere,"
    data = ("name,email,subscribed\n" + "\n".join(lines)).encode()
    assert 10_000_000 < len(data) <= 10 * 1024 * 1024

    answer = await take(ground, data)

    assert (answer.status, answer.code) == (422, "sheet_refused")
    assert [(one["line"], one["field"]) for one in answer.facts["errors"]] == [(7_002, "email")]
    assert await ground.count(people) == 0


async def test_more_than_ten_megabytes_are_not_read(ground: Ground) -> None:
    """A longer body is 413."""
    answer = await take(ground, b"name\n" + b"x" * (10 * 1024 * 1024))

    assert (answer.status, answer.code) == (413, "request_entity_too_large")


async def test_another_kind_of_body_is_refused(ground: Ground) -> None:
    """JSON is 415 here, and a sheet is 415 elsewhere."""
    json_here = await ground.call("POST", IMPORT, {"name": "Pia"})
    sheet_there = await ground.call("POST", f"/sites/{OWN}/people", sheet=THREE)

    assert (json_here.status, sheet_there.status) == (415, 415)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"first,last\nPia,P\n",
        b"name,name\nPia,P\n",
        b"email\npia@example.org\n",
        b'name\n"Pia\n',
        b"name\nP\x00a\n",
        b"name\n\xff\xfe\n",
        b"name\n" + b"x\n" * (sheet.LINES_MAX + 1),
    ],
)
async def test_what_is_no_sheet_of_ours_is_refused(ground: Ground, data: bytes) -> None:
    """A file that cannot be read line by line says why and adds nobody."""
    answer = await take(ground, data)

    assert (answer.status, answer.code, answer.facts["field"]) == (422, "invalid_sheet", "body")
    assert await ground.count(people) == 0


async def test_who_is_known_is_passed_over(ground: Ground) -> None:
    """The same sheet sent twice adds those with an address once; the case of letters is nothing."""
    await take(ground, b"name,email\nPia,pia@example.org\n")

    again = await take(ground, b"name,email\nPia,PIA@example.org\nRob,rob@example.org\n")

    assert (again.body["added"], again.body["known"]) == (1, 1)
    assert await ground.count(people) == 2


@pytest.mark.invariant("V12")
async def test_a_sheet_takes_no_seat_too_many(database: Database) -> None:
    """More subscribed lines than free seats: the lines too many are named, nobody is added."""
    async with served(database, users=3) as ground:
        await ground.person("Holder")
        data = b"name,subscribed\n" + b"".join(b"P%d,yes\n" % number for number in range(4))

        answer = await take(ground, data)

        assert (answer.status, answer.code) == (422, "sheet_refused")
        assert [(one["line"], one["field"]) for one in answer.facts["errors"]] == [
            (4, "subscribed"),
            (5, "subscribed"),
        ]
        assert await ground.count(people, site_id=OWN) == 1


async def test_an_import_needs_a_valid_subscription(ground: Ground) -> None:
    """After the end nobody comes in by sheet, and the dry run says so too."""
    ground.expire()

    for dry_run in (True, False):
        answer = await take(ground, THREE, dry_run=dry_run)
        assert (answer.status, answer.code) == (403, "no_valid_subscription")


async def test_privileges_by_sheet_need_the_right_over_doors(ground: Ground) -> None:
    """A line with a privilege is taken from an admin."""
    answer = await take(ground, b"name,privileges\nPia,office extended_opening\n")

    assert answer.body["added"] == 1
    (one,) = (await ground.call("GET", f"/sites/{OWN}/people")).body["items"]
    assert one["privileges"] == ["office", "extended_opening"]


async def test_an_export_is_an_import(ground: Ground) -> None:
    """What one site gives, another takes, with the same people on it; no line is a formula."""
    await take(ground, THREE + b"'=1+1,,no\n+49,,no\n")

    exported = (await ground.call("GET", f"/sites/{OWN}/people.csv")).body
    answer = await ground.call("POST", f"/sites/{FOREIGN}/people/import", sheet=exported, by="bob")

    assert (answer.body["added"], answer.body["errors_total"]) == (5, 0)
    assert all(
        not cell.startswith(("=", "+"))
        for row in csv.reader(io.StringIO(exported.decode()))
        for cell in row
    )
    again = (await ground.call("GET", f"/sites/{FOREIGN}/people.csv", by="bob")).body
    assert sorted(again.splitlines()) == sorted(exported.splitlines())


async def test_seats_running_out_is_said_once(database: Database) -> None:
    """From four fifths on the site is told, once for this limit and term, and shows it."""
    async with served(database, users=5) as ground:
        seats = f"/sites/{OWN}/seats"
        for number in range(3):
            await ground.person(f"P{number}")
        assert (await ground.call("GET", seats)).body == {
            "limit": 5,
            "used": 3,
            "free": 2,
            "running_out": False,
        }
        assert await ground.count(outbox, kind="seats.running_out") == 0

        for number in range(2):
            await ground.person(f"Q{number}")

        assert (await ground.call("GET", seats)).body["running_out"] is True
        assert await ground.count(outbox, kind="seats.running_out") == 1


@given(
    st.lists(
        st.builds(
            SitePerson,
            site_id=st.just(OWN),
            id=st.just(PersonId("1" * 32)),
            name=st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=100),
            email=st.none() | st.just("pia@example.org"),
            is_guest=st.just(value=False),
            subscribed_at=st.none() | st.just(NOW),
            starts_at=st.none() | st.integers(0, 2**31).map(from_seconds),
            expires_at=st.none() | st.integers(2**31 + 1, 2**32 - 1).map(from_seconds),
            privileges=st.integers(0, 7).map(Privilege),
            created_at=st.just(NOW),
            version=st.just(1),
        ),
        max_size=5,
    )
)
def test_any_person_survives_the_sheet(some: list[SitePerson]) -> None:
    """Whatever signs a name is made of, reading what was written gives it back."""
    found = sheet.read(sheet.write(some).encode())

    assert found.errors == ()
    assert [line.person.name for line in found.lines] == [person.name for person in some]
    assert [line.person.edit() for line in found.lines] == [
        {
            "name": person.name,
            "email": person.email,
            "is_guest": person.is_guest,
            "subscribed": person.subscribed_at is not None,
            "starts_at": person.starts_at,
            "expires_at": person.expires_at,
            "privileges": person.privileges,
        }
        for person in some
    ]


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    """Whatever is sent is a sheet or is refused."""
    try:
        found = sheet.read(data)
    except sheet.InvalidSheet:
        return

    assert len(found.lines) + len(found.errors) <= len(data)
