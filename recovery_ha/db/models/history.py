"""The ledger: what ran, and what was said about it."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recovery_ha.db import types
from recovery_ha.db.models.base import MYSQL, Base, Timestamps


class Transaction(Timestamps, Base):
    """One run of something; a recovery's has its notification's uuid."""

    __tablename__ = "transactions"
    __table_args__ = (MYSQL,)

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(36))


class Event(Base):
    """One remark about a run; rows are added and never changed."""

    __tablename__ = "events"
    __table_args__ = (
        sa.Index("ix_events_transaction_id", "transaction_id", "id"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True
    )
    transaction_id: Mapped[int] = mapped_column(
        sa.Integer, sa.ForeignKey("transactions.id", ondelete="CASCADE")
    )
    task: Mapped[str | None] = mapped_column(sa.String(255))
    progress: Mapped[float | None] = mapped_column(sa.Double)
    event_info: Mapped[str] = mapped_column(types.LongText)
    request_id: Mapped[str | None] = mapped_column(sa.String(64))
    created_at: Mapped[datetime] = mapped_column(types.DateTime)
