"""Entry points for WSGI servers."""

import recovery_ha.threads  # noqa: F401 - before anything else
