"""The event stream of a site."""

from typing import Annotated, Final

from pydantic import Field

from controller.domain.catalogue import Feature
from controller.domain.errors import Invalid
from controller.domain.ids import SiteId
from controller.domain.roles import Action
from controller.notifications.events import Events
from controller.subscriptions.entitlement import Entitlement
from controller.web.api import Call, get
from controller.web.stream import EventStream

NUMBER_MAX: Final = 2**63 - 1

After = Annotated[
    int | None,
    Field(ge=0, le=NUMBER_MAX, description="Begin behind this event; nothing: with the next one."),
]


class EventsApi:
    """What happens at a site, as it happens."""

    tag = "activity"

    def __init__(self, events: Events, *, entitlement: Entitlement) -> None:
        self._events = events
        self._entitlement = entitlement

    @get("/sites/{site_id}/events", requires=Action.READ_ACTIVITY)
    async def stream(
        self,
        call: Call,
        site_id: SiteId,
        *,
        last_event_id: str | None = None,
        after: After = None,
    ) -> EventStream:
        """Stream entries and incidents as Server-Sent Events.

        Needs the feature event_streaming. Each event has a number as its id; a client that was cut
        off sends the last one as Last-Event-ID and gets what it missed, up to a week back. Who is
        further behind gets an event ``missed`` that says which numbers are gone. A stream ends
        after five minutes; connect again.
        """
        behind = after if last_event_id is None else _number(last_event_id)
        async with call.db.read() as view:
            entitled = await self._entitlement.entitled(view, site_id, now=call.now)
            entitled.require(Feature.EVENT_STREAMING)
            newest = await self._events.newest(view, site_id)
        start = newest if behind is None else min(behind, newest)
        return EventStream(self._events.follow(site_id, after=start))


def _number(text: str) -> int:
    """Return the number of an event.

    Raises:
        Invalid: It is none.
    """
    if not (text.isascii() and text.isdecimal() and int(text[:20]) <= NUMBER_MAX):
        raise Invalid(
            "Last-Event-ID: send the id of an event of this stream, or leave it out.",
            field="Last-Event-ID",
        )
    return int(text)
