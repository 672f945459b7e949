"""Times as the routes of the ledger show them."""

from datetime import UTC, datetime

from recovery_ha.api.views.recovery import time_text


def shown(value: datetime | None, *, epoch: bool) -> str | int | None:
    """Return a naive UTC time as ISO 8601, or in whole seconds.

    :param epoch: ``time_format=epoch`` was asked for.
    """
    if value is None or not epoch:
        return time_text(value)
    return int(value.replace(tzinfo=UTC).timestamp())
