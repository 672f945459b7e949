import re
from enum import StrEnum

import pytest

from recovery_ha.domain.machine import StateMachine
from recovery_ha.domain.recovery import (
    NOTIFICATION,
    VMOVE,
    NotificationStatus,
    VMoveStatus,
)

MACHINES = pytest.mark.parametrize(
    ("machine", "states"),
    [(NOTIFICATION, NotificationStatus), (VMOVE, VMoveStatus)],
    ids=["notification", "vmove"],
)


@MACHINES
def test_the_table_has_every_state(machine, states):
    assert set(machine.moves) == set(states)


@MACHINES
def test_each_state_is_reachable(machine, states):
    reached, fresh = set(), {machine.initial}
    while fresh:
        reached |= fresh
        fresh = {t for s in fresh for t in machine.moves[s]} - reached
    assert reached == set(states)


@MACHINES
def test_something_terminal_is_reachable_from_each_state(machine, states):
    ending = set(machine.terminal)
    for _ in states:
        ending |= {s for s, after in machine.moves.items() if after & ending}
    assert ending == set(states)


@MACHINES
def test_terminal_and_unfinished_are_all_states_and_disjoint(machine, states):
    assert machine.terminal | machine.unfinished == set(states)
    assert not machine.terminal & machine.unfinished
    assert machine.initial in machine.unfinished


@MACHINES
def test_sources_are_the_moves_read_backwards(machine, states):
    for target in states:
        assert machine.sources(target) == {
            s for s in states if target in machine.moves[s]
        }


def test_terminal_states_are_those_that_clients_know():
    assert NOTIFICATION.terminal == {"finished", "ignored", "failed"}
    assert VMOVE.terminal == {"ignored", "succeeded"}


class Light(StrEnum):
    RED = "red"
    GREEN = "green"
    OFF = "off"


def test_a_diagram_shows_each_state_and_each_move_once():
    machine = StateMachine(
        name="light",
        initial=Light.RED,
        moves={
            Light.RED: frozenset({Light.OFF, Light.GREEN}),
            Light.GREEN: frozenset({Light.RED}),
            Light.OFF: frozenset(),
        },
    )
    assert machine.to_dot() == (
        'digraph "light" {\n'
        "  rankdir=LR;\n"
        "  red [shape=ellipse];\n"
        "  red -> green;\n"
        "  red -> off;\n"
        "  green [shape=ellipse];\n"
        "  green -> red;\n"
        "  off [shape=doublecircle];\n"
        "}\n"
    )


@MACHINES
def test_a_diagram_agrees_with_the_table(machine, states):
    dot = machine.to_dot()
    arrows = set(re.findall(r"(\w+) -> (\w+);", dot))
    assert arrows == {
        (str(s), str(t)) for s, after in machine.moves.items() for t in after
    }
    for state in states:
        assert f"  {state} [shape=" in dot
