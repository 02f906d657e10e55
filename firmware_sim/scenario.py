"""Scenarios: what people and faults do to simulated hardware, written down as YAML.

A scenario places the hardware and then takes steps. A step is a line of the prompt, or steps that
are repeated. docs/scenarios.md explains it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from firmware_sim.console import Console, Quit, WordError

BYTES_MAX: Final = 1024 * 1024
STEPS_MAX: Final = 10_000  # as they are taken, repetitions counted
TIMES_MAX: Final = 10_000
_KEYS: Final = {"name", "repeaters", "locks", "steps"}
_LOCK_KEYS: Final = {"behind": "place {lock} behind {it}", "battery": "battery {lock} {it}"} | {
    "drift_ppm": "drift {lock} {it}"
}


class ScenarioError(Exception):
    """A scenario that cannot be played; the text says where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the prompt, and where it stands."""

    where: str  # steps[2].steps[0]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Lines in the order in which they are done."""

    name: str
    lines: tuple[Line, ...]


def read(text: str) -> Scenario:
    """Return the scenario of a YAML document.

    Raises:
        ScenarioError: It is none; the text names the place.
    """
    if len(text.encode()) > BYTES_MAX:
        raise ScenarioError(f"a scenario has at most {BYTES_MAX} bytes")
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        raise ScenarioError(f"{place}this is no YAML") from error
    if not isinstance(found, dict):
        raise ScenarioError("a scenario is a mapping with name and steps")
    _require_keys(found, _KEYS, "scenario")
    lines = [*_placed(found.get("repeaters") or {}, found.get("locks") or {})]
    try:
        for line in _steps(found.get("steps"), "steps"):
            lines.append(line)
            if len(lines) > STEPS_MAX:
                raise ScenarioError(f"{line.where}: a scenario takes at most {STEPS_MAX} steps")
    except RecursionError as error:
        raise ScenarioError("steps: they contain themselves") from error
    return Scenario(name=str(found.get("name", "")), lines=tuple(lines))


async def play(console: Console, scenario: Scenario, *, show: Callable[[str], None]) -> None:
    """Do a scenario's lines in order.

    Raises:
        ScenarioError: A line cannot be done, or something else came of it than was expected.
    """
    for line in scenario.lines:
        try:
            answer = await console.do(line.text)
        except WordError as error:
            raise ScenarioError(f"{line.where} ({line.text}): {error}") from error
        except Quit:
            return
        show(f"{line.text}: {answer.text}\n" if answer.text else f"{line.text}\n")


def _placed(repeaters: object, locks: object) -> Iterator[Line]:
    for name, settings in _mapping(repeaters, "repeaters").items():
        where = f"repeaters.{name}"
        known = _mapping(settings or {}, where)
        _require_keys(known, {"behind"}, where)
        yield Line(where=where, text=f"repeater {name}")
        if "behind" in known:
            yield Line(where=where, text=f"place {name} behind {known['behind']}")
    for name, settings in _mapping(locks, "locks").items():
        where = f"locks.{name}"
        known = _mapping(settings or {}, where)
        _require_keys(known, set(_LOCK_KEYS), where)
        for key, value in known.items():
            yield Line(where=f"{where}.{key}", text=_LOCK_KEYS[key].format(lock=name, it=value))


def _steps(steps: object, where: str) -> Iterator[Line]:
    if not isinstance(steps, list) or not steps:
        raise ScenarioError(f"{where}: a list of steps is needed")
    for number, step in enumerate(steps):
        place = f"{where}[{number}]"
        if isinstance(step, str):
            yield Line(where=place, text=step)
            continue
        known = _mapping(step, place)
        _require_keys(known, {"repeat", "steps"}, place)
        times = known.get("repeat")
        if type(times) is not int or not 1 <= times <= TIMES_MAX:
            raise ScenarioError(f"{place}.repeat: a whole number from 1 to {TIMES_MAX} is needed")
        for _ in range(times):
            yield from _steps(known.get("steps"), f"{place}.steps")


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ScenarioError(f"{where}: a mapping is needed")
    return {str(key): each for key, each in value.items()}


def _require_keys(found: Mapping[str, Any], known: Sequence[str] | set[str], where: str) -> None:
    if unknown := sorted(str(key) for key in found if key not in known):
        choices = ", ".join(sorted(known))
        raise ScenarioError(f"{where}: {unknown[0]} is not known; there are {choices}")
