"""Maintenance host by host, with a rest in between: an example."""
