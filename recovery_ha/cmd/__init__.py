"""The commands."""

import recovery_ha.threads  # noqa: F401 - before anything else
