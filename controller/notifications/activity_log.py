"""The activity log of a site: who changed what, as far back as the plan shows."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Self

from pydantic import Field
from sqlalchemy import Row, select, tuple_

from controller.db.tables.records import audit_records
from controller.domain.catalogue import Feature
from controller.domain.entitlements import FeatureNotEntitled
from controller.domain.ids import AccountId, SiteId
from controller.domain.roles import Action
from controller.subscriptions.entitlement import Entitlement
from controller.web.api import Call, get
from controller.web.models import Out
from controller.web.pagination import (
    LIMIT_DEFAULT,
    BadCursor,
    Cursor,
    Limit,
    Page,
    decoded,
    page_of,
)

_ORDER: Final = (audit_records.c.at, audit_records.c.id)


class ChangeOut(Out):
    """One change, or one that was refused."""

    id: str
    at: datetime
    actor_id: AccountId | None
    actor_name: str
    action: Annotated[str, Field(examples=["person_added"])]
    object_kind: str
    object_id: str
    refused: Annotated[str | None, Field(description="Why nothing was changed.")]
    facts: dict[str, Any]

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """Return a record as it is shown."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class ActivityLogApi:
    """Who changed what at a site."""

    tag = "activity"

    def __init__(self, entitlement: Entitlement) -> None:
        self._entitlement = entitlement

    @get("/sites/{site_id}/activity-log", requires=Action.READ_AUDIT)
    async def listed(
        self, call: Call, site_id: SiteId, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[ChangeOut]:
        """List who changed what, newest first, as far back as the plan shows.

        Nothing is deleted: a plan that shows more days shows older changes too.
        """
        after = _place_of(cursor)
        async with call.db.read() as tx:
            entitled = await self._entitlement.entitled(tx, site_id, now=call.now)
            if entitled.active and Feature.ACTIVITY_LOG not in entitled.features:
                raise FeatureNotEntitled(
                    f"The site's plan has no activity log; {entitled.contact} sells one that has.",
                    feature=str(Feature.ACTIVITY_LOG),
                    contact=entitled.contact,
                )
            since = call.now - timedelta(days=entitled.activity_log_days)
            some = select(audit_records).where(
                audit_records.c.site_id == site_id, audit_records.c.at >= since
            )
            if after is not None:
                some = some.where(tuple_(*_ORDER) < tuple_(*after))
            order = [column.desc() for column in _ORDER]
            rows = (await tx.execute(some.order_by(*order).limit(limit + 1))).all()
        shown = [ChangeOut.of(row) for row in rows]
        return page_of(shown, limit, lambda one: (one.at.isoformat(), one.id))


def _place_of(cursor: str | None) -> tuple[datetime, str] | None:
    """Return the record behind which a page begins.

    Raises:
        BadCursor: No page of ours ends there.
    """
    key = decoded(cursor, str, str)
    if key is None:
        return None
    try:
        at = datetime.fromisoformat(str(key[0]))
    except ValueError as error:
        raise BadCursor from error
    if at.tzinfo is None:
        raise BadCursor
    return at, str(key[1])
