"""Ownership: the lease columns of work rows, and locks on resources."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recovery_ha.db import types
from recovery_ha.db.models.base import MYSQL, Base


class Leased:
    """The columns that make a row claimable; only ``db.work`` writes them.

    ``wake_at`` is when the row may be claimed next and is NULL in terminal
    rows; ``lease_expires_at`` is NULL while nobody owns the row.
    """

    lease_owner: Mapped[str | None] = mapped_column(sa.String(255))
    lease_epoch: Mapped[int] = mapped_column(sa.Integer, default=0)
    lease_expires_at: Mapped[float | None] = mapped_column(types.Epoch)
    wake_at: Mapped[float | None] = mapped_column(types.Epoch)
    attempts: Mapped[int] = mapped_column(sa.Integer, default=0)


class ResourceLock(Base):
    """A host or instance that one piece of work has for itself."""

    __tablename__ = "resource_locks"
    __table_args__ = (
        sa.UniqueConstraint("type", "key"),
        sa.Index("ix_resource_locks_owner", "owner_uuid"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    type: Mapped[str] = mapped_column(sa.String(36))
    key: Mapped[str] = mapped_column(sa.String(255))
    owner_kind: Mapped[str] = mapped_column(sa.String(36))
    owner_uuid: Mapped[str] = mapped_column(sa.String(36))
    epoch: Mapped[int] = mapped_column(sa.Integer)
