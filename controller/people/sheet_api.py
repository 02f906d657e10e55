"""People in and out as a sheet."""

from dataclasses import asdict

from aiohttp import web

from controller.domain.ids import SiteId
from controller.domain.roles import Action
from controller.people import queries, sheet
from controller.people.importing import Importing, Verdict
from controller.people.sheet import ERRORS_MAX
from controller.ports import Threads
from controller.web.api import Call, get, post
from controller.web.models import CsvFile, Out


class LineErrorOut(Out):
    """What is wrong with a line of a sheet."""

    line: int
    field: str
    message: str


class ImportOut(Out):
    """What a sheet came to, or would come to."""

    dry_run: bool
    added: int
    known: int
    seats_taken: int
    seats_free: int
    errors: list[LineErrorOut]
    errors_total: int


class SheetApi:
    """The people of a site as a sheet."""

    tag = "people"

    def __init__(self, importing: Importing, threads: Threads) -> None:
        self._importing = importing
        self._threads = threads

    @post("/sites/{site_id}/people/import", requires=Action.MANAGE_PEOPLE)
    async def take(
        self, call: Call, site_id: SiteId, *, body: CsvFile, dry_run: bool = False
    ) -> ImportOut:
        """Add the people of a sheet, all or nobody.

        UTF-8, at most 10 MiB and 10,000 people; the first line names the columns out of name,
        email, is_guest, subscribed, starts_at, expires_at and privileges. Who is known by e-mail
        address is passed over, so a sheet with addresses can be sent again. With ``dry_run=true``
        nothing is added, and the answer lists every error by line.
        """
        read = await self._threads.run(sheet.read, bytes(body))
        if dry_run:
            async with call.db.read() as view:
                verdict = await self._importing.judge(view, call.actor, site_id, read, now=call.now)
        else:
            async with call.db.write() as tx:
                verdict = await self._importing.take(tx, call.actor, site_id, read, now=call.now)
        return _shown(verdict, call, dry_run=dry_run)

    @get("/sites/{site_id}/people.csv", requires=Action.READ_PEOPLE)
    async def give(self, call: Call, site_id: SiteId) -> web.Response:
        """Export the people as a sheet that the import takes, at most 100,000."""
        async with call.db.read() as tx:
            found = await queries.people_of(tx, site_id, after_id=None, limit=queries.EXPORT_MAX)
        return web.Response(
            text=await self._threads.run(sheet.write, found),
            content_type="text/csv",
            charset="utf-8",
            headers={"Content-Disposition": 'attachment; filename="people.csv"'},
        )


def _shown(verdict: Verdict, call: Call, *, dry_run: bool) -> ImportOut:
    return ImportOut(
        dry_run=dry_run,
        added=len(verdict.added),
        known=verdict.known,
        seats_taken=sum(person.holds_seat(call.now) for person in verdict.added),
        seats_free=verdict.seats.free,
        errors=[LineErrorOut(**asdict(error)) for error in verdict.errors[:ERRORS_MAX]],
        errors_total=len(verdict.errors),
    )
