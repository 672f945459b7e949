"""What gates said about a notification, for those who ask why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.session import connection, reader
from recovery_ha.domain.gates import Decision, Verdict

_D = models.GateDecision


@dataclass(frozen=True, slots=True)
class Decided:
    """What a gate said last.

    :ivar created_at: when it was asked first.
    :ivar updated_at: when its answer changed, None if it never did.
    """

    decision: Decision
    created_at: datetime
    updated_at: datetime | None


@reader
def list_decisions(
    ctx: RequestContext, notification_uuid: str
) -> list[Decided]:
    """Return what gates said, in the order in which they were asked first."""
    rows = connection(ctx).execute(
        sa.select(
            _D.gate,
            _D.verdict,
            _D.sentence,
            _D.inputs,
            _D.limit,
            _D.subject,
            _D.created_at,
            _D.updated_at,
        )
        .where(_D.notification_uuid == notification_uuid)
        .order_by(_D.id)
    )
    return [
        Decided(
            Decision(
                row.gate,
                Verdict(row.verdict),
                row.sentence,
                row.inputs,
                row.limit,
                row.subject,
            ),
            row.created_at,
            row.updated_at,
        )
        for row in rows
    ]


@reader
def find_inputs(
    ctx: RequestContext, notification_uuid: str, gate: str
) -> dict[str, Any]:
    """Return what a gate looked at last; nothing if it was not asked."""
    found = connection(ctx).scalar(
        sa.select(_D.inputs).where(
            _D.notification_uuid == notification_uuid,
            _D.gate == gate,
            _D.subject == "",
        )
    )
    return dict(found or {})
