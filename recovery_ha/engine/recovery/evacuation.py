"""The evacuation of one host: looking, deciding, acting.

One thread looks, decides and writes, a bounded pool sends. A look is one list
of Nova's evacuation records for all instances together; servers are read only
when their record says that something has happened, host by host. What is
about to be sent is on the vmove's row before it is, and what was sent by an
engine that died is looked for in Nova before it is sent again.
"""

import time
from collections.abc import Callable, Iterable
from concurrent import futures
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from recovery_ha.db import types, vmoves, work
from recovery_ha.db.vmoves import Change
from recovery_ha.domain import errors
from recovery_ha.domain.evacuation import (
    DONE_MIGRATION,
    Decision,
    Step,
    judge,
    latest_evacuation,
    needs_lock,
    next_step,
)
from recovery_ha.domain.pacing import pause
from recovery_ha.domain.ports import Migration, Server
from recovery_ha.domain.recovery import OPEN_MOVES, VMove, VMoveStatus
from recovery_ha.engine.recovery.environment import Environment
from recovery_ha.engine.recovery.requests import Answer, Requests
from recovery_ha.plugin import RecoveryTask

_ONGOING = VMoveStatus.ONGOING
#: How many times one instance's evacuation is asked for in one attempt when
#: Nova does not answer.
_MAX_ASKED = 5
#: Requests at once; more evacuations than this may be under way.
_MAX_THREADS = 16


@dataclass(slots=True)
class _Track:
    """What this process remembers of one move; a restart may forget it.

    :ivar changed_at: (and the other times) on the monotonic clock.
    :ivar accepted_at: when Nova accepted the evacuation.
    :ivar asked: how often it was asked for here.
    :ivar failure: how Nova failed when it was asked for last.
    :ivar not_before: when it may be asked for again.
    :ivar asking: the job asks for the evacuation.
    """

    move: VMove
    changed_at: float
    accepted_at: float | None = None
    record_status: str | None = None
    asked: int = 0
    not_before: float = 0.0
    asking: bool = False
    failure: str | None = None
    stop_sent: bool = False
    job: "futures.Future[Answer] | None" = None


#: A move and Nova's record of it.
_Looked = tuple[_Track, Migration | None]


class Evacuation:
    """The evacuation of one host, from wherever its rows say it stands."""

    def __init__(
        self,
        task: RecoveryTask,
        environment: Environment,
        host_name: str,
        moves: list[VMove],
        target: str | None = None,
    ) -> None:
        """Prepare to go on with the moves of a host.

        :param task: to report progress by, and to wait with.
        :param target: the host to evacuate to; None leaves it to Nova.
        """
        self._task = task
        self._env = environment
        self._conf = environment.conf
        self._compute = environment.compute
        self._requests = Requests(environment.compute, target)
        self._host = host_name
        now = time.monotonic()
        self._tracks = [_Track(move, now) for move in moves]
        self._changed_at = now
        self._next_look = now
        self._shortest: float | None = None
        # Nova's clock may differ from the database's.
        self._since = min(m.created_at for m in moves) - timedelta(hours=1)
        self._slots: int = self._conf.host_failure_recovery_threads
        self._threads = min(self._slots, _MAX_THREADS)
        self._pool = futures.ThreadPoolExecutor(self._threads, "evacuate")

    def __enter__(self) -> "Evacuation":
        return self

    def __exit__(self, *_exc: object) -> None:
        # Places are kept until the moves, or the work on the host, have
        # ended: a later task may wait for what is still under way.
        self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self, *, until_on_record: bool = False) -> list[VMove]:
        """Go on until every move has ended.

        :param until_on_record: or is known to Nova: an evacuation record
            says how far it is.
        :returns: the moves as they stand then, in order.
        :raises errors.LeaseLost: (or EngineStopping) somebody else goes on.
        """
        for track in self._open():
            if _may_be_under_way(track.move):
                self._env.places.adopt(track.move)
        try:
            if any(_needs_look(track.move) for track in self._tracks):
                self._look()
            while not self._is_over(until_on_record):
                self._env.lease.check()
                self._start_pending()
                self._rest()
                self._collect()
                if time.monotonic() >= self._next_look:
                    self._look()
        except (errors.EngineStopping, errors.RecoveryInterrupted):
            self._put_in_order()
            raise
        self._task.progress(0.95, self._summary(until_on_record))
        return [track.move for track in self._tracks]

    def _open(self) -> list[_Track]:
        return [t for t in self._tracks if t.move.status in OPEN_MOVES]

    def _is_over(self, until_on_record: bool) -> bool:
        return all(
            until_on_record and t.job is None and t.record_status is not None
            for t in self._open()
        )

    def _summary(self, until_on_record: bool) -> str:
        moves = [track.move for track in self._tracks]
        if until_on_record:
            known = sum(m.status is not VMoveStatus.FAILED for m in moves)
            return (
                f"{known} of {len(moves)} evacuations from {self._host}"
                " accepted by Nova"
            )
        done = sum(m.status is VMoveStatus.SUCCEEDED for m in moves)
        return f"{done} of {len(moves)} instances evacuated from {self._host}"

    # Places: so many evacuations at once per host, and in the whole engine

    def _start_pending(self) -> None:
        """Begin with those that nobody has asked for, while places last."""
        open_tracks = self._open()
        jobs = sum(track.job is not None for track in open_tracks)
        busy = sum(_is_busy(track) for track in open_tracks)
        room = min(self._slots - busy, self._threads - jobs)
        chosen: list[_Track] = []
        for track in open_tracks:
            if len(chosen) >= room:
                break
            fresh = track.move.status is VMoveStatus.PENDING
            if not fresh or track.job or _needs_look(track.move):
                continue
            if not self._env.places.take(track.move):
                break
            chosen.append(track)
        self._ask(chosen)

    # Waiting

    def _rest(self) -> None:
        """Wait for a job to end or for the next look, whichever is first."""
        self._task.flush()
        jobs = [t.job for t in self._tracks if t.job is not None]
        left = max(self._next_look - time.monotonic(), 0.0)
        if jobs:
            futures.wait(
                jobs, timeout=left, return_when=futures.FIRST_COMPLETED
            )
        else:
            self._task.wait(left)

    def _collect(self) -> None:
        """Write down what the jobs that have ended were answered."""
        ended = [(t, t.job) for t in self._tracks if t.job and t.job.done()]
        changes = [(t, self._heard(t, job.result())) for t, job in ended]
        for track, _job in ended:
            track.job = None
        self._write(changes)

    def _heard(self, track: _Track, answer: Answer) -> Change:
        values = dict(answer.values or {})
        if values.get("accepted"):
            track.accepted_at = time.monotonic()
        track.failure = answer.failure
        if answer.unheard:
            track.not_before = time.monotonic() + min(2**track.asked, 30)
        return Change(track.move, answer.status or track.move.status, values)

    def _put_in_order(self) -> None:
        """Leave rows on which another engine can go on without waiting.

        An evacuation that was not sent need not be looked for.
        """
        self._pool.shutdown(wait=True, cancel_futures=True)
        changes = []
        for track in self._tracks:
            job, track.job = track.job, None
            if job is None:
                continue
            if not job.cancelled() and job.exception() is None:
                changes.append((track, self._heard(track, job.result())))
            elif track.asking:
                unsent = Change(
                    track.move, track.move.status, {"requested_at": None}
                )
                changes.append((track, unsent))
        self._write(changes)

    def _write(self, changes: list[tuple[_Track, Change]]) -> None:
        """Change the rows of some moves, all or none."""
        if not changes:
            return
        moves = vmoves.transition_vmoves(
            self._env.ctx, self._env.lease.claim, [c for _t, c in changes]
        )
        self._changed_at = time.monotonic()
        for (track, _change), move in zip(changes, moves, strict=True):
            self._env.teller.moved(
                track.move.status, move, self._env.notification.request_id
            )
            track.move = move
            track.changed_at = self._changed_at
            if move.status not in OPEN_MOVES:
                self._env.places.give_back(move)
                self._tell(move)

    def _tell(self, move: VMove) -> None:
        ended = sum(t.move.status not in OPEN_MOVES for t in self._tracks)
        self._task.progress(
            0.5 + 0.45 * ended / len(self._tracks),
            f"{ended}/{len(self._tracks)} {move.instance_name}"
            f" ({move.instance_uuid}) {move.status}: {move.message}",
        )

    # Looking and deciding

    def _look(self) -> None:
        """Ask Nova about all moves at once and act on what it says."""
        waiting = [
            track
            for track in self._open()
            if track.job is None
            and (
                track.move.status is VMoveStatus.ONGOING
                or _needs_look(track.move)
            )
        ]
        if waiting:
            records = self._compute.list_evacuations(self._host, self._since)
            self._decide(waiting, records, work.clock(self._env.ctx))
        now = time.monotonic()
        self._next_look = now + pause(
            self._conf.verify_interval,
            quiet=now - self._changed_at,
            under_way=[
                now - track.accepted_at
                for track in self._open()
                if track.accepted_at is not None
                and track.record_status not in DONE_MIGRATION
            ],
            shortest=self._shortest,
        )

    def _decide(
        self, tracks: list[_Track], records: list[Migration], now: float
    ) -> None:
        settle = float(
            max(
                self._conf.engine.lease_seconds, self._conf.nova.settle_seconds
            )
        )
        to_judge: list[_Looked] = []
        arrived: list[_Looked] = []
        decided: list[tuple[_Track, Decision]] = []
        for track in tracks:
            record = latest_evacuation(track.move, records)
            self._note(track, record.status if record else None)
            decision = next_step(
                track.move, record, now=now, settle_seconds=settle
            )
            if decision.step is not Step.LOOK:
                decided.append((track, decision))
            elif track.record_status in DONE_MIGRATION:
                self._env.places.give_back(track.move)
                arrived.append((track, record))
            else:
                to_judge.append((track, record))
        if self._worth_judging(arrived):
            to_judge += arrived
        servers = self._servers(to_judge)
        for track, record in to_judge:
            server = servers.get(track.move.instance_uuid)
            decided.append((track, judge(track.move, record, server)))
        self._act(decided)

    def _note(self, track: _Track, status: str | None) -> None:
        """Remember how far Nova's record of a move is."""
        if status == track.record_status:
            return
        now = time.monotonic()
        track.record_status = status
        track.changed_at = self._changed_at = now
        if status in DONE_MIGRATION and track.accepted_at is not None:
            took = now - track.accepted_at
            self._shortest = min(took, self._shortest or took)

    def _worth_judging(self, arrived: list[_Looked]) -> bool:
        """Tell whether to read the servers that have arrived.

        A read lists a whole host: it waits until all have arrived, or for
        one interval after the first.
        """
        if not arrived:
            return False
        first = min(track.changed_at for track, _record in arrived)
        waited = time.monotonic() - first
        return (
            len(arrived) == len(self._open())
            or waited >= self._conf.verify_interval
        )

    def _servers(self, wanted: list[_Looked]) -> dict[str, Server]:
        """Read servers: one list per host where several have arrived."""
        found: dict[str, Server] = {}
        hosts = {
            record.dest_compute
            for _track, record in wanted
            if record and record.status in DONE_MIGRATION
        }
        for host in sorted(host for host in hosts if host):
            found |= {s.id: s for s in self._compute.list_servers(host)}
        for track, _record in wanted:
            uuid = track.move.instance_uuid
            if uuid not in found:
                server = self._compute.find_server(uuid)
                if server is not None:
                    found[uuid] = server
        return found

    def _too_long(self, track: _Track) -> bool:
        """Tell whether nothing has happened to a move for too long.

        One that Nova has accepted but not begun with is in a queue behind
        the others: their progress counts for it.
        """
        since = track.changed_at
        if track.record_status in {None, "accepted"}:
            since = max(since, self._changed_at)
        limit = self._conf.wait_period_after_evacuation
        if track.stop_sent:
            limit = self._conf.wait_period_after_power_off
        return time.monotonic() - since > float(limit)

    # Acting

    def _act(self, decided: list[tuple[_Track, Decision]]) -> None:
        """Begin with what was decided."""
        to_ask: list[_Track] = []
        for track, decision in decided:
            sentence, end = decision.sentence, self._requests.end
            refusal = _refusal(track, sentence)
            if self._too_long(track):
                sentence = f"No progress in time. {sentence}"
                self._submit(track, self._requests.give_up(sentence))
                continue
            match decision.step:
                case Step.ASK if refusal:
                    self._submit(track, end(VMoveStatus.FAILED, refusal))
                case Step.ASK if time.monotonic() >= track.not_before:
                    to_ask.append(track)
                case Step.STOP if not track.stop_sent:
                    track.stop_sent = True
                    self._submit(track, self._requests.stop)
                case Step.SET_ERROR:
                    self._submit(track, self._requests.set_error)
                case Step.SUCCEED:
                    dest = decision.dest_host
                    succeed = end(VMoveStatus.SUCCEEDED, sentence, dest)
                    self._submit(track, succeed)
                case Step.FAIL:
                    self._submit(track, end(VMoveStatus.FAILED, sentence))
                case Step.IGNORE:
                    self._submit(track, end(VMoveStatus.IGNORED, sentence))
        self._ask(to_ask)

    def _ask(self, tracks: Iterable[_Track]) -> None:
        """Ask Nova for evacuations; the rows say so before it is done."""
        changes = [
            (t, Change(t.move, _ONGOING, self._intent(t.move))) for t in tracks
        ]
        self._write(changes)
        for track, _change in changes:
            track.asked += 1
            self._submit(track, self._requests.evacuate, asking=True)

    def _intent(self, move: VMove) -> dict[str, Any]:
        always = self._conf.host_failure.lock_instances == "always"
        lock = not move.was_locked and (always or needs_lock(move))
        return {
            "requested_at": types.now(),
            "locked_by_us": move.locked_by_us or lock,
            "start_time": move.start_time or types.utcnow(),
            "attempts": move.attempts + 1,
            "message": None,
        }

    def _submit(
        self,
        track: _Track,
        action: Callable[[VMove], Answer],
        *,
        asking: bool = False,
    ) -> None:
        track.asking = asking
        track.job = self._pool.submit(self._requests.send, action, track.move)


def _refusal(track: _Track, sentence: str) -> str | None:
    """Return why an evacuation is not asked for once more, if it is not."""
    if track.failure is not None:
        return track.failure
    if track.asked >= _MAX_ASKED:
        return " ".join(filter(None, (sentence, track.move.message)))
    return None


def _is_busy(track: _Track) -> bool:
    """Tell whether a move takes one of the slots.

    It does while Nova works on it: not any more when it has arrived and
    waits to be judged.
    """
    if track.job is not None:
        return True
    arrived = track.record_status in DONE_MIGRATION
    return _may_be_under_way(track.move) and not arrived


def _may_be_under_way(move: VMove) -> bool:
    return move.status is _ONGOING or _needs_look(move)


def _needs_look(move: VMove) -> bool:
    """Tell whether Nova must be asked before anything is done."""
    return move.status in OPEN_MOVES and (
        move.accepted or move.requested_at is not None
    )
