"""The Guru Meditation Report: what a process is doing, on SIGUSR2.

oslo.reports writes it: all threads with their stacks, the configuration with
its secrets masked, and the sections that were registered here.
"""

import importlib.metadata
from collections.abc import Callable
from types import FrameType
from typing import Any

from oslo_config import cfg
from oslo_reports import guru_meditation_report, opts
from oslo_reports.generators.conf import ConfigReportGenerator

_PACKAGE = "recovery_ha"


class _Version:
    """The package as oslo.reports asks for it."""

    def vendor_string(self) -> str:
        return "OpenStack"

    def product_string(self) -> str:
        return _PACKAGE

    def version_string_with_package(self) -> str:
        return importlib.metadata.version(_PACKAGE)


def register_section(title: str, write: Callable[[], str]) -> None:
    """Add a section to the reports of this process.

    :param write: returns its text. It is called in the main thread, between
        two instructions of whatever runs there: it must not wait for a lock
        that the main thread may hold.
    """
    guru_meditation_report.TextGuruMeditation.register_section(title, write)


def install(
    conf: cfg.ConfigOpts, program: str, *, on_signal: bool = True
) -> None:
    """Write a report at each SIGUSR2, or when ``file_event_handler`` changes.

    It goes to standard error, or to a file in ``[oslo_reports] log_dir``.

    :param program: the name in the file's name.
    :param on_signal: False where the signal is somebody else's: in a WSGI
        server.
    :raises OSError: the file to watch does not exist.
    """
    opts.set_defaults(conf)

    class Report(guru_meditation_report.TextGuruMeditation):
        def __init__(self, version: Any, frame: FrameType | None = None):
            super().__init__(version, frame)

        def add_section(
            self,
            heading: Any,
            generator: Callable[[], Any],
            index: int | None = None,
        ) -> None:
            """Show our own configuration; there are no green threads."""
            if heading == "Green Threads":
                return
            if heading == "Configuration":
                generator = ConfigReportGenerator(conf)
            super().add_section(heading, generator, index)

    Report.setup_autorun(
        _Version(), service_name=program, conf=conf, setup_signal=on_signal
    )
