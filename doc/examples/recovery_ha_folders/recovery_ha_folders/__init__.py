"""Clusters of folders: an example of a provisioning plug-in."""
