"""Adapters to the services around: the ports of ``domain.ports``."""
