"""Take in a sheet of people, all or nobody, or only say what would come of it."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from controller.db.engine import ReadSession, Session
from controller.db.tables.people import people as people_table
from controller.domain.errors import DomainError, Invalid
from controller.domain.ids import PersonId, SiteId
from controller.domain.people import Seats, SitePerson
from controller.domain.roles import Action, Actor
from controller.people import repository
from controller.people.changes import Changes
from controller.people.service import People, PersonEdit, edited, nobody, require_right
from controller.people.sheet import ERRORS_MAX, LineError, Sheet
from controller.ports import Ids
from controller.subscriptions.entitlement import Entitlement

ROWS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a sheet comes to at this site now."""

    added: tuple[SitePerson, ...]
    known: int  # lines whose e-mail address somebody of the site has already
    errors: tuple[LineError, ...]
    seats: Seats  # before


class SheetRefused(Invalid):
    """Lines of a sheet cannot be taken, so none was."""

    code = "sheet_refused"


class Importing:
    """Sheets of people."""

    def __init__(
        self, *, changes: Changes, entitlement: Entitlement, people: People, ids: Ids
    ) -> None:
        self._changes = changes
        self._entitlement = entitlement
        self._people = people
        self._ids = ids

    async def judge(
        self, tx: ReadSession, actor: Actor, site_id: SiteId, sheet: Sheet, *, now: datetime
    ) -> Verdict:
        """Return what a sheet would come to.

        Raises:
            NotFound: There is no such site.
            NoValidSubscription: Its subscription does not run.
        """
        entitlements = await self._entitlement.entitled(tx, site_id, now=now)
        entitlements.require_active()
        seats = await self._people.seats(tx, site_id, now=now)
        known = await _known(tx, site_id)
        errors = list(sheet.errors)
        added: list[SitePerson] = []
        seen: dict[str, int] = {}
        skipped = taken = 0
        for line in sheet.lines:
            email = line.person.email
            if email is not None and email in known:
                skipped += 1
                continue
            try:
                person = self._person(actor, site_id, line.person.edit(), now=now)
            except DomainError as error:
                field = str(error.facts.get("field", "privileges"))
                errors.append(LineError(line=line.number, field=field, message=str(error)))
                continue
            if email is not None and email in seen:
                text = f"stands in line {seen[email]} too"
                errors.append(LineError(line=line.number, field="email", message=text))
                continue
            if email is not None:
                seen[email] = line.number
            taken += person.holds_seat(now)
            if person.holds_seat(now) and taken > seats.free:
                text = f"only {seats.free} of {seats.limit} user seats are free"
                errors.append(LineError(line=line.number, field="subscribed", message=text))
                continue
            added.append(person)
        errors.sort(key=lambda error: error.line)
        return Verdict(added=tuple(added), known=skipped, errors=tuple(errors), seats=seats)

    async def take(
        self, tx: Session, actor: Actor, site_id: SiteId, sheet: Sheet, *, now: datetime
    ) -> Verdict:
        """Add everybody of a sheet whom the site does not know by e-mail address.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            SheetRefused: Some line cannot be taken; it lists them.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_PEOPLE, site_id, now=now)
        verdict = await self.judge(tx, actor, site_id, sheet, now=now)
        if verdict.errors:
            raise SheetRefused(
                f"body: {len(verdict.errors)} errors, so nobody was added. Mend the lines and "
                "send the sheet again; dry_run=true only checks it.",
                field="body",
                errors=[asdict(error) for error in verdict.errors[:ERRORS_MAX]],
                errors_total=len(verdict.errors),
            )
        seats = sum(person.holds_seat(now) for person in verdict.added)
        if seats:
            await self._people.take_seats(tx, site_id, seats, now=now)
        for start in range(0, len(verdict.added), ROWS_AT_ONCE):
            await repository.add_people(tx, verdict.added[start : start + ROWS_AT_ONCE])
        await self._changes.end(
            tx,
            actor,
            "people_imported",
            site_id=site_id,
            object_kind="site",
            object_id=site_id,
            now=now,
            facts={"added": len(verdict.added), "known": verdict.known, "seats": seats},
            reaches_doors=False,  # nobody has a credential or a right yet
        )
        return verdict

    def _person(
        self, actor: Actor, site_id: SiteId, edit: PersonEdit, *, now: datetime
    ) -> SitePerson:
        blank = nobody(site_id, PersonId(self._ids.new()), now=now)
        person = edited(blank, edit, now=now)
        require_right(actor, blank, person)
        return person


async def _known(tx: ReadSession, site_id: SiteId) -> set[str]:
    """Return the e-mail addresses of a site's people."""
    some = select(people_table.c.email).where(
        people_table.c.site_id == site_id, people_table.c.email.is_not(None)
    )
    return {row.email for row in await tx.execute(some)}
