"""The commands.

oslo.service picks its backend once per process, and oslo.messaging asks it
while it is imported: threads are chosen here, before anything else.
"""

import warnings

from oslo_service import backend

# Libraries import eventlet where it is installed, and it says at length that
# one should not; nothing here uses it.
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
# openstacksdk warns of what it does itself.
warnings.filterwarnings("ignore", module=r"openstack\.")
backend.init_backend(backend.BackendType.THREADING)
