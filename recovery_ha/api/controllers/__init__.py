"""One class per resource; the tree of URLs is in ``root``."""
