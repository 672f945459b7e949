from datetime import datetime

import pytest

from recovery_ha.context import internal_context
from recovery_ha.db import recovery, segments, work
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.recovery import (
    NewNotification,
    NotificationType,
    RecoveryMethod,
)
from recovery_ha.tests.fixtures.databases import empty, open_database


@pytest.fixture
def database(migrated_url):
    database = open_database(migrated_url("sqlite"))
    empty(database)
    yield database
    database.dispose()


@pytest.fixture
def ctx(database):
    return internal_context(database)


@pytest.fixture
def claim(ctx):
    """Return a function that has a report accepted and claims it."""
    segment = segments.create_segment(
        ctx,
        name="one",
        recovery_method=RecoveryMethod.AUTO,
        service_type="COMPUTE",
    )
    segments.create_host(
        ctx,
        segment.uuid,
        name="compute-1",
        type="COMPUTE",
        control_attributes="SSH",
    )

    def claim(owner="alpha", seconds=60.0, event="STOPPED"):
        recovery.create_notification(
            ctx,
            NewNotification(
                type=NotificationType.COMPUTE_HOST,
                hostname="compute-1",
                generated_time=datetime(2026, 1, 2, 3, 4, 5),
                payload={"event": event, "host_status": "NORMAL"},
            ),
        )
        return work.claim_next(ctx, WorkKind.RECOVERY, owner, seconds)

    return claim
