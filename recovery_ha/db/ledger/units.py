"""Units of the current step, as those who provision tell of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.ledger.book import Book, StepKey
from recovery_ha.db.ledger.reports import report
from recovery_ha.db.session import connection, writer
from recovery_ha.domain import errors
from recovery_ha.domain.ledger import ReportItem, ReportVerdict, TaskStatus

_H = models.DeploymentHistory.metadata.tables["deployment_history"]


@dataclass(frozen=True, slots=True)
class Unit:
    """What an event of a step is about: an instance, or the cluster itself.

    :ivar node_id: the instance's id, or ``cluster``.
    :ivar place: the step it was begun in, perhaps none; "" before that: then
        it is one of the current step.
    """

    node_id: str
    name: str | None = None
    node_group_id: str | None = None
    place: StepKey | Literal[""] | None = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a unit failed.

    :ivar error_id: is in the log too; None: nobody has said one.
    :ivar traceback: masked and bounded.
    """

    message: str
    error_id: str | None = None
    traceback: str | None = None


@writer
def begin_unit(
    ctx: RequestContext,
    reference: str | int,
    unit: Unit,
    *,
    request_id: str | None = None,
) -> Unit:
    """Say that the current step has begun with a unit; harmless twice.

    :returns: the unit with its place, for :func:`end_unit`.
    :raises errors.TransactionNotFound: there is no such transaction.
    :raises errors.TransactionEnded: it has ended.
    """
    book = Book.open(ctx, reference)
    item = _item(book, unit, TaskStatus.RUNNING)
    _apply(ctx, book, [item], events=False, request_id=request_id)
    return replace(unit, place=_place(book, unit))


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a unit.

    :ivar successful: None: it has begun, or there is only a remark on it.
    :ivar failure: why it failed, if it did.
    :ivar info: a remark on it.
    """

    unit: Unit
    successful: bool | None = True
    failure: Failure | None = None
    info: str | None = None


@writer
def end_unit(
    ctx: RequestContext,
    reference: str | int,
    unit: Unit,
    *,
    failure: Failure | None = None,
    info: str | None = None,
    events: bool = True,
    request_id: str | None = None,
) -> None:
    """Say that the current step is done with a unit, or failed.

    :param failure: None: it is done.
    :param info: a remark on what is done.
    :raises errors.TransactionNotFound: (or another) see :func:`tell_units`.
    """
    said = Said(unit, failure is None, failure, info)
    tell_units(ctx, reference, [said], events=events, request_id=request_id)


@writer
def tell_units(
    ctx: RequestContext,
    reference: str | int,
    said: Sequence[Said],
    *,
    step_id: int | None = None,
    events: bool = True,
    request_id: str | None = None,
) -> None:
    """Say how a step went with several units, in the order of what is said.

    What ended before is a new attempt, except that a unit is done only once:
    saying that once more changes nothing. The number of statements does not
    depend on the number of units.

    :param said: at most half as many as a report has items.
    :param step_id: the step of them all; None: each one's place.
    :param events: write events, not only the history.
    :raises errors.TransactionNotFound: there is no such transaction.
    :raises errors.TransactionEnded: it has ended.
    """
    book = Book.open(ctx, reference)
    begun = [_item(book, one.unit, TaskStatus.RUNNING) for one in said]
    if step_id is not None:
        place = book.step_key(step_id)
        begun = [
            _item(book, replace(one.unit, place=place), TaskStatus.RUNNING)
            for one in said
        ]
    known = _latest(ctx, book, begun)
    items: list[ReportItem] = []
    for one, item in zip(said, begun, strict=True):
        key = (item.node_id, item.deployment_graph_task_name)
        items += _items(item, one, known.get(key))
        if items:
            known[key] = items[-1].task_status
    if items:
        _apply(ctx, book, items, events=events, request_id=request_id)


def _items(
    begun: ReportItem, said: Said, known: str | None
) -> list[ReportItem]:
    """Return what is reported of a unit.

    :param known: the status of its latest attempt.
    """
    if said.successful is None:
        return [replace(begun, event_info=said.info)]
    if said.successful and known == TaskStatus.READY:
        return []
    ended = replace(begun, task_status=TaskStatus.READY, event_info=said.info)
    if not said.successful:
        failure = said.failure or Failure(said.info or "")
        ended = replace(
            begun,
            task_status=TaskStatus.ERROR,
            message=failure.message,
            error_id=failure.error_id,
            traceback=failure.traceback,
        )
    return [ended] if known == TaskStatus.RUNNING else [begun, ended]


def _item(book: Book, unit: Unit, status: TaskStatus) -> ReportItem:
    type_, name, round_ = _place(book, unit) or (None, None, 1)
    task = name or book.run.name
    return ReportItem(
        unit.node_id,
        task if round_ == 1 else f"{task} ({round_})",
        status,
        time=book.time,
        node_type="instance",
        step_type=type_,
        step_name=name,
        step_round=round_,
        node_group_id=unit.node_group_id,
        instance_id=unit.node_id,
        instance_name=unit.name,
    )


def _place(book: Book, unit: Unit) -> StepKey | None:
    """Return the step of a unit, by default the newest that has begun.

    Not only an undecided one: a unit of a step that is decided may be tried
    once more.
    """
    if unit.place != "":
        return unit.place
    begun = [s for s in book.steps if book.step_state(s).started_at]
    return book.step_key(begun[-1]) if begun else None


def _latest(
    ctx: RequestContext, book: Book, items: Sequence[ReportItem]
) -> dict[tuple[str, str], str]:
    """Return the statuses of latest attempts, by node and task.

    One statement, or none.
    """
    if not items:
        return {}
    name = _H.c.deployment_graph_task_name
    rows = connection(ctx).execute(
        sa.select(_H.c.node_id, name, _H.c.status).where(
            _H.c.task_id == book.run.id,
            _H.c.node_id.in_(sorted({item.node_id for item in items})),
            name.in_(
                sorted({item.deployment_graph_task_name for item in items})
            ),
            _H.c.latest.is_(True),
        )
    )
    return {(row[0], row[1]): row[2] for row in rows}


def _apply(
    ctx: RequestContext,
    book: Book,
    items: list[ReportItem],
    *,
    events: bool,
    request_id: str | None,
) -> None:
    answers = report(
        ctx, book.run.id, items, events=events, request_id=request_id
    )
    for answer in answers:
        if answer.verdict not in {
            ReportVerdict.APPLIED,
            ReportVerdict.DUPLICATE,
        }:
            if book.is_ended:
                raise errors.TransactionEnded(answer.reason)
            raise errors.IllegalTransition(answer.reason)
