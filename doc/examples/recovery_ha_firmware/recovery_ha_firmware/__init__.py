"""Firmware updates in maintenance sessions: an example of an action."""
