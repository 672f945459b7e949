"""What was said and decided about a recovery, and its transaction."""

from typing import Any

from recovery_ha.api.views.recovery import time_text
from recovery_ha.db.actions import Transaction
from recovery_ha.db.decisions import Decided
from recovery_ha.domain.history import Event


def event(item: Event) -> dict[str, Any]:
    """Return a remark."""
    return {
        "id": item.id,
        "task": item.task,
        "progress": item.progress,
        "message": item.text,
        "request_id": item.request_id,
        "created_at": time_text(item.created_at),
    }


def decision(item: Decided) -> dict[str, Any]:
    """Return what a gate said."""
    said = item.decision
    return {
        "gate": said.gate,
        "verdict": str(said.verdict),
        "sentence": said.sentence,
        "inputs": dict(said.inputs),
        "limit": said.limit,
        "subject": said.subject or None,
        "created_at": time_text(item.created_at),
        "updated_at": time_text(item.updated_at),
    }


def transaction(item: Transaction) -> dict[str, Any]:
    """Return a transaction as it is after an action."""
    return {
        "id": item.id,
        "uuid": item.uuid,
        "kind": item.kind,
        "origin_id": item.origin_id,
        "status": item.status,
    }
