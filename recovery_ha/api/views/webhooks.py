"""Webhooks; nobody is shown the secret of one."""

from typing import Any

from recovery_ha.api.views.recovery import time_text
from recovery_ha.db.maintenance.webhooks import Webhook


def webhook(item: Webhook) -> dict[str, Any]:
    """Return a webhook."""
    return {
        "id": item.uuid,
        "project_id": item.project_id,
        "url": item.url,
        "created_at": time_text(item.created_at),
    }
