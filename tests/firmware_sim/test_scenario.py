"""Scenarios: read with care, played line by line."""

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware_sim import scenario
from firmware_sim.scenario import ScenarioError
from gateway.protocol.messages import EntryKind
from tests.firmware_sim.building import Building, running
from tests.firmware_sim.scene import ANN, BEN, DAN


@pytest.fixture
async def building(tmp_path: Path) -> AsyncIterator[Building]:
    """A commissioned building."""
    async with running(tmp_path) as made:
        await made.commission()
        yield made


async def play(building: Building, text: str) -> list[str]:
    """Play a scenario and return what it shows."""
    shown: list[str] = []
    await scenario.play(building.console, scenario.read(text), show=shown.append)
    return [line.rstrip() for line in shown]


def kinds(building: Building, lock: int = 0) -> list[EntryKind]:
    """Return what a lock has written down."""
    state = building.hub.locks[lock].state
    assert state is not None
    return [entry.kind for entry in state.log.entries]


async def test_a_scenario_does_its_steps_in_order(building: Building) -> None:
    """Steps, repetitions and expectations, each shown with what came of it."""
    shown = await play(
        building,
        f"""
        name: Two at a door
        steps:
          - tap 1.1 {ANN.hex()}
          - expect opened by the hub
          - repeat: 2
            steps:
              - tap 1.1 {DAN.hex()}
              - expect denied unknown credential
        """,
    )

    assert shown[0] == f"tap 1.1 {ANN.hex()}: lock 1.1: opened by the hub"
    assert shown.count("expect denied unknown credential: as expected") == 2


async def test_a_lock_behind_a_dead_repeater_is_on_its_own(building: Building) -> None:
    """Whoever stands behind a repeater without power, or behind one that does, is out of reach."""
    await play(
        building,
        f"""
        repeaters: {{stairs: {{}}, attic: {{behind: stairs}}}}
        locks: {{"1.1": {{behind: attic}}}}
        steps:
          - tap 1.1 {BEN.hex()}
          - expect opened by the hub
          - power off stairs
          - tap 1.1 {BEN.hex()}
          - expect opened offline list
          - tap 1.2 {BEN.hex()}
          - expect opened by the hub
        """,
    )


async def test_wrong_codes_make_the_keypad_wait(building: Building) -> None:
    """A keypad is typed at; from the fifth wrong code on it waits."""
    await play(
        building,
        """
        steps:
          - repeat: 5
            steps:
              - pin 1.1 000000
              - expect denied unknown credential
          - pin 1.1 000000
          - expect denied keypad waits
        """,
    )

    assert EntryKind.KEYPAD_WAITS in kinds(building)


async def test_a_phone_proves_itself_at_a_lock(building: Building) -> None:
    """A phone shows its key, gets its document, and is judged like any credential."""
    console = building.console
    key = (await console.do("phone pia")).facts["public_key"]
    assert isinstance(key, str)
    document = building.document_for(bytes.fromhex(key))

    await console.do(f"phone pia {b64encode(document).decode()}")
    answer = await console.do("use 1.1 pia")

    assert answer.text == "lock 1.1: denied by the hub: unknown credential"


async def test_doors_cases_and_batteries_are_told_by_their_contacts(building: Building) -> None:
    """A door that opens by itself is an intrusion; a case and a battery are incidents too."""
    await play(
        building,
        """
        steps:
          - door open 1.1
          - door shut 1.1
          - handle 1.1
          - door open 1.1
          - door shut 1.1
          - case open 1.1
          - case shut 1.1
          - battery 1.1 15
          - drift 1.1 50
        """,
    )

    assert kinds(building) == [
        EntryKind.INTRUSION,
        EntryKind.CLOSED,
        EntryKind.TAMPER,
        EntryKind.TAMPER_ENDED,
        EntryKind.BATTERY_LOW,
    ]


async def test_privacy_is_seen_and_waited_for(building: Building) -> None:
    """The button inside is pressed; whoever stands outside meets with it."""
    await play(
        building,
        f"""
        steps:
          - privacy 1.1
          - wait privacy 1.1
          - tap 1.1 {ANN.hex()}
          - expect denied privacy
          - privacy 1.1
          - wait normal 1.1
        """,
    )


async def test_what_was_not_expected_ends_it_with_the_place(building: Building) -> None:
    """The error says which step it was, and what came of it."""
    with pytest.raises(ScenarioError, match=r"steps\[1\].steps\[1\] .*expected opened: denied"):
        await play(
            building,
            f"""
            steps:
              - pause 0
              - repeat: 3
                steps:
                  - tap 1.1 {DAN.hex()}
                  - expect opened
            """,
        )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "a mapping with name and steps"),
        ("- tap", "a mapping with name and steps"),
        ("steps: [", "line 1: this is no YAML"),
        ("name: x", "steps: a list of steps is needed"),
        ("steps: []", "steps: a list of steps is needed"),
        ("stepps: [help]", "scenario: stepps is not known; there are locks, name, repeaters"),
        ("steps: [5]", r"steps\[0\]: a mapping is needed"),
        ("steps: [{repeat: 0, steps: [help]}]", r"steps\[0\].repeat: a whole number from 1"),
        ("steps: [{repeat: 2}]", r"steps\[0\].steps: a list of steps is needed"),
        ("steps: [{repeat: 5000, steps: [help, help, help]}]", "at most 10000 steps"),
        ("steps: &a [{repeat: 2, steps: *a}]", "contain themselves"),
        ("steps: [help]\nlocks: {'1.1': {colour: red}}", "locks.1.1: colour is not known"),
        ("steps: [help]\nlocks: [a]", "locks: a mapping is needed"),
        ("steps: [!!python/object/apply:os.getcwd []]", "this is no YAML"),
        ("#" * scenario.BYTES_MAX + "#", "at most 1048576 bytes"),
    ],
)
def test_what_is_no_scenario_is_refused_by_its_place(text: str, error: str) -> None:
    """Before anything is done, the place and the remedy are named."""
    with pytest.raises(ScenarioError, match=error):
        scenario.read(text)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("battery 1.1 101", "101 is not within 0 to 100"),
        ("drift 1.1 fast", "'fast' is no number"),
        ("place 1.1 behind 1.2", "1.2 is a hub or a lock and no repeater"),
        ("pin 1.1 12", "a PIN has 6 to 10 digits"),
        ("phone pia nonsense!", "written in base64"),
        ("use 1.1 pia", "does not answer this phone"),
    ],
)
async def test_a_word_that_cannot_be_done_ends_it(
    building: Building, line: str, error: str
) -> None:
    """The step is named with what is wrong about it."""
    with pytest.raises(ScenarioError, match=error):
        await play(building, f"steps: ['{line}']")


async def test_no_repeater_stands_behind_itself(building: Building) -> None:
    """A ring of repeaters is refused when it would close."""
    with pytest.raises(ScenarioError, match="would stand behind itself"):
        await play(building, "repeaters: {a: {behind: b}, b: {behind: a}}\nsteps: [help]")
