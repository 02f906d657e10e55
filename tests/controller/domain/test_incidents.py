"""What a log tells of incidents, in whatever order it comes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.incidents import (
    ENDED_BY,
    GUESSES_MAX,
    LASTING,
    IncidentKind,
    Line,
    guessed_at,
    told,
)
from gateway.protocol.messages import FIRST_INCIDENT, EntryKind

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORDS = sorted({kind.value for kind in ENDED_BY} | set().union(*ENDED_BY.values()))
LOGS = st.lists(st.sampled_from(WORDS), max_size=30)


def line(sequence: int, kind: str) -> Line:
    """A line of a log, a minute after the one before."""
    return Line(sequence=sequence, kind=kind, at=NOON + timedelta(minutes=sequence))


@given(LOGS, st.sampled_from(sorted(ENDED_BY)), st.randoms())
def test_incidents_follow_from_the_numbers_alone(
    words: list[str], kind: IncidentKind, chance: object
) -> None:
    """However the lines are shuffled, each incident is there once and ends where the log says."""
    lines = [line(sequence, word) for sequence, word in enumerate(words, 1)]
    shuffled = list(lines)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # Hypothesis has no type for it

    found = told(kind, shuffled)

    assert [each.line for each in found] == [each for each in lines if each.kind == kind]
    for each in found:
        later = lines[each.line.sequence :]
        ends = [one.at for one in later if one.kind in ENDED_BY[kind] | {kind}]
        expected = (ends[0] if ends else None) if kind in LASTING else each.line.at
        assert each.over_at == expected


@given(LOGS, st.sampled_from(sorted(ENDED_BY)), st.data())
def test_a_line_that_comes_late_changes_ends_and_nothing_else(
    words: list[str], kind: IncidentKind, data: st.DataObject
) -> None:
    """No incident goes away, and no end moves but to an earlier one."""
    lines = [line(sequence, word) for sequence, word in enumerate(words, 1)]
    here = data.draw(st.lists(st.sampled_from(lines), unique=True)) if lines else []

    before = {each.line.sequence: each.over_at for each in told(kind, here)}
    after = {each.line.sequence: each.over_at for each in told(kind, lines)}

    assert before.keys() <= after.keys()
    for sequence, over_at in before.items():
        if over_at is not None:
            assert after[sequence] is not None
            assert after[sequence] <= over_at  # type: ignore[operator]  # the line before


def test_every_incident_of_the_link_has_its_place() -> None:
    """What a lock can report from the first incident on either is one here or ends one."""
    known = set(ENDED_BY) | set().union(*ENDED_BY.values())

    assert {kind.name.lower() for kind in EntryKind if kind >= FIRST_INCIDENT} <= known


@pytest.mark.parametrize(
    ("tries", "within_s", "found"), [(19, 60, 0), (20, 3599, 1), (20, 3600, 0)]
)
def test_twenty_wrong_pins_within_an_hour_are_too_many(
    tries: int, within_s: int, found: int
) -> None:
    """Not nineteen, and not when the first is an hour old."""
    instants = [NOON] * (tries - 1) + [NOON + timedelta(seconds=within_s)]

    assert len(guessed_at(instants)) == found


def test_an_attack_that_goes_on_is_one_incident() -> None:
    """A try a minute for three hours is told of three times, each an hour after the one before."""
    instants = [NOON + timedelta(minutes=minute) for minute in range(180)]

    found = guessed_at(instants)

    assert found == [instants[GUESSES_MAX - 1 + 60 * hour] for hour in range(3)]
