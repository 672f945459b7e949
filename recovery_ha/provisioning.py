"""How plug-ins and the service itself tell what they provision.

Whoever works on a run enters it once (:func:`run`); from then on steps and
events find it by themselves, in the same thread and in those that are started
with a copy of its :mod:`contextvars` context. Which step is the current one
is known to the database, so that a process which goes on with the work of
another one that died adds to the same step.

Outside of any run nothing is written down: code that tells of its progress
can be used and tested by itself.
"""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar, runtime_checkable

from oslo_db import exception as db_exc
from oslo_utils import uuidutils

from recovery_ha import entry_points
from recovery_ha.context import RequestContext
from recovery_ha.db import work
from recovery_ha.db.ledger import events as ledger_events
from recovery_ha.db.ledger import steps, units
from recovery_ha.db.ledger.units import Failure, Unit
from recovery_ha.db.session import writer
from recovery_ha.domain import errors
from recovery_ha.domain.lease import Claim
from recovery_ha.domain.ledger import CLUSTER

LOG = logging.getLogger(__name__)

#: The entry points of provisioning plug-ins.
NAMESPACE = "recovery_ha.provisioning_plugins"

P = ParamSpec("P")
R = TypeVar("R")

#: Where an error keeps its id while it passes through several wrappers.
_ERROR_ID = "recovery_ha_error_id"
#: What ends work that has not failed: somebody goes on with it, or nobody
#: wants it any more.
INTERRUPTIONS = (
    errors.LeaseLost,
    errors.EngineStopping,
    errors.RecoveryInterrupted,
    errors.TransactionEnded,
    errors.DatabaseUnavailable,
    db_exc.DBError,
)
#: Instances that are told of in one transaction.
_AT_ONCE = 200


@runtime_checkable
class Instance(Protocol):
    """What an event is about."""

    instance_id: str
    instance_name: str
    node_group_id: str


@runtime_checkable
class EventInfo(Protocol):
    """Something that knows which instance it belongs to."""

    def get_event_info(self) -> Instance | None:
        """Return the instance; None: the whole cluster."""


@dataclass(frozen=True, slots=True)
class _Run:
    ctx: RequestContext
    transaction: str
    events: bool
    claim: Claim | None


_RUN: ContextVar[_Run | None] = ContextVar("recovery_ha_run", default=None)
_UNIT: ContextVar[Unit | None] = ContextVar("recovery_ha_unit", default=None)


def installed_plugins() -> frozenset[str]:
    """Return the names of the provisioning plug-ins that are installed here.

    None of them is imported.
    """
    points = entry_points.of_group(NAMESPACE)
    return frozenset(point.name for point in points)


@contextlib.contextmanager
def run(
    ctx: RequestContext,
    transaction: str,
    *,
    events: bool = True,
    claim: Claim | None = None,
) -> Iterator[None]:
    """Enter a run: what is told inside belongs to it.

    :param transaction: its uuid.
    :param events: False (``disable_event_log``): the history is written down,
        events are not.
    :param claim: whose owner works on it: whoever is not the owner any more
        writes nothing, and gets :class:`errors.LeaseLost`.
    """
    token = _RUN.set(_Run(ctx, transaction, events, claim))
    try:
        yield
    finally:
        _RUN.reset(token)


@contextlib.contextmanager
def about(instance: Instance | None) -> Iterator[None]:
    """Have events that name no instance be about this one.

    :param instance: None: the whole cluster.
    """
    token = _UNIT.set(_unit_of(instance))
    try:
        yield
    finally:
        _UNIT.reset(token)


def add_provisioning_step(
    step_name: str, total: int | None = None, step_type: str | None = None
) -> int | None:
    """Begin a step; the one before gets no further units.

    :param total: how many units it is going to have; None: not known.
    :param step_type: None: the run's name (``creating``, ...).
    :returns: its id; None outside of any run.
    :raises errors.TransactionEnded: the run has ended.
    """
    current = _RUN.get()
    if current is None:
        return None
    return _write(current, steps.begin, step_name, step_type, total=total).id


def add_successful_event(
    instance: Instance | None = None, info: str | None = None
) -> None:
    """Say that the current step is done with an instance.

    :param instance: None: the one of :func:`about`, else the whole cluster.
    :param info: a remark.
    :raises errors.TransactionEnded: the run has ended.
    """
    current = _RUN.get()
    if current is not None:
        _write(
            current,
            units.end_unit,
            _unit(instance),
            info=info,
            events=current.events,
            request_id=current.ctx.request_id,
        )


def add_successful_events(instances: Sequence[Instance]) -> None:
    """Say that the current step is done with many instances, at less cost.

    :raises errors.TransactionEnded: the run has ended.
    """
    current = _RUN.get()
    if current is None:
        return
    for first in range(0, len(instances), _AT_ONCE):
        some = instances[first : first + _AT_ONCE]
        _write(
            current,
            units.tell_units,
            [units.Said(_unit_of(instance)) for instance in some],
            events=current.events,
            request_id=current.ctx.request_id,
        )


def add_fail_event(
    instance: Instance | None, exception: BaseException
) -> str | None:
    """Say that the current step failed with an instance.

    The log has the error under the id that the event shows.

    :param instance: as for :func:`add_successful_event`.
    :returns: the error's id; None outside of any run.
    :raises errors.TransactionEnded: the run has ended.
    """
    current = _RUN.get()
    if current is None:
        return None
    return _fail(current, _unit(instance), exception)


def tell_failure(exception: BaseException) -> str | None:
    """Say that the run fails because of an error, unless that was said.

    :returns: the id that the error has in events and in the log; None
        outside of any run.
    :raises errors.TransactionEnded: the run has ended.
    """
    known: str | None = getattr(exception, _ERROR_ID, None)
    return known or add_fail_event(None, exception)


def _write(
    current: _Run, function: Callable[..., R], *args: Any, **kwargs: Any
) -> R:
    """Change something of a run, if it is still its owner who does."""

    @writer
    def change(ctx: RequestContext) -> R:
        if current.claim is not None:
            work.fence(ctx, current.claim)
        return function(ctx, current.transaction, *args, **kwargs)

    return change(current.ctx)


def _fail(current: _Run, unit: Unit, exception: BaseException) -> str:
    known = getattr(exception, _ERROR_ID, None)
    error_id = known or uuidutils.generate_uuid()
    if known is None:
        setattr(exception, _ERROR_ID, error_id)
        LOG.error(
            "%s failed in transaction %s. Error ID: %s",
            unit.name or unit.node_id,
            current.transaction,
            error_id,
            exc_info=exception,
        )
    _write(
        current,
        units.end_unit,
        unit,
        failure=Failure(
            str(exception) or type(exception).__name__,
            error_id,
            ledger_events.trace(exception),
        ),
        events=current.events,
        request_id=current.ctx.request_id,
    )
    return str(error_id)


def _unit_of(instance: Instance | None) -> Unit:
    if instance is None:
        return Unit(CLUSTER)
    return Unit(
        instance.instance_id, instance.instance_name, instance.node_group_id
    )


def _unit(instance: Instance | None) -> Unit:
    if instance is None:
        return _UNIT.get() or Unit(CLUSTER)
    return _unit_of(instance)


def event_wrapper(
    mark_successful_on_exit: bool,
    *,
    step: str | None = None,
    param: tuple[str, int] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Tell of each call of a function: that it began, and how it ended.

    What the call is about is the argument ``param``, else the first one that
    is an :class:`Instance` or has :meth:`EventInfo.get_event_info`, else what
    :func:`about` says, else the whole cluster. An error is told and goes on,
    except for one of :data:`INTERRUPTIONS`, which is no failure;
    when it passes through several wrappers it is logged once, and has the
    same id in all their events.

    :param mark_successful_on_exit: the unit is done when the function is.
    :param step: the call is a step by itself, of one unit.
    :param param: name and position of the argument.
    """

    def decorator(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            current = _RUN.get()
            if current is None:
                return function(*args, **kwargs)
            unit = _find_unit(args, kwargs, param)
            if step is not None:
                add_provisioning_step(step, 1)
            unit = _write(
                current,
                units.begin_unit,
                unit,
                request_id=current.ctx.request_id,
            )
            try:
                result = function(*args, **kwargs)
            except INTERRUPTIONS:
                raise
            except Exception as exc:
                _tell_failure(current, unit, exc)
                raise
            if mark_successful_on_exit:
                _write(
                    current,
                    units.end_unit,
                    unit,
                    events=current.events,
                    request_id=current.ctx.request_id,
                )
            return result

        return call

    return decorator


def _tell_failure(current: _Run, unit: Unit, exception: Exception) -> None:
    """Write a failure down, and never hide it behind another one."""
    try:
        _fail(current, unit, exception)
    except (db_exc.DBError, errors.RecoveryHAError):
        LOG.warning(
            "A failure in transaction %s could not be written down.",
            current.transaction,
            exc_info=True,
        )


def _find_unit(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    param: tuple[str, int] | None,
) -> Unit:
    if param is not None:
        name, position = param
        candidates = [kwargs.get(name), *args[position : position + 1]]
    else:
        candidates = [*args, *kwargs.values()]
    for candidate in candidates:
        if isinstance(candidate, Instance):
            return _unit_of(candidate)
        if isinstance(candidate, EventInfo):
            return _unit(candidate.get_event_info())
    return _unit(None)
