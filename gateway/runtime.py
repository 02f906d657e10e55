"""The gateway: one session with the broker and the loops around it."""

import asyncio

from gateway.intake import Intake
from gateway.port import Controller
from gateway.ports import LinkClock, Wake
from gateway.presence import Presence
from gateway.publishing import Publishing, Resends
from gateway.session import Session


async def run(
    session: Session, controller: Controller, *, clock: LinkClock, hubs: Wake, commands: Wake
) -> None:
    """Run until cancelled. If one part fails, all are cancelled and the error is raised.

    Args:
        session: The way to the hubs.
        controller: The cloud.
        clock: Real time.
        hubs: Woken when something else is wanted of hubs.
        commands: Woken when a command waits.
    """
    connected = asyncio.Event()
    resends = Resends(clock)
    presence = Presence(controller, line=session, clock=clock)
    intake = Intake(session, controller, presence=presence, resends=resends, clock=clock)
    publishing = Publishing(controller, line=session, resends=resends, greet=connected)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(session.run(on_connected=connected.set), name="session")
        tasks.create_task(intake.run(), name="intake")
        tasks.create_task(presence.run(), name="presence")
        tasks.create_task(publishing.documents(hubs), name="documents")
        tasks.create_task(publishing.commands(commands), name="commands")
        tasks.create_task(publishing.greetings(), name="greetings")
