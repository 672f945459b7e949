"""Maintenance sessions: from a claimed one to its next state."""
