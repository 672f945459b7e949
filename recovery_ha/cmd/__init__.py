"""The commands.

oslo.service picks its backend once per process, and oslo.messaging asks it
while it is imported: threads are chosen here, before anything else.
"""

from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)
