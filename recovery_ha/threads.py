"""Threads, and nothing but threads: the first import of every process.

oslo.service picks its backend once per process, and oslo.messaging asks for
it while it is imported. futurist and taskflow import eventlet wherever it is
installed (it comes with oslo.service), which costs 18 MiB and a page of
warnings for something that is never used: it is made to look absent.
"""

import sys
import warnings

sys.modules.setdefault("eventlet", None)  # type: ignore[arg-type]

from oslo_service import backend  # noqa: E402 - see above

# openstacksdk warns of what it does itself.
warnings.filterwarnings("ignore", module=r"openstack\.")
backend.init_backend(backend.BackendType.THREADING)
