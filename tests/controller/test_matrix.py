"""Who may do what: every route, for everybody, at the own, a foreign and an absent site.

``TABLE`` is written by hand, apart from the rules in controller/domain/roles.py; a route that is
missing there fails the first test. What stands at the sites is made in scene.py.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.controller.scene import Scene, laid, parts, shown
from tests.controller.whole import ABSENT, Answer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("matrix")]

# Method, path, who may, and the scopes with which the owner's or, for vouchers, the supplier's
# token may (* all of them, - none). Who may is * for everybody who has signed in, or some of:
#
#   O operator   S supplier   X a stranger to the site
#   I installer of a site that is not handed over yet
#   W owner   A admin   P super user   U user, who is a person of the site
#   C holder of a custom role with site:read, hardware:read, doors:manage, lock:open, lock:office
#   G installer with a grant: site:read, hardware:read, hardware:manage
#   E installer whose grant has ended: never written, at a site he is what X is
TABLE: Final = """
GET    /me                                                  *         *
GET    /catalogue                                           *         *
GET    /permissions                                         *         *
GET    /sessions                                            *         -
DELETE /sessions/{session_id}                               *         -
POST   /me/password                                         *         -
GET    /tokens                                              *         -
POST   /tokens                                              *         -
DELETE /tokens/{token_id}                                   *         -
GET    /accounts                                            O         -
POST   /accounts                                            O         -
POST   /accounts/{account_id}/disable                       O         -
POST   /accounts/{account_id}/enable                        O         -
GET    /sites                                               *         read,sites
POST   /sites                                               I         -
GET    /voucher-batches                                     S         read,vouchers
POST   /voucher-batches                                     S         vouchers
GET    /voucher-batches/{batch_id}                          S         read,vouchers
GET    /voucher-batches/{batch_id}/vouchers                 S         read,vouchers
GET    /voucher-batches/{batch_id}/vouchers.csv             S         read,vouchers
POST   /voucher-batches/{batch_id}/void                     S         vouchers
POST   /vouchers/{voucher_id}/void                          S         vouchers
GET    /sites/{site_id}                                     OIWAPUCG  read,sites
PATCH  /sites/{site_id}                                     IWA       sites
POST   /sites/{site_id}/hand-over                           IW        -
GET    /sites/{site_id}/roles                               WA        -
PUT    /sites/{site_id}/roles/{account_id}                  WA        -
DELETE /sites/{site_id}/roles/{account_id}                  WA        -
POST   /sites/{site_id}/transfer                            W         -
GET    /sites/{site_id}/custom-roles                        WA        -
POST   /sites/{site_id}/custom-roles                        WA        -
PATCH  /sites/{site_id}/custom-roles/{role_id}              WA        -
DELETE /sites/{site_id}/custom-roles/{role_id}              WA        -
GET    /sites/{site_id}/installer-grants                    WA        -
POST   /sites/{site_id}/installer-grants                    WA        -
DELETE /sites/{site_id}/installer-grants/{account_id}       WA        -
GET    /sites/{site_id}/hardware-list                       OIWAPCG   read,hardware
POST   /sites/{site_id}/hardware-list/confirmation          W         -
GET    /sites/{site_id}/subscription                        OIWAP     read,subscription
GET    /sites/{site_id}/subscription/history                OIWAP     read,subscription
POST   /sites/{site_id}/subscription/preview                WA        subscription
POST   /sites/{site_id}/redemptions                         WA        subscription
POST   /sites/{site_id}/subscription/cancel                 O         -
GET    /sites/{site_id}/hubs                                OIWAPCG   read,hardware
POST   /sites/{site_id}/hubs                                IWAG      hardware
GET    /sites/{site_id}/hubs/{hub_id}                       OIWAPCG   read,hardware
PATCH  /sites/{site_id}/hubs/{hub_id}                       IWAG      hardware
POST   /sites/{site_id}/hubs/{hub_id}/replacement           IWAG      hardware
DELETE /sites/{site_id}/hubs/{hub_id}                       IWAG      hardware
GET    /sites/{site_id}/hubs/{hub_id}/repeaters             OIWAPCG   read,hardware
POST   /sites/{site_id}/hubs/{hub_id}/repeaters             IWAG      hardware
PATCH  /sites/{site_id}/hubs/{hub_id}/repeaters/{repeater_id} IWAG      hardware
DELETE /sites/{site_id}/hubs/{hub_id}/repeaters/{repeater_id} IWAG      hardware
POST   /sites/{site_id}/hubs/{hub_id}/locks                 IWAG      hardware
GET    /sites/{site_id}/locks                               OIWAPCG   read,hardware
GET    /sites/{site_id}/locks/{lock_id}                     OIWAPCG   read,hardware
PATCH  /sites/{site_id}/locks/{lock_id}                     IWAG      hardware
DELETE /sites/{site_id}/locks/{lock_id}                     IWAG      hardware
POST   /sites/{site_id}/locks/{lock_id}/open                WAPC      open
POST   /sites/{site_id}/locks/{lock_id}/start-office        WAC       open
POST   /sites/{site_id}/locks/{lock_id}/end-office          WAC       open
POST   /sites/{site_id}/locks/{lock_id}/clear-keypad        WAC       access
POST   /sites/{site_id}/locks/{lock_id}/free-locker         WAP       access
GET    /sites/{site_id}/commands/{command_id}               WAPUC     access,open
GET    /sites/{site_id}/people                              WAP       read,people
POST   /sites/{site_id}/people                              WAP       people
POST   /sites/{site_id}/people/import                       WAP       people
GET    /sites/{site_id}/people.csv                          WAP       read,people
GET    /sites/{site_id}/seats                               WAP       read,people
GET    /sites/{site_id}/people/{person_id}                  WAP       read,people
PATCH  /sites/{site_id}/people/{person_id}                  WAP       people
DELETE /sites/{site_id}/people/{person_id}                  WAP       people
POST   /sites/{site_id}/people/{person_id}/invitation       WAP       people
DELETE /sites/{site_id}/people/{person_id}/invitation       WAP       people
GET    /sites/{site_id}/people/{person_id}/credentials      WAP       read,people
POST   /sites/{site_id}/people/{person_id}/credentials      WAP       access
GET    /sites/{site_id}/people/{person_id}/credentials/{credential_id} WAP       read,people
PATCH  /sites/{site_id}/people/{person_id}/credentials/{credential_id} WAP       access
DELETE /sites/{site_id}/people/{person_id}/credentials/{credential_id} WAP       access
GET    /sites/{site_id}/people/{person_id}/credentials/{credential_id}/offline WAP       read,access
PUT    /sites/{site_id}/people/{person_id}/credentials/{credential_id}/offline WA        access
DELETE /sites/{site_id}/people/{person_id}/credentials/{credential_id}/offline WA        access
POST   /sites/{site_id}/people/{person_id}/credentials/{credential_id}/replacement WAP       access
GET    /sites/{site_id}/people/{person_id}/locks/{lock_id}/why WAP       read,access
GET    /sites/{site_id}/people/{person_id}/access           WAP       read,access
POST   /sites/{site_id}/people/{person_id}/digital-keys     WAP       access
POST   /sites/{site_id}/people/{person_id}/digital-keys/{credential_id}/document WAP       access
POST   /sites/{site_id}/people/{person_id}/pins             WAP       access
GET    /sites/{site_id}/locks/{lock_id}/offline-list        WAP       read,access
GET    /sites/{site_id}/revocations                         WAP       read,access
GET    /sites/{site_id}/revocations/{credential_id}         WAP       read,access
GET    /sites/{site_id}/access-groups                       WAP       read,access
POST   /sites/{site_id}/access-groups                       WAP       access
GET    /sites/{site_id}/access-groups/{group_id}            WAP       read,access
PATCH  /sites/{site_id}/access-groups/{group_id}            WAP       access
DELETE /sites/{site_id}/access-groups/{group_id}            WAP       access
GET    /sites/{site_id}/access-groups/{group_id}/people     WAP       read,access
PUT    /sites/{site_id}/access-groups/{group_id}/people/{person_id} WAP       access
DELETE /sites/{site_id}/access-groups/{group_id}/people/{person_id} WAP       access
PATCH  /sites/{site_id}/access-groups/{group_id}/people     WAP       access
GET    /sites/{site_id}/access-groups/{group_id}/locks      WAP       read,access
PUT    /sites/{site_id}/access-groups/{group_id}/locks/{lock_id} WAP       access
DELETE /sites/{site_id}/access-groups/{group_id}/locks/{lock_id} WAP       access
PATCH  /sites/{site_id}/access-groups/{group_id}/locks      WAP       access
GET    /sites/{site_id}/schedules                           WAP       read,access
POST   /sites/{site_id}/schedules                           WAP       access
GET    /sites/{site_id}/schedules/{schedule_id}             WAP       read,access
PATCH  /sites/{site_id}/schedules/{schedule_id}             WAP       access
DELETE /sites/{site_id}/schedules/{schedule_id}             WAP       access
GET    /sites/{site_id}/entries                             WAP       read
GET    /sites/{site_id}/locks/{lock_id}/entry-gaps          WAP       read
GET    /sites/{site_id}/locks/{lock_id}/access              WAP       read,access
POST   /sites/{site_id}/locks/{lock_id}/enrolments          WAP       access
GET    /sites/{site_id}/locks/{lock_id}/enrolments/{enrolment_id} WAP       read,access
GET    /sites/{site_id}/lockers                             WAP       read,access
POST   /sites/{site_id}/lockers                             WAP       access
GET    /sites/{site_id}/lockers/{locker_id}                 WAP       read,access
PATCH  /sites/{site_id}/lockers/{locker_id}                 WAP       access
DELETE /sites/{site_id}/lockers/{locker_id}                 WAP       access
GET    /sites/{site_id}/lockers/{locker_id}/people          WAP       read,access
PUT    /sites/{site_id}/lockers/{locker_id}/people/{person_id} WAP       access
DELETE /sites/{site_id}/lockers/{locker_id}/people/{person_id} WAP       access
GET    /sites/{site_id}/pods                                WAP       read,access
POST   /sites/{site_id}/pods                                WAP       access
GET    /sites/{site_id}/pods/{pod_id}                       WAP       read,access
PATCH  /sites/{site_id}/pods/{pod_id}                       WAP       access
DELETE /sites/{site_id}/pods/{pod_id}                       WAP       access
POST   /sites/{site_id}/pods/{pod_id}/clean                 WAP       access
GET    /sites/{site_id}/pods/{pod_id}/people                WAP       read,access
PUT    /sites/{site_id}/pods/{pod_id}/members/{person_id}   WAP       access
PUT    /sites/{site_id}/pods/{pod_id}/guests/{person_id}    WAP       access
DELETE /sites/{site_id}/pods/{pod_id}/people/{person_id}    WAP       access
GET    /sites/{site_id}/pods/{pod_id}/locks                 WAP       read,access
PUT    /sites/{site_id}/pods/{pod_id}/locks/{lock_id}       WAP       access
DELETE /sites/{site_id}/pods/{pod_id}/locks/{lock_id}       WAP       access
GET    /sites/{site_id}/own/pods                            WAPU      people
POST   /sites/{site_id}/own/pods/{pod_id}/guests            WAPU      people
DELETE /sites/{site_id}/own/pods/{pod_id}/guests/{person_id} WAPU      people
GET    /sites/{site_id}/notification-rules                  WA        sites
POST   /sites/{site_id}/notification-rules                  WA        sites
GET    /sites/{site_id}/notification-rules/{rule_id}        WA        sites
PATCH  /sites/{site_id}/notification-rules/{rule_id}        WA        sites
DELETE /sites/{site_id}/notification-rules/{rule_id}        WA        sites
GET    /sites/{site_id}/events                              WAP       read
GET    /sites/{site_id}/activity-log                        WA        read
GET    /sites/{site_id}/incidents                           WAP       read
POST   /sites/{site_id}/incidents/{incident_id}/acknowledge WAP       read
GET    /sites/{site_id}/holidays                            WAP       read,access
POST   /sites/{site_id}/holidays                            WAP       access
GET    /sites/{site_id}/holidays/{holiday_id}               WAP       read,access
PATCH  /sites/{site_id}/holidays/{holiday_id}               WAP       access
DELETE /sites/{site_id}/holidays/{holiday_id}               WAP       access
GET    /sites/{site_id}/own                                 WAPU      read
GET    /sites/{site_id}/own/entries                         WAPU      read
POST   /sites/{site_id}/own/credentials/{credential_id}/block WAPU      -
POST   /sites/{site_id}/own/digital-keys                    WAPU      -
POST   /sites/{site_id}/own/digital-keys/{credential_id}/document WAPU      -
POST   /sites/{site_id}/own/pin                             WAPU      -
POST   /sites/{site_id}/own/locks/{lock_id}/open            WAPU      open
"""
WHO: Final = {
    "O": "operator",
    "S": "supplier",
    "I": "installer",
    "W": "owner",
    "A": "admin",
    "P": "super_user",
    "U": "user",
    "C": "keeper",
    "G": "helper",
    "E": "former_helper",
    "X": "stranger",
}
SCOPES: Final = {
    "read",
    "subscription",
    "people",
    "access",
    "hardware",
    "open",
    "vouchers",
    "sites",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One route."""

    method: str
    path: str
    who: str
    scopes: frozenset[str]

    @property
    def name(self) -> str:
        """Return method and path."""
        return f"{self.method} {self.path}"

    def lets(self, who: str) -> bool:
        """Return whether the table lets somebody in."""
        is_installer = who in "GE" and not self.is_of_a_site
        letter = "I" if is_installer else {"E": "X"}.get(who, who)
        return self.who == "*" or letter in self.who

    @property
    def is_of_a_site(self) -> bool:
        """Return whether its path names a site."""
        return "{site_id}" in self.path


def _row(line: str) -> Row:
    method, path, who, scopes = line.split()
    named = {"*": SCOPES, "-": set()}.get(scopes, set(scopes.split(",")))
    return Row(method, path, who, frozenset(named))


ROWS: Final = [_row(line) for line in TABLE.strip().splitlines()]
SITE_ROWS: Final = [row for row in ROWS if row.is_of_a_site]
OPEN: Final = {"POST /sessions", "POST /invitations/accept"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    """The whole cloud with its sites, for all tests of this file."""
    async with laid(migrated_sqlite, tmp_path_factory.mktemp("cloud")) as made:
        yield made


def is_absent_site(answer: Answer) -> bool:
    """Whether the answer says that there is no such site for the asker."""
    return answer.status == 404 and answer.body.get("facts") == {"object": "site"}


def lets_in(answer: Answer) -> bool:
    """Whether the asker got past the question who may."""
    refused = answer.status in {401, 403} and answer.code != "sign_in_refused"
    return not refused and not is_absent_site(answer)


async def test_every_route_is_in_the_table(scene: Scene) -> None:
    """What the document names and what the table names are the same."""
    document = (await scene.cloud.ask("GET", "/openapi.json")).body
    documented = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, methods in document["paths"].items()
        for method in methods
        if method in {"get", "post", "put", "patch", "delete"}
    }

    assert documented == {row.name for row in ROWS} | OPEN


async def test_something_of_each_kind_stands_at_the_neighbours(scene: Scene) -> None:
    """Whatever a path names has an id there that is somebody's, or nothing would be foreign."""
    assert {part for row in ROWS for part in parts(row.path)} <= set(scene.foreign_ids)


@pytest.mark.parametrize("who", WHO)
async def test_everybody_may_what_the_table_says_and_nothing_else(scene: Scene, who: str) -> None:
    """Every route lets in exactly those whom the table names, each at the own site."""
    wrong = []
    for row in ROWS:
        answer = await scene.ask(row.name, WHO[who], {"site_id": scene.site_of(who)})
        # Whoever may look at the subscription of a site that waits is told what it waits for.
        waits = answer.status == 409 and answer.code == "site_not_released"
        if lets_in(answer) != (row.lets(who) or waits) or answer.status >= 500:
            wrong.append((row.name, answer.status, answer.body))

    assert wrong == []


async def test_nobody_is_let_in_without_signing_in(scene: Scene) -> None:
    """Every route of the table asks who is there, and tells nothing else."""
    answers = {row.name: shown(await scene.ask(row.name, "nobody")) for row in ROWS}

    assert {status for status, _, _ in answers.values()} == {401}
    assert len({body for _, body, _ in answers.values()}) == 1


@pytest.mark.invariant("T1")
@pytest.mark.parametrize("who", [who for who in WHO if who != "O"])  # an operator sees all sites
async def test_a_foreign_site_is_exactly_like_an_absent_one(scene: Scene, who: str) -> None:
    """Status, bytes and headers tell nobody whether a site exists that is not the own one."""
    for row in SITE_ROWS:
        there = await scene.ask(row.name, WHO[who], scene.foreign_ids)
        nowhere = await scene.ask(row.name, WHO[who], dict(scene.foreign_ids) | {"site_id": ABSENT})

        assert shown(there) == shown(nowhere), row.name
        assert is_absent_site(there), row.name


@pytest.mark.invariant("T1")
async def test_a_foreign_object_is_exactly_like_an_absent_one(scene: Scene) -> None:
    """Ids of others' objects, asked for at the own site, answer as ids that nobody has."""
    ids = {name: value for name, value in scene.foreign_ids.items() if name != "site_id"}
    wrong = []
    for row in [row for row in ROWS if parts(row.path) and row.who != "O"]:
        by = "supplier" if row.who == "S" else "owner"
        there, nowhere = await scene.ask(row.name, by, ids), await scene.ask(row.name, by)
        # Entries outlive their lock, so asking what is missing of an unknown one is no mistake.
        is_nothing = there.status == 404 or there.body == {"items": []}
        if shown(there) != shown(nowhere) or not is_nothing:
            wrong.append((row.name, there.status, there.body))

    assert wrong == []


@pytest.mark.parametrize("scope", sorted(SCOPES))
async def test_a_token_may_what_its_scope_says_and_nothing_else(scene: Scene, scope: str) -> None:
    """A token of one scope is let in by exactly the routes that the table gives the scope."""
    wrong = []
    tokens = {}
    for by in ("owner", "supplier"):
        body = {"name": scope, "scopes": [scope]}
        tokens[by] = (await scene.cloud.make("POST", "/tokens", body, by=by))["token"]
    for row in ROWS:
        answer = await scene.ask(row.name, tokens["supplier" if row.who == "S" else "owner"])
        if lets_in(answer) != (scope in row.scopes):
            wrong.append((row.name, answer.status, answer.body))

    assert wrong == []
