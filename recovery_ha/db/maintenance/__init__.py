"""Maintenance sessions as the database has them."""
