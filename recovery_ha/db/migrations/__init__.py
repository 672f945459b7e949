"""Alembic's environment and our migrations."""
