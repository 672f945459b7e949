"""``application`` for uWSGI, mod_wsgi, gunicorn and the like.

``OS_RECOVERY_HA_CONFIG_DIR`` (``/etc/recovery_ha``) says where the
configuration is, ``OS_RECOVERY_HA_CONFIG_FILES`` (``recovery-ha.conf``) which
files of it are read, separated by semicolons.
"""

import atexit
import gc
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from recovery_ha import guru
from recovery_ha.api.app import make_app
from recovery_ha.api.exposure import refuse_remote_noauth
from recovery_ha.api.middleware import App
from recovery_ha.clients.events import Emitter
from recovery_ha.conf import new_config
from recovery_ha.db import migration
from recovery_ha.db.session import Database
from recovery_ha.rpc.client import EngineClient

_FILE = "recovery-ha.conf"


class _Wake:
    """The engine client of this process.

    Servers import this module and fork; a thread does not survive that, so
    each process starts its own at its first wake-up.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._lock = threading.Lock()
        self._client: EngineClient | None = None
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._client = None

    def __call__(self) -> None:
        with self._lock:
            if self._client is None:
                self._client = EngineClient(self._conf)
        self._client.wake()


def _files(environ: Mapping[str, str]) -> list[str]:
    folder = Path(environ.get("OS_RECOVERY_HA_CONFIG_DIR", "/etc/recovery_ha"))
    named = environ.get("OS_RECOVERY_HA_CONFIG_FILES", "").split(";")
    files = [str(folder / name.strip()) for name in named if name.strip()]
    if files:
        return files
    default = folder / _FILE
    return [str(default)] if default.is_file() else []


def init_application(environ: Mapping[str, str] = os.environ) -> App:
    """Return the application of an environment's configuration.

    :raises errors.DatabaseNotReady: and the server should not start.
    :raises errors.InvalidConfiguration: likewise.
    """
    conf = new_config([], default_config_files=_files(environ))
    log.setup(conf, "recovery_ha")
    refuse_remote_noauth(conf, None)
    database = Database(conf)
    migration.check_ready(database)
    # No connection may be shared by processes that fork from this one.
    database.dispose()
    # Signals are the server's.
    guru.install(conf, "recovery-ha-api", on_signal=False)
    events = Emitter(conf, "recovery-ha-api")
    # Servers tell an application nothing of their end; each process that
    # they fork runs this at its own.
    atexit.register(events.stop)
    return make_app(conf, database, _Wake(conf), events=events)


application = init_application()
# All that is here now stays: looking through it for garbage, again and again,
# would cost a twentieth of the processor, and forked workers share it as long
# as nobody touches it.
gc.collect()
gc.freeze()
