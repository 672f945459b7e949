"""Clusters as they are provisioned: types of runs, statuses, sentences.

Names are Sahara's (reference, sections 1 and 3).
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from recovery_ha.domain.history import Step
from recovery_ha.domain.ledger import TransactionStatus


class StepType(StrEnum):
    """What a run does with a cluster; the type of its steps."""

    CREATING = "creating"
    SCALING = "scaling"
    DELETING = "deleting"


class ClusterStatus(StrEnum):
    """The statuses that the service itself sets; others are anybody's."""

    VALIDATING = "Validating"
    SPAWNING = "Spawning"
    SCALING = "Scaling"
    DELETING = "Deleting"
    ACTIVE = "Active"
    ERROR = "Error"


#: What a cluster is while a run of a type is worked on.
STATUS_OF_TYPE = {
    StepType.CREATING: ClusterStatus.SPAWNING,
    StepType.SCALING: ClusterStatus.SCALING,
    StepType.DELETING: ClusterStatus.DELETING,
}
#: The statuses that end a run which is told from outside, and how.
ENDS: Mapping[str, TransactionStatus] = {
    ClusterStatus.ACTIVE: TransactionStatus.READY,
    ClusterStatus.ERROR: TransactionStatus.ERROR,
}
#: The key of a cluster under which the names of its steps are, by step type,
#: if they were given when it was created.
PLAN_KEY = "provisioning_steps"


def find_current(steps: Sequence[Step]) -> Step | None:
    """Return the step that a cluster is at.

    :param steps: in their order.
    :returns: the newest that is begun and undecided, else the newest that
        failed; None if there is neither.
    """
    undecided = [
        step
        for step in steps
        if step.successful is None and step.started_at is not None
    ]
    failed = [step for step in steps if step.successful is False]
    return next(reversed([*failed[-1:], *undecided[-1:]]), None)


def sentence(step: Step) -> str:
    """Return how far a step is, in the spec's words."""
    if step.successful is not True:
        return (
            f"{step.step_name} completed: {step.completed} out of {step.total}"
        )
    return (
        f"{step.step_name} completed {step.completed} out of {step.total}"
        f" in {duration_text(step.duration or 0.0)}"
    )


def duration_text(seconds: float) -> str:
    """Return a duration in words: ``10 minutes``, ``1 hour 5 minutes``.

    Its two largest units; less than a second is told as 0 seconds.
    """
    left = int(seconds)
    parts = []
    for name, size in _UNITS:
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {name}{'' if number == 1 else 's'}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 seconds"


_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
