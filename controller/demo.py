"""A site to try Doorward with: seeded over the public API, its hardware simulated beside.

Everything here is done as its users would do it, over HTTP, step by step; a step that was done at
an earlier start is not done again. What a person needs to go on (sign-ins, codes, tags) is kept in
``demo.json`` of the data directory.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from controller.app import FirstOperator, Running
from controller.chance import SystemRandomness

FILE_NAME: Final = "demo.json"
SIM_FOLDER: Final = "sim"
TELL_PATIENCE_S: Final = 30.0
SITE_NAME: Final = "Demo house"
TIME_ZONE: Final = "Europe/Madrid"
HUBS: Final = 2
LOCKS_PER_HUB: Final = 4
READY_PATIENCE_S: Final = 60.0
LOOK_EVERY_S: Final = 0.2

ROLES: Final = ("operator", "supplier", "installer", "owner")
PEOPLE: Final = (  # name, tag, offline access, group
    ("Ada", "04A1B2C3D4", True, "Everybody"),
    ("Ben", "04A1B2C3D5", False, "Everybody"),
    ("Cleo", "04A1B2C3D6", False, "Office hours"),
)
OFFICE_HOURS: Final = [
    {"weekday": day, "start_min": 9 * 60, "end_min": 18 * 60} for day in range(5)
]
PRODUCTS: Final[tuple[dict[str, object], ...]] = (
    {"kind": "plan", "plan": "pro", "users": 25, "term_days": 30},
    {"kind": "plan", "plan": "pro", "users": 50, "term_days": 30},
    {"kind": "add_on", "feature": "pods", "term_days": 30},
)

_CHANCE: Final = SystemRandomness()


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


@dataclass(slots=True)
class Story:
    """How far the demo has come, as its file remembers."""

    folder: Path
    passwords: dict[str, str] = field(default_factory=dict)  # by role
    url: str = ""
    site_id: str = ""
    codes: list[dict[str, str]] = field(default_factory=list)  # product, batch, voucher, code

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Return the story of a data directory, a new one if it has none.

        Raises:
            DemoError: The directory holds an installation that no demo began.
        """
        path = folder / FILE_NAME
        if path.exists():
            return cls(folder=folder, **json.loads(path.read_text(encoding="utf-8")))
        if (folder / "keys").exists():
            raise DemoError(
                f"{folder} holds an installation that is no demo; choose another with --data-dir"
            )
        story = cls(folder=folder, passwords={role: _CHANCE.token_bytes(8).hex() for role in ROLES})
        story.save()
        return story

    def save(self) -> None:
        """Keep the story; readable by its owner only, like the keys beside it."""
        facts = {name: value for name, value in asdict(self).items() if name != "folder"}
        fresh = self.folder / f"{FILE_NAME}.new"
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(facts, indent=2), encoding="utf-8")
        fresh.replace(self.folder / FILE_NAME)

    @property
    def operator(self) -> FirstOperator:
        """The account that the installation begins with."""
        return FirstOperator(email=email_of("operator"), password=self.passwords["operator"])


def is_demo(folder: Path) -> bool:
    """Return whether a data directory was made by a demo."""
    return (folder / FILE_NAME).exists()


def email_of(role: str) -> str:
    """Return the address with which a role signs in."""
    return f"{role}@demo.example"


class Client:
    """One of the demo's accounts, over the public API."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self._http = http
        self._url = url
        self.token = token

    @classmethod
    async def sign_in(cls, http: aiohttp.ClientSession, story: Story, role: str) -> Self:
        """Return the client of a role."""
        body = {"email": email_of(role), "password": story.passwords[role]}
        signed_in = await cls(http, story.url, "").call("POST", "/sessions", body)
        return cls(http, story.url, signed_in["token"])

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Return what the API answers.

        Raises:
            DemoError: It refuses; the text is its problem.
        """
        status, answer = await self.ask(method, path, body)
        if status >= HTTPStatus.BAD_REQUEST:
            detail = answer.get("detail") if isinstance(answer, dict) else answer
            raise DemoError(f"{method} {path}: {detail}")
        return answer

    async def ask(
        self, method: str, path: str, body: object = None, *, version: int | None = None
    ) -> tuple[int, Any]:
        """Return status and answer, whatever they are; ``version`` is that of what is edited."""
        headers = {"Idempotency-Key": _CHANCE.token_bytes(16).hex()} if method == "POST" else {}
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        url = f"{self._url}/api/v1{path}"
        async with self._http.request(method, url, json=body, headers=headers) as response:
            text = await response.text()
            is_json = text and response.content_type.endswith("json")
            return response.status, json.loads(text) if is_json else text


async def play(story: Story, running: Running, *, tell: Callable[[str], None]) -> None:
    """Seed what is missing, tell how to use it, and simulate the hardware until cancelled."""
    story.url = running.web_url
    async with aiohttp.ClientSession() as http:
        await _accounts(story, http)
        installer = await Client.sign_in(http, story, "installer")
        if not story.site_id:
            site = await installer.call(
                "POST",
                "/sites",
                {"name": SITE_NAME, "time_zone": TIME_ZONE, "buy_from": email_of("supplier")},
            )
            story.site_id = site["id"]
        story.save()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_hardware(story, running, installer.token), name="hardware")
            owner = await _handed_over(story, http, installer)
            await _people(story, owner)
            await _vouchers(story, http, running)
            story.save()
            tell(_told(story, running))


async def _accounts(story: Story, http: aiohttp.ClientSession) -> None:
    operator = await Client.sign_in(http, story, "operator")
    known = {account["email"] for account in (await operator.call("GET", "/accounts"))["items"]}
    for role in ROLES:
        if email_of(role) not in known:
            cloud_role = role if role in {"supplier", "installer"} else None
            account = {
                "email": email_of(role),
                "name": role.capitalize(),
                "password": story.passwords[role],
                "cloud_role": cloud_role,
            }
            await operator.call("POST", "/accounts", account)


async def _hardware(story: Story, running: Running, token: str) -> None:
    """Run the simulator as a process of its own; it ends when this process does."""
    options = {
        "--url": story.url,
        "--site": story.site_id,
        "--hubs": str(HUBS),
        "--locks": str(LOCKS_PER_HUB),
        "--state": str(story.folder / SIM_FOLDER),
        "--broker-port": str(running.broker_port),  # the old one may have been taken meanwhile
    }
    with (story.folder / "sim.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "firmware_sim"),
            *(word for option in options.items() for word in option),
            env={"DOORWARD_SIM_TOKEN": token},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us; the closed pipe tells it
        )
        try:
            status = await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
    raise DemoError(f"the simulated hardware ended with {status}; see {log.name}")


async def _handed_over(story: Story, http: aiohttp.ClientSession, installer: Client) -> Client:
    """Wait for the hardware, hand the site over and return its owner."""
    site = f"/sites/{story.site_id}"
    owner = await Client.sign_in(http, story, "owner")
    if (await owner.ask("GET", site))[0] == HTTPStatus.OK:
        return owner
    async with asyncio.timeout(READY_PATIENCE_S):
        while True:  # until the time-out: over HTTP there is nothing to wait on
            locks = (await installer.call("GET", f"{site}/locks"))["items"]
            if len(locks) == HUBS * LOCKS_PER_HUB:
                break
            await asyncio.sleep(LOOK_EVERY_S)
    await installer.call("POST", f"{site}/hand-over", {"owner_email": email_of("owner")})
    return owner


async def _people(story: Story, owner: Client) -> None:
    """Add the people, their tags and their groups, unless they are there."""
    site = f"/sites/{story.site_id}"
    if (await owner.call("GET", f"{site}/people"))["items"]:
        return
    hours = {"name": "Office hours", "windows": OFFICE_HOURS}
    schedule = await owner.call("POST", f"{site}/schedules", hours)
    groups = {}
    for name, schedule_id in (("Everybody", None), ("Office hours", schedule["id"])):
        group = {"name": name, "schedule_id": schedule_id}
        groups[name] = await owner.call("POST", f"{site}/access-groups", group)
    for lock in (await owner.call("GET", f"{site}/locks"))["items"]:
        for group in groups.values():
            await owner.call("PUT", f"{site}/access-groups/{group['id']}/locks/{lock['id']}")
    for name, tag, offline, group_name in PEOPLE:
        person = await owner.call("POST", f"{site}/people", {"name": name, "subscribed": True})
        group_id = groups[group_name]["id"]
        await owner.call("PUT", f"{site}/access-groups/{group_id}/people/{person['id']}")
        await owner.call(
            "POST",
            f"{site}/people/{person['id']}/credentials",
            {"number": tag, "label": f"{name}'s tag", "offline": offline},
        )


async def _vouchers(story: Story, http: aiohttp.ClientSession, running: Running) -> None:
    """Top the codes up to one unspent voucher of each product."""
    supplier = await Client.sign_in(http, story, "supplier")
    unspent = []
    for held in story.codes:
        vouchers = await supplier.call("GET", f"/voucher-batches/{held['batch']}/vouchers")
        if any(voucher["state"] == "unspent" for voucher in vouchers["items"]):
            unspent.append(held)
    redeem_until = (running.calendar.now() + timedelta(days=3650)).isoformat()
    for product in PRODUCTS:
        name = _name(product)
        if any(held["product"] == name for held in unspent):
            continue
        wanted = {"product": product, "count": 1, "redeem_until": redeem_until, "note": "demo"}
        batch = await supplier.call("POST", "/voucher-batches", wanted)
        unspent.append({"product": name, "batch": batch["id"], "code": batch["codes"][0]["code"]})
    story.codes = unspent


def _name(product: Mapping[str, object]) -> str:
    if product["kind"] == "plan":
        plan = str(product["plan"]).capitalize()
        return f"{plan}, {product['users']} users, {product['term_days']} days"
    return f"add-on {product['feature']}, {product['term_days']} days"


def _told(story: Story, running: Running) -> str:
    """Return what a person needs to go on."""
    here = Path(sys.executable).parent / "doorward"
    if here.is_relative_to(Path.cwd()):
        here = here.relative_to(Path.cwd())
    demo = f"{here} demo --data-dir {story.folder}"
    site = f"/sites/{story.site_id}"
    code = json.dumps({"code": story.codes[0]["code"]})
    tap = f"{demo} tap 1.1 {PEOPLE[0][1]}"
    sign_ins = "\n".join(f"  {email_of(role):24} {story.passwords[role]}" for role in ROLES)
    codes = "\n".join(f"  {held['code']}  {held['product']}" for held in story.codes)
    tags = "\n".join(
        f"  {tag}  {name}, {group}{', also offline' if offline else ''}"
        for name, tag, offline, group in PEOPLE
    )
    return f"""
Doorward runs at {running.web_url}  (API documentation: {running.web_url}/docs)
Calendar {running.calendar.now():%Y-%m-%d %H:%M} UTC, {running.calendar.speed} s a second. \
Hubs 1 and 2, locks 1.1 to 2.4.

Sign-ins
{sign_ins}

Vouchers
{codes}

Tags
{tags}

Try it, in another terminal: preview, redeem, tap, end the subscription, tap again
  {demo} call owner POST {site}/subscription/preview '{code}'
  {demo} call owner POST {site}/redemptions '{code}'
  {tap}
  {demo} call operator POST {site}/subscription/cancel '{{"reason": "to see it end"}}'
  {tap}

Ctrl-C stops everything; `make run` goes on with these data, `make run FRESH=1` starts over.
"""


async def tell_hardware(folder: Path, line: str) -> str:
    """Return what a running simulator answers to a line.

    Raises:
        DemoError: None is running, or it cannot do that.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(folder / SIM_FOLDER / "control.sock")
    except OSError as error:
        raise DemoError(f"no demo is running on {folder}; start one with make run") from error
    try:
        writer.write(line.encode() + b"\n")
        async with asyncio.timeout(TELL_PATIENCE_S):
            answer = json.loads(await reader.readline() or b'{"ok": false, "text": "it ended"}')
    finally:
        writer.close()
    if not answer["ok"]:
        raise DemoError(str(answer["text"]))
    return str(answer["text"])


async def call_api(
    folder: Path, role: str, method: str, path: str, body: object, *, version: int | None
) -> str:
    """Return what the running demo's API answers to a role, JSON laid out to be read."""
    if not is_demo(folder):
        raise DemoError(f"{folder} holds no demo; start one with make run")
    async with aiohttp.ClientSession() as http:
        try:
            client = await Client.sign_in(http, Story.open(folder), role)
            status, answer = await client.ask(method, path, body, version=version)
        except aiohttp.ClientError as error:
            raise DemoError(f"no demo is running on {folder}; start one with make run") from error
    if not isinstance(answer, str):
        answer = json.dumps(answer, indent=2, ensure_ascii=False)
    return f"{status}\n{answer}".rstrip()
