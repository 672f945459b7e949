"""What is asked of Nova for one instance of a failed host.

These run in threads and write nothing: each returns what is to be written
down, and the thread that leads the evacuation does so.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from recovery_ha.db import types
from recovery_ha.domain import errors
from recovery_ha.domain.evacuation import treatment
from recovery_ha.domain.ports import ComputePort
from recovery_ha.domain.recovery import VMove, VMoveStatus

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What has become of a request, in terms of the vmove's row.

    :ivar status: the row's new state, or None for the one it has.
    :ivar values: of other columns.
    :ivar unheard: Nova did not answer; it may be tried again later.
    :ivar failure: Nova's words, when it failed and nobody knows whether it
        took effect: if not, the move has failed.
    """

    status: VMoveStatus | None = None
    values: Mapping[str, Any] | None = None
    unheard: bool = False
    failure: str | None = None


class Requests:
    """The requests of one host's evacuation."""

    def __init__(self, compute: ComputePort, target: str | None) -> None:
        """Prepare to send.

        :param target: the host to evacuate to; None leaves it to Nova.
        """
        self._compute = compute
        self._target = target

    def send(self, action: Callable[[VMove], Answer], move: VMove) -> Answer:
        """Do one of the others, and turn what it raises into an answer.

        :raises errors.LeaseLost: (or EngineStopping) nothing was sent.
        """
        try:
            return action(move)
        except errors.ComputeNotFound:
            return Answer(
                VMoveStatus.IGNORED,
                {
                    "message": "The instance was deleted meanwhile.",
                    "end_time": types.utcnow(),
                    "locked_by_us": False,
                },
            )
        except errors.ComputeUnavailable as exc:
            LOG.warning("Instance %s: %s", move.instance_uuid, exc)
            return Answer(values={"message": str(exc)}, unheard=True)
        except errors.ComputeError as exc:
            return self.end(VMoveStatus.FAILED, str(exc))(move)

    def evacuate(self, move: VMove) -> Answer:
        """Lock the instance, if its row says so, and evacuate it."""
        wanted = treatment(move.vm_state, move.task_state, move.power_state)
        try:
            if move.locked_by_us:
                self._compute.lock_server(
                    move.instance_uuid,
                    f"Evacuated by recovery_ha, notification"
                    f" {move.notification_uuid}.",
                )
            if wanted.reset_before:
                self._compute.reset_server_state(move.instance_uuid, "error")
        except errors.ComputeUnavailable as exc:
            LOG.warning("Instance %s: %s", move.instance_uuid, exc)
            return Answer(
                values={"message": str(exc), "requested_at": None},
                unheard=True,
            )
        # From here on no answer means that nobody knows whether it took
        # effect: the next look tells.
        try:
            self._compute.evacuate_server(move.instance_uuid, self._target)
        except errors.ComputeFailed as exc:
            return Answer(values={"message": str(exc)}, failure=str(exc))
        return Answer(values={"accepted": True})

    def stop(self, move: VMove) -> Answer:
        """Stop an instance on its new host."""
        with contextlib.suppress(errors.ComputeConflict):
            # Refused when it is stopping or stopped already.
            self._compute.stop_server(move.instance_uuid)
        return Answer()

    def set_error(self, move: VMove) -> Answer:
        """Have an instance in error, as it was found."""
        self._compute.reset_server_state(move.instance_uuid, "error")
        return Answer()

    def give_up(self, sentence: str) -> Callable[[VMove], Answer]:
        """Return the action that fails a move, if its instance is there.

        Nova's record of one that was deleted may stay open for good.

        :param sentence: why.
        """

        def look(move: VMove) -> Answer:
            said = sentence
            try:
                if self._compute.find_server(move.instance_uuid) is None:
                    raise errors.ComputeNotFound(sentence)
            except errors.ComputeUnavailable as exc:
                said = f"{sentence} {exc}"  # its time is over all the same
            return self.end(VMoveStatus.FAILED, said)(move)

        return look

    def end(
        self, status: VMoveStatus, message: str, dest_host: str | None = None
    ) -> Callable[[VMove], Answer]:
        """Return the action that unlocks an instance and ends its move."""

        def unlock(move: VMove) -> Answer:
            said, locked = message, move.locked_by_us
            if locked:
                try:
                    self._compute.unlock_server(move.instance_uuid)
                    locked = False
                except errors.ComputeNotFound:
                    locked = False
                except errors.ComputeError as exc:
                    said = f"{message} It is still locked: {exc}"
            return Answer(
                status,
                {
                    "message": said,
                    "dest_host": dest_host,
                    "end_time": types.utcnow(),
                    "locked_by_us": locked,
                },
            )

        return unlock
