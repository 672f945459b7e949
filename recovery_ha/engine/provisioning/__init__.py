"""Clusters that plug-ins provision."""
