"""The evacuation of one host: looking, deciding, acting.

One thread looks and decides, a bounded pool acts. A look is one list of
Nova's evacuation records for all instances together; servers are read only
when their record says that something has happened, host by host. Every
request is written on the vmove row before it is sent, and what was sent by an
engine that died is looked for in Nova before it is sent again.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from concurrent import futures
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from recovery_ha.db import types, vmoves, work
from recovery_ha.domain import errors
from recovery_ha.domain.evacuation import (
    DONE_MIGRATION,
    Decision,
    Step,
    judge,
    latest_evacuation,
    next_step,
    treatment,
)
from recovery_ha.domain.ports import Migration, Server
from recovery_ha.domain.recovery import VMove, VMoveStatus
from recovery_ha.engine.recovery.tasks import Environment
from recovery_ha.plugin import RecoveryTask

LOG = logging.getLogger(__name__)

_OPEN = frozenset({VMoveStatus.PENDING, VMoveStatus.ONGOING})
#: How many times one instance's evacuation is asked for in one attempt when
#: Nova does not answer.
_MAX_ASKED = 5
#: Requests at once; more evacuations than this may be under way.
_MAX_THREADS = 16


@dataclass(slots=True)
class _Track:
    """What this process remembers of one move; a restart may forget it."""

    move: VMove
    changed_at: float
    record_status: str | None = None
    asked: int = 0
    not_before: float = 0.0
    sent: bool = False
    stop_sent: bool = False
    job: "futures.Future[VMove] | None" = None
    counted: bool = field(default=False)


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
    ) -> None:
        """Prepare to go on with the moves of a host.

        :param task: to report progress by, and to wait with.
        """
        self._task = task
        self._env = environment
        self._conf = environment.conf
        self._compute = environment.compute
        self._host = host_name
        now = time.monotonic()
        self._tracks = [_Track(move, now) for move in moves]
        self._changed_at = now
        self._next_look = now
        # Nova's clock may differ from the database's.
        self._since = min(m.created_at for m in moves) - timedelta(hours=1)
        self._slots: int = self._conf.host_failure_recovery_threads
        self._pool = futures.ThreadPoolExecutor(
            min(self._slots, _MAX_THREADS), "evacuate"
        )

    def __enter__(self) -> "Evacuation":
        return self

    def __exit__(self, *_exc: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        for track in self._tracks:
            self._uncount(track)

    def run(self) -> list[VMove]:
        """Go on until every move has ended.

        :returns: the moves as they ended, in order.
        :raises errors.LeaseLost: (or EngineStopping) somebody else goes on.
        """
        resumed = [
            t for t in self._tracks if t.move.status is VMoveStatus.ONGOING
        ]
        for track in resumed:
            self._count(track)
        if any(_needs_look(track.move) for track in self._tracks):
            self._look()
        while open_tracks := self._open():
            self._env.lease.check()
            self._start_pending(open_tracks)
            self._rest(open_tracks)
            self._collect(open_tracks)
            if time.monotonic() >= self._next_look:
                self._look()
        self._task.progress(0.95, self._summary())
        return [track.move for track in self._tracks]

    def _open(self) -> list[_Track]:
        return [t for t in self._tracks if t.move.status in _OPEN]

    def _summary(self) -> str:
        moves = [track.move for track in self._tracks]
        done = sum(m.status is VMoveStatus.SUCCEEDED for m in moves)
        return f"{done} of {len(moves)} instances evacuated from {self._host}"

    # Slots: so many evacuations at once per host, and in the whole engine

    def _count(self, track: _Track) -> bool:
        if not track.counted:
            track.counted = self._env.evacuations.acquire(blocking=False)
        return track.counted

    def _uncount(self, track: _Track) -> None:
        if track.counted:
            track.counted = False
            self._env.evacuations.release()

    def _start_pending(self, open_tracks: list[_Track]) -> None:
        """Begin with those that nobody has asked for, while slots last."""
        busy = sum(_is_busy(track) for track in open_tracks)
        for track in open_tracks:
            if busy >= self._slots:
                return
            fresh = track.move.status is VMoveStatus.PENDING
            if not fresh or track.job or _needs_look(track.move):
                continue
            if not self._count(track):
                return
            self._submit(track, self._ask)
            busy += 1

    # Waiting

    def _rest(self, open_tracks: list[_Track]) -> None:
        """Wait for a job to end or for the next look, whichever is first."""
        self._task.flush()
        jobs = [t.job for t in open_tracks if t.job is not None]
        left = max(self._next_look - time.monotonic(), 0.0)
        if jobs:
            futures.wait(
                jobs, timeout=left, return_when=futures.FIRST_COMPLETED
            )
        else:
            self._task.wait(left)

    def _collect(self, tracks: Iterable[_Track]) -> None:
        for track in tracks:
            if track.job is None or not track.job.done():
                continue
            job, track.job = track.job, None
            self._update(track, job.result())

    def _update(self, track: _Track, move: VMove) -> None:
        track.move = move
        track.changed_at = self._changed_at = time.monotonic()
        if move.status in _OPEN:
            return
        self._uncount(track)
        ended = sum(t.move.status not in _OPEN for t in self._tracks)
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
        pause = self._conf.verify_interval
        quiet = time.monotonic() - self._changed_at
        self._next_look = time.monotonic() + min(
            pause, max(pause / 4, quiet / 8)
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
        for track in tracks:
            record = latest_evacuation(track.move, records)
            status = record.status if record else None
            if status != track.record_status:
                track.record_status = status
                track.changed_at = self._changed_at = time.monotonic()
            decision = next_step(
                track.move, record, now=now, settle_seconds=settle
            )
            if decision.step is not Step.LOOK:
                self._act(track, decision)
            elif status in DONE_MIGRATION:
                self._uncount(track)
                arrived.append((track, record))
            else:
                to_judge.append((track, record))
        if self._worth_judging(arrived):
            to_judge += arrived
        servers = self._servers(to_judge)
        for track, record in to_judge:
            server = servers.get(track.move.instance_uuid)
            self._act(track, judge(track.move, record, server))

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

    def _act(self, track: _Track, decision: Decision) -> None:
        if self._too_long(track):
            self._submit(
                track,
                self._end(
                    VMoveStatus.FAILED,
                    f"No progress in time. {decision.sentence}",
                ),
            )
            return
        match decision.step:
            case Step.ASK if time.monotonic() >= track.not_before:
                if track.asked >= _MAX_ASKED:
                    self._submit(
                        track,
                        self._end(VMoveStatus.FAILED, decision.sentence),
                    )
                else:
                    self._submit(track, self._ask)
            case Step.STOP if not track.stop_sent:
                self._submit(track, self._stop)
            case Step.SET_ERROR:
                self._submit(track, self._set_error)
            case Step.SUCCEED:
                self._submit(
                    track,
                    self._end(
                        VMoveStatus.SUCCEEDED,
                        decision.sentence,
                        decision.dest_host,
                    ),
                )
            case Step.FAIL:
                self._submit(
                    track, self._end(VMoveStatus.FAILED, decision.sentence)
                )
            case Step.IGNORE:
                self._submit(
                    track, self._end(VMoveStatus.IGNORED, decision.sentence)
                )

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

    # Acting: each of these runs in the pool and returns the new vmove

    def _submit(
        self, track: _Track, action: Callable[[_Track], VMove]
    ) -> None:
        track.job = self._pool.submit(self._guarded, action, track)

    def _guarded(
        self, action: Callable[[_Track], VMove], track: _Track
    ) -> VMove:
        try:
            return action(track)
        except errors.ComputeNotFound:
            return self._write(
                track.move,
                VMoveStatus.IGNORED,
                message="The instance was deleted meanwhile.",
                end_time=types.utcnow(),
                locked_by_us=False,
            )
        except errors.ComputeUnavailable as exc:
            LOG.warning("Instance %s: %s", track.move.instance_uuid, exc)
            track.not_before = time.monotonic() + min(2**track.asked, 30)
            values: dict[str, Any] = {"message": str(exc)}
            if not track.sent:
                values["requested_at"] = None
            # Else whether it took effect is unknown: the next look tells.
            return self._write(track.move, VMoveStatus.ONGOING, **values)
        except errors.ComputeError as exc:
            return self._end(VMoveStatus.FAILED, str(exc))(track)
        except errors.EngineStopping:
            # Raised before anything was sent: whoever goes on need not wait
            # for an evacuation to show.
            if not track.move.accepted:
                self._write(track.move, track.move.status, requested_at=None)
            raise

    def _write(self, move: VMove, status: VMoveStatus, **values: Any) -> VMove:
        return vmoves.transition_vmove(
            self._env.ctx, self._env.lease.claim, move, status, **values
        )

    def _ask(self, track: _Track) -> VMove:
        """Lock the instance and ask Nova to evacuate it.

        What is about to be done is on the row before it is done.
        """
        move = track.move = self._write(
            track.move,
            VMoveStatus.ONGOING,
            requested_at=types.now(),
            locked_by_us=not track.move.was_locked,
            start_time=track.move.start_time or types.utcnow(),
            attempts=track.move.attempts + 1,
            message=None,
        )
        track.asked += 1
        track.sent = False
        wanted = treatment(move.vm_state, move.task_state, move.power_state)
        if move.locked_by_us:
            self._compute.lock_server(
                move.instance_uuid,
                f"Evacuated by recovery_ha, notification"
                f" {move.notification_uuid}.",
            )
        if wanted.reset_before:
            self._compute.reset_server_state(move.instance_uuid, "error")
        track.sent = True
        self._compute.evacuate_server(move.instance_uuid, None)
        return self._write(move, VMoveStatus.ONGOING, accepted=True)

    def _stop(self, track: _Track) -> VMove:
        with contextlib.suppress(errors.ComputeConflict):
            # Refused when it is stopping or stopped already.
            self._compute.stop_server(track.move.instance_uuid)
        track.stop_sent = True
        return track.move

    def _set_error(self, track: _Track) -> VMove:
        self._compute.reset_server_state(track.move.instance_uuid, "error")
        return track.move

    def _end(
        self, status: VMoveStatus, message: str, dest_host: str | None = None
    ) -> Callable[[_Track], VMove]:
        """Return the action that unlocks an instance and ends its move."""

        def end(track: _Track) -> VMove:
            move, said = track.move, message
            locked = move.locked_by_us
            if locked:
                try:
                    self._compute.unlock_server(move.instance_uuid)
                    locked = False
                except errors.ComputeNotFound:
                    locked = False
                except errors.ComputeError as exc:
                    said = f"{message} It is still locked: {exc}"
            return self._write(
                move,
                status,
                message=said,
                dest_host=dest_host,
                end_time=types.utcnow(),
                locked_by_us=locked,
            )

        return end


def _is_busy(track: _Track) -> bool:
    """Tell whether a move takes one of the slots.

    It does while Nova works on it: not any more when it has arrived and
    waits to be judged.
    """
    if track.job is not None:
        return True
    under_way = track.move.status is VMoveStatus.ONGOING
    return under_way and track.record_status not in DONE_MIGRATION


def _needs_look(move: VMove) -> bool:
    """Tell whether Nova must be asked before anything is done."""
    return move.status in _OPEN and (
        move.accepted or move.requested_at is not None
    )
