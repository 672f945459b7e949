"""Evacuations against a small model of Nova, with everything that happens.

The model keeps to what Nova does: a second evacuation of a server whose
first is under way is accepted and destroys the server; a record turns open,
then done a moment after the server is on its new host. The driver does what
``EvacuateInstancesTask`` does, with the domain's decisions; it is killed at
any point, its requests and answers are lost, or arrive late.
"""

import dataclasses

from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_domain_evacuation import SOURCE, TARGET, a_move, a_server

from recovery_ha.domain.evacuation import (
    OPEN_MIGRATION,
    Step,
    judge,
    latest_evacuation,
    next_step,
    treatment,
)
from recovery_ha.domain.ports import Migration
from recovery_ha.domain.recovery import VMOVE, VMoveStatus

SETTLE = 10.0
#: A request that was sent reaches Nova within this time, or never.
DELIVERY = 8
MAX_ASKED = 5


class Killed(Exception):
    """The engine is gone, with all that it remembered."""


class Nova:
    """One server and its evacuation records."""

    def __init__(
        self, server, failing, rebuild_ticks, done_delay, deleted_after=None
    ):
        self.server = server
        self.records: list[dict] = []
        self.failing = failing
        self.ticks = (rebuild_ticks, done_delay)
        self.on_the_way: list[int] = []
        self.fought = False
        self.deleted_after = deleted_after

    def set(self, **values):
        self.server = dataclasses.replace(self.server, **values)

    def evacuate(self):
        """Take a request; Nova refuses none while it goes on."""
        if self.server is None or self.server.host != SOURCE:
            return
        if any(r["status"] in OPEN_MIGRATION for r in self.records):
            self.fought = True
        fails = self.failing.pop(0) if self.failing else None
        self.records.append({"status": "accepted", "age": 0, "fails": fails})
        self.set(task_state="rebuilding")

    def tick(self):
        if self.deleted_after is not None:
            self.deleted_after -= 1
            if self.deleted_after < 0:
                self.server = None
        self.on_the_way = [left - 1 for left in self.on_the_way]
        for left in self.on_the_way:
            if left <= 0:
                self.evacuate()
        self.on_the_way = [left for left in self.on_the_way if left > 0]
        for record in self.records:
            if record["status"] in OPEN_MIGRATION or "ready" in record:
                self._advance(record)

    def _advance(self, record):
        rebuild, delay = self.ticks
        record["age"] += 1
        if self.server is None:
            record["status"] = "error"
            return
        if record.get("ready"):
            if record["age"] >= rebuild + delay:
                record["status"] = "done"
                del record["ready"]
            return
        if record["age"] >= max(rebuild // 2, 1):
            record["status"] = "pre-migrating"
        if record["age"] < rebuild:
            return
        if record["fails"]:
            record["status"] = record["fails"]
            self.set(vm_state="error", task_state=None, fault="No valid host")
            return
        stopped = self.server.vm_state == "stopped"
        self.set(
            host=TARGET,
            vm_state="stopped" if stopped else "active",
            task_state=None,
        )
        record["ready"] = True

    def shown(self):
        return [
            Migration(number, "i-1", record["status"], SOURCE, TARGET)
            for number, record in enumerate(self.records, start=1)
        ]


class World:
    """The row, Nova and the clock; chaos decides what is lost."""

    def __init__(self, nova, chaos):
        self.nova, self.chaos, self.now = nova, iter(chaos), 1000.0
        server = nova.server
        self.move = a_move(
            status=VMoveStatus.PENDING,
            vm_state=server.vm_state,
            task_state=server.task_state,
            power_state=server.power_state,
        )

    def fate(self):
        return next(self.chaos, None)

    def pass_time(self, seconds=1):
        for _ in range(seconds):
            self.now += 1
            self.nova.tick()

    def write(self, status, **values):
        if status is not self.move.status:
            assert self.move.status in VMOVE.sources(status)
        self.move = dataclasses.replace(self.move, status=status, **values)

    def may_be_killed(self):
        if self.fate() == "killed":
            raise Killed


class Engine:
    """One engine's work on the move, from wherever the row says it is."""

    def __init__(self, world):
        self.world, self.asked, self.not_before = world, 0, 0.0

    def run(self):
        world = self.world
        while world.move.status in (VMoveStatus.PENDING, VMoveStatus.ONGOING):
            world.may_be_killed()
            self.look()
            world.pass_time()
            assert world.now < 1_000 + 60 * (1 + MAX_ASKED * 30), (
                "it waits for ever"
            )

    def look(self):
        move, nova = self.world.move, self.world.nova
        if move.status is VMoveStatus.PENDING and move.requested_at is None:
            self.ask()
            return
        record = latest_evacuation(move, nova.shown())
        decision = next_step(
            move, record, now=self.world.now, settle_seconds=SETTLE
        )
        if decision.step is Step.LOOK:
            decision = judge(move, record, nova.server)
        self.world.may_be_killed()
        self.act(decision)

    def act(self, decision):
        world, nova = self.world, self.world.nova
        match decision.step:
            case Step.ASK if self.asked >= MAX_ASKED:
                world.write(VMoveStatus.FAILED, message=decision.sentence)
            case Step.ASK if world.now >= self.not_before:
                self.ask()
            case Step.STOP | Step.SET_ERROR if nova.server is None:
                pass  # deleted since: the next look says so
            case Step.STOP:
                nova.set(vm_state="stopped", power_state=4)
            case Step.SET_ERROR:
                nova.set(vm_state="error")
            case Step.SUCCEED:
                world.write(
                    VMoveStatus.SUCCEEDED, dest_host=decision.dest_host
                )
            case Step.FAIL:
                world.write(VMoveStatus.FAILED, message=decision.sentence)
            case Step.IGNORE:
                world.write(VMoveStatus.IGNORED)

    def ask(self):
        world, nova = self.world, self.world.nova
        world.write(VMoveStatus.ONGOING, requested_at=world.now)
        self.asked += 1
        world.may_be_killed()
        move = world.move
        wanted = treatment(move.vm_state, move.task_state, move.power_state)
        if wanted.reset_before and nova.server is not None:
            nova.set(vm_state="error", task_state=None)
        match world.fate():
            case "killed":
                # The bytes were under way when the engine died.
                nova.on_the_way.append(world.fate_delay())
                raise Killed
            case "lost":
                self.no_answer()
            case "answer lost":
                nova.evacuate()
                self.no_answer()
            case "late":
                nova.on_the_way.append(world.fate_delay())
                self.no_answer()
            case _:
                if nova.server is None:
                    world.write(VMoveStatus.IGNORED)
                    return
                nova.evacuate()
                world.may_be_killed()
                world.write(VMoveStatus.ONGOING, accepted=True)

    def no_answer(self):
        # It stays written: the next look tells whether it took effect.
        self.not_before = self.world.now + min(2**self.asked, 30)


def _delay(self):
    return (int(self.now) * 7 + len(self.nova.records)) % DELIVERY + 1


World.fate_delay = _delay

STATES = [
    ("active", None, 1),
    ("active", "rebooting", 1),
    ("stopped", None, 4),
    ("stopped", "powering-on", 4),
    ("error", None, 0),
    ("resized", None, 1),
    ("paused", None, 3),
]
fates = st.lists(
    st.sampled_from(
        [None, None, None, "killed", "lost", "answer lost", "late"]
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(STATES),
    fates,
    st.lists(st.sampled_from([None, "failed", "error"]), max_size=2),
    st.integers(1, 20),
    st.integers(0, 3),
    st.none() | st.integers(0, 40),
)
@example(STATES[0], [None, "killed"], [], 3, 1, None)
@example(STATES[1], [None, "killed"], [], 3, 1, None)
@example(STATES[0], [None, None, "killed"] * 5, [], 3, 1, None)
@example(STATES[0], [None, None, "late"] * 3, [], 20, 1, None)
@example(STATES[4], [None, None, "answer lost"] * 3, [], 5, 3, None)
def test_an_evacuation_ends_well_whatever_happens(
    state, chaos, failing, rebuild, delay, deleted_after
):
    names = ("vm_state", "task_state", "power_state")
    server = a_server(**dict(zip(names, state, strict=True)))
    nova = Nova(server, list(failing), rebuild, delay, deleted_after)
    world = World(nova, chaos)
    for _ in range(len(chaos) + 1):
        try:
            Engine(world).run()
            break
        except Killed:
            world.pass_time(3)
    assert world.move.status in VMOVE.terminal | {VMoveStatus.FAILED}
    assert not nova.fought, "two evacuations of one server at once"
    _agree(world, treatment(*state))


def _agree(world, wanted):
    """The row says what the model says."""
    move, server = world.move, world.nova.server
    if move.status is VMoveStatus.IGNORED:
        assert server is None
    elif move.status is VMoveStatus.SUCCEEDED:
        if server is None:  # deleted in the last moment
            return
        assert server.host == move.dest_host == TARGET
        assert server.task_state is None
        if wanted.error_after:
            assert server.vm_state == "error"
        elif wanted.stop_after or move.vm_state == "stopped":
            assert server.vm_state == "stopped"
        else:
            assert server.vm_state == "active"
    else:
        assert move.status is VMoveStatus.FAILED
        failed = [r for r in world.nova.records if r["status"] == "error"]
        failed += [r for r in world.nova.records if r["fails"]]
        never_seen = not world.nova.records
        assert failed or never_seen
