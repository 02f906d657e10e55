"""A running cloud, people who use it, and sites with simulated hardware."""

import asyncio
import json
import secrets
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from tests.end_to_end.programs import DOORWARD, Program, until
from tests.gateway.brokers import free_port

PASSWORD: Final = "the password of everybody here"
SAY_PATIENCE_S: Final = 15.0
HUBS: Final = ("1", "2", "3")
LOCKS_PER_HUB: Final = 2
LOCKS: Final = tuple(f"{hub}.{lock}" for hub in HUBS for lock in (1, 2))
ADA: Final = "04A1B2C3D4"  # may also open offline
BEN: Final = "04A1B2C3D5"  # only by the hub
STRANGER: Final = "04DEADBEEF"


def ports() -> dict[str, object]:
    """Return settings with ports of one's own."""
    return {f"{name}_port": free_port() for name in ("web", "device", "mqtt")}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API said."""

    status: int
    body: Any
    text: str
    etag: str


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who is signed in."""

    cloud: "Cloud"
    token: str

    async def ask(
        self, method: str, path: str, body: object = None, *, key: str = "", etag: str = ""
    ) -> Answer:
        """Return what the API answers, whatever it is."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if method == "POST":
            headers["Idempotency-Key"] = key or secrets.token_hex(16)
        if etag:
            headers["If-Match"] = etag
        url = f"{self.cloud.url}/api/v1{path}"
        async with self.cloud.http.request(method, url, json=body, headers=headers) as answer:
            text = await answer.text()
            value = json.loads(text) if text else None
            return Answer(answer.status, value, text, answer.headers.get("ETag", ""))

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the body of an answer that is no refusal."""
        answer = await self.ask(method, path, body)
        assert answer.status < 400, (method, path, answer)
        return answer.body

    async def get(self, path: str) -> Any:
        """Read something."""
        return await self.call("GET", path)

    async def post(self, path: str, body: object = None) -> Any:
        """Do something."""
        return await self.call("POST", path, body)

    async def put(self, path: str) -> None:
        """Put something somewhere."""
        await self.call("PUT", path)

    async def edit(self, path: str, body: object) -> Any:
        """Read something, edit it, and return it as it is then."""
        etag = (await self.ask("GET", path)).etag
        answer = await self.ask("PATCH", path, body, etag=etag)
        assert answer.status < 400, (path, answer)
        return answer.body

    async def events(self, path: str, *, after: int = 0) -> AsyncIterator[tuple[int, str, Any]]:
        """Listen to a stream of events: the number, the kind and the facts of each."""
        headers = {"Authorization": f"Bearer {self.token}", "Last-Event-ID": str(after)}
        async with self.cloud.http.get(f"{self.cloud.url}/api/v1{path}", headers=headers) as stream:
            assert stream.status == 200, await stream.text()
            fields: dict[str, str] = {}
            async for line in stream.content:
                name, colon, value = line.decode().rstrip("\n").partition(": ")
                if colon:
                    fields[name] = value
                elif "data" in fields:
                    yield int(fields["id"]), fields["event"], json.loads(fields["data"])
                    fields = {}


class Cloud:
    """`doorward up` with a folder and ports of its own. It may be stopped and started again."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.settings = ports() | {"data_dir": self.data} | settings
        if "broker" in settings:
            del self.settings["mqtt_port"]  # the embedded broker's
        self.url = ""
        self.operator = Client(self, "")
        self.supplier = Client(self, "")
        self.installer = Client(self, "")
        self.programs: list[Program] = []  # what must not outlive the test

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for program in self.programs:
            await program.kill()
        await self.http.close()

    async def start(self, *words: str) -> None:
        """Start it and wait until it answers; at its first start, make the accounts."""
        self.http = aiohttp.ClientSession()
        self.program = await Program.start(
            self.folder, DOORWARD, "up", *words, settings=self.settings
        )
        self.programs.append(self.program)
        self.url = (await self.program.says(r"runs at ([^\s;]+)"))[1]
        if not self.operator.token:
            first = await self.program.says(r"only now: (\S+) / (\S+)\n")
            self.operator = await self.sign_in(first[1], first[2])
            self.supplier = await self.account("supplier", cloud_role="supplier")
            self.installer = await self.account("installer", cloud_role="installer")

    async def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to end; return its exit code."""
        await self.http.close()
        return await self.program.stop(number)

    async def kill(self) -> None:
        """Kill -9."""
        await self.http.close()
        await self.program.kill()

    async def sign_in(self, email: str, password: str = PASSWORD) -> Client:
        """Return the client of an account."""
        body = {"email": email, "password": password}
        return Client(self, (await Client(self, "").post("/sessions", body))["token"])

    async def account(self, name: str, *, cloud_role: str | None = None) -> Client:
        """Make an account and return its client."""
        email = f"{name}@doorward.example"
        await self.operator.post(
            "/accounts",
            {"email": email, "name": name, "password": PASSWORD, "cloud_role": cloud_role},
        )
        return await self.sign_in(email)

    async def codes(self, count: int, *, users: int = 25, days: int = 30) -> list[str]:
        """Have the supplier mint vouchers of a Pro plan; return their codes."""
        batch = await self.supplier.post(
            "/voucher-batches",
            {
                "product": {"kind": "plan", "plan": "pro", "users": users, "term_days": days},
                "count": count,
                "redeem_until": (datetime.now(UTC) + timedelta(days=3650)).isoformat(),
            },
        )
        return [voucher["code"] for voucher in batch["codes"]]

    async def site(self, name: str) -> tuple[str, Client]:
        """Make a site, hand it over, and return its id and its owner."""
        site = await self.installer.post(
            "/sites", {"name": name, "time_zone": "Europe/Madrid", "buy_from": "the supplier"}
        )
        owner = await self.account(f"owner-{name}")
        return site["id"], owner

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what the SQLite file says."""
        path = self.data / "doorward.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(statement, values).fetchall()


@dataclass(frozen=True, slots=True)
class Hardware:
    """`doorward sim`: the hubs and locks of a site."""

    program: Program
    state: Path

    @classmethod
    async def start(cls, cloud: Cloud, site_id: str, folder: Path) -> Self:
        """Start it and wait until it runs; the same folder brings back the same hardware."""
        options = {
            "--url": cloud.url,
            "--token": cloud.installer.token,
            "--site": site_id,
            "--hubs": str(len(HUBS)),
            "--locks": str(LOCKS_PER_HUB),
            "--state": str(folder),
        }
        words = (word for option in options.items() for word in option)
        program = await Program.start(
            folder, sys.executable, "-m", "firmware_sim", *words, settings={}
        )
        cloud.programs.append(program)
        await program.says("hubs and .* locks are running")
        return cls(program=program, state=folder)

    async def say(self, line: str) -> dict[str, Any]:
        """Say a line to it and return the facts of its answer."""
        answer = await self.ask(line)
        assert answer["ok"], (line, answer["text"])
        facts: dict[str, Any] = answer["facts"]
        return facts

    async def ask(self, line: str) -> dict[str, Any]:
        """Say a line to it and return its answer, also when it cannot be done."""
        reader, writer = await asyncio.open_unix_connection(self.state / "control.sock")
        try:
            writer.write(line.encode() + b"\n")
            async with asyncio.timeout(SAY_PATIENCE_S):
                answer: dict[str, Any] = json.loads(await reader.readline())
                return answer
        finally:
            writer.close()

    async def tap(self, lock: str, tag: str) -> str:
        """Hold a tag to a lock; return what comes of it, and why if it stays shut."""
        return await self.present(f"tap {lock} {tag}")

    async def present(self, line: str) -> str:
        """Let somebody try a lock; return what comes of it, and why if it stays shut."""
        facts = await self.say(line)
        return ": ".join(filter(None, (facts["kind"], facts["reason"])))

    async def taps(self, tag: str, locks: Sequence[str] = LOCKS) -> dict[str, str]:
        """Hold a tag to several locks at once."""
        kinds = await asyncio.gather(*(self.tap(lock, tag) for lock in locks))
        return dict(zip(locks, kinds, strict=True))

    async def hubs(self) -> dict[str, dict[str, Any]]:
        """Return the facts of every hub by its name."""
        return {hub["name"]: hub for hub in (await self.say("status"))["hubs"]}

    async def locks(self) -> dict[str, dict[str, Any]]:
        """Return the facts of every lock by its name."""
        hubs = (await self.hubs()).values()
        return {lock["name"]: lock for hub in hubs for lock in hub["locks"]}

    async def offline_lists(self) -> dict[str, str]:
        """Return the bytes of every lock's offline list."""
        return {name: lock["offline_list"] for name, lock in (await self.locks()).items()}

    async def openings(self) -> dict[str, int]:
        """Return how often each lock's motor has turned."""
        return {name: lock["openings"] for name, lock in (await self.locks()).items()}

    async def are_subscribed(self, hubs: Sequence[str] = HUBS, *, wanted: bool = True) -> bool:
        """Whether these hubs say that they are subscribed, or that they are not."""
        facts = await self.hubs()
        return all(facts[hub]["subscribed"] is wanted for hub in hubs)


@dataclass(slots=True)
class Site:
    """A site in use: handed over, with hardware, people and tags."""

    cloud: Cloud
    id: str
    owner: Client
    hardware: Hardware
    group: str = ""
    lock_ids: dict[str, str] = field(default_factory=dict)
    hub_ids: dict[str, str] = field(default_factory=dict)
    person_ids: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def begin(cls, cloud: Cloud, name: str) -> Self:
        """Make a site, let its hardware be claimed, and let Ada and Ben open every lock."""
        site_id, owner = await cloud.site(name)
        hardware = await Hardware.start(cloud, site_id, cloud.folder / name)
        email = f"owner-{name}@doorward.example"
        await cloud.installer.post(f"/sites/{site_id}/hand-over", {"owner_email": email})
        site = cls(cloud, site_id, owner, hardware)
        await site._furnish()
        await until(site.is_in_sync, f"site {name} is in sync")
        return site

    @property
    def path(self) -> str:
        """Where the API has it."""
        return f"/sites/{self.id}"

    async def give_tag(self, name: str, tag: str, *, offline: bool) -> str:
        """Add a person with a tag who may open every lock; return the credential's path."""
        credentials = f"{await self.add_person(name)}/credentials"
        tag_out = await self.owner.post(credentials, {"number": tag, "offline": offline})
        return f"{credentials}/{tag_out['id']}"

    async def add_person(self, name: str, *, email: str | None = None) -> str:
        """Add a person who may open every lock; return the person's path."""
        person = await self.owner.post(
            f"{self.path}/people", {"name": name, "email": email, "subscribed": True}
        )
        await self.owner.put(f"{self.path}/access-groups/{self.group}/people/{person['id']}")
        self.person_ids[name] = person["id"]
        return f"{self.path}/people/{person['id']}"

    def lock_path(self, lock: str) -> str:
        """Where the API has a lock."""
        return f"{self.path}/locks/{self.lock_ids[lock]}"

    async def end(self) -> None:
        """Let the operator end the subscription now."""
        await self.cloud.operator.post(f"{self.path}/subscription/cancel", {"reason": "a test"})

    async def redeem(self, *, days: int = 30) -> Any:
        """Let the owner redeem a new voucher."""
        (code,) = await self.cloud.codes(1, days=days)
        return await self.owner.post(f"{self.path}/redemptions", {"code": code})

    async def is_in_sync(self, hubs: Sequence[str] = HUBS) -> bool:
        """Whether these hubs and their locks have confirmed what is wanted of them."""
        syncs = await self.syncs()
        return all(syncs[hub]["state"] == "in_sync" for hub in hubs)

    async def syncs(self) -> dict[str, dict[str, Any]]:
        """Return what the API says of each hub's state, by the hub's name."""
        items = (await self.owner.get(f"{self.path}/hubs"))["items"]
        return {hub["name"].removeprefix("Hub "): hub["sync"] for hub in items}

    async def card(self) -> Any:
        """Return the subscription as the API shows it."""
        return await self.owner.get(f"{self.path}/subscription")

    async def back_to_normal(self) -> None:
        """Renew if need be, connect every hub, and wait until all is in sync."""
        for hub in HUBS:
            await self.hardware.say(f"restore uplink {hub}")
        for lock in LOCKS:
            await self.hardware.say(f"restore radio {lock}")
        if not (await self.card())["active"]:
            await self.redeem()
        await until(self.hardware.are_subscribed, "all hubs are subscribed")
        await until(self.is_in_sync, "all hubs are in sync")

    def entries(self, lock: str) -> list[tuple[int, int]]:
        """Return (sequence, kind) of what the cloud's file holds of a lock, in order."""
        return self.cloud.rows(
            "SELECT sequence, kind FROM entries WHERE site_id = ? AND lock_id = ?"
            " ORDER BY log_epoch, sequence",
            self.id,
            self.lock_ids[lock],
        )

    async def _furnish(self) -> None:
        group = await self.owner.post(f"{self.path}/access-groups", {"name": "Everybody"})
        self.group = group["id"]
        for hub in (await self.owner.get(f"{self.path}/hubs"))["items"]:
            self.hub_ids[hub["name"].removeprefix("Hub ")] = hub["id"]
        for lock in (await self.owner.get(f"{self.path}/locks"))["items"]:
            self.lock_ids[lock["name"].removeprefix("Door ")] = lock["id"]
            await self.owner.put(f"{self.path}/access-groups/{self.group}/locks/{lock['id']}")
        await self.give_tag("Ada", ADA, offline=True)
        await self.give_tag("Ben", BEN, offline=False)
