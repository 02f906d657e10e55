"""Repeaters over REST."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from controller.domain.ids import HubId, RepeaterId, SiteId
from controller.domain.roles import Action
from controller.hardware import repository
from controller.hardware.fields import Serial
from controller.hardware.repeaters import Repeaters
from controller.web.api import Call, delete, get, patch, post
from controller.web.fields import Name
from controller.web.models import ID, In, Out, Versioned

REPEATERS = "/sites/{site_id}/hubs/{hub_id}/repeaters"
REPEATER = REPEATERS + "/{repeater_id}"

Parent = Annotated[
    RepeaterId | None,
    ID,
    Field(description="The repeater between it and the hub; null: the hub itself."),
]


class RepeaterIn(In):
    """A repeater to be."""

    name: Name
    serial: Serial
    parent_id: Parent = None


@with_config(ConfigDict(extra="forbid", strict=True))
class RepeaterPatch(TypedDict, total=False):
    """What is to become of a repeater; what is left out stays."""

    name: Name
    parent_id: Parent


class RepeaterOut(Versioned):
    """Carries the radio between a hub and locks that it does not reach."""

    id: RepeaterId
    hub_id: HubId
    parent_id: RepeaterId | None
    name: str
    serial: str
    created_at: datetime


class RepeatersOut(Out):
    """All repeaters of a hub; 6 at most."""

    items: list[RepeaterOut]


class RepeatersApi:
    """The repeaters of a hub."""

    tag = "repeaters"

    def __init__(self, repeaters: Repeaters) -> None:
        self._repeaters = repeaters

    @get(REPEATERS, requires=Action.READ_HARDWARE)
    async def repeaters(self, call: Call, site_id: SiteId, hub_id: HubId) -> RepeatersOut:
        """List the repeaters of a hub."""
        async with call.db.read() as tx:
            hub = await repository.hub(tx, site_id, hub_id)
            found = await repository.repeaters_of(tx, hub)
        return RepeatersOut(items=[RepeaterOut(**asdict(each)) for each in found])

    @post(REPEATERS, requires=Action.MANAGE_HARDWARE, status=201)
    async def add_repeater(
        self, call: Call, site_id: SiteId, hub_id: HubId, body: RepeaterIn
    ) -> RepeaterOut:
        """Hang a repeater on a hub or on another of its repeaters: 6 a hub, 3 in a row."""
        async with call.db.write() as tx:
            made = await self._repeaters.add(
                tx, call.actor, site_id, hub_id, **body.model_dump(), now=call.now
            )
        return RepeaterOut(**asdict(made))

    @patch(REPEATER, requires=Action.MANAGE_HARDWARE)
    async def edit_repeater(
        self,
        call: Call,
        site_id: SiteId,
        hub_id: HubId,
        repeater_id: RepeaterId,
        *,
        if_match: int,
        body: RepeaterPatch,
    ) -> RepeaterOut:
        """Rename a repeater, or hang it elsewhere at its hub."""
        async with call.db.write() as tx:
            saved = await self._repeaters.edit(
                tx,
                call.actor,
                site_id,
                hub_id,
                repeater_id,
                edit=body,
                if_match=if_match,
                now=call.now,
            )
        return RepeaterOut(**asdict(saved))

    @delete(REPEATER, requires=Action.MANAGE_HARDWARE)
    async def delete_repeater(
        self, call: Call, site_id: SiteId, hub_id: HubId, repeater_id: RepeaterId, if_match: int
    ) -> None:
        """Delete a repeater on which nothing hangs."""
        async with call.db.write() as tx:
            await self._repeaters.delete(
                tx, call.actor, site_id, hub_id, repeater_id, if_match=if_match, now=call.now
            )
