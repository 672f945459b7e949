"""The action: it has a version of the firmware run on a host."""

import time

from recovery_ha.plugin import HostAction
from recovery_ha_firmware.firmware import Firmware

#: Seconds between two looks whether the host is back.
_LOOK_SECONDS = 0.1


class WrongVersion(Exception):
    """What the session says cannot be done; the text says why."""


class UpdateFirmware(HostAction):
    """Update the firmware of a host.

    The session says which version: ``{"metadata": {"version": "2.1"}}``.
    """

    #: Completes the sentence "Failed to ..." in the session's history.
    what = "update the firmware"

    def run(self) -> str:
        """Do it; the session goes on when this returns.

        It is called again, from its beginning, when the engine has died in
        the middle. So each part of the work is looked for before it is done.

        :returns: what administrators are shown of it in the session.
        """
        version = self.metadata.get("version")
        if not isinstance(version, str) or not version:
            # Whatever is raised fails the session, with this text.
            raise WrongVersion("The metadata lacks the version.")
        options = self.conf.recovery_ha_firmware
        firmware = Firmware(options.path, self.host)
        before = firmware.running()
        if before == version:
            return f"{self.host} has version {version} already."
        if firmware.flashed() != version:
            # Shown, with a time, to those who follow the session.
            self.progress(0.6, f"Writing version {version}")
            firmware.flash(version)
        self.progress(0.7, "Restarting")
        # An engine that was cut off for a while does not own the session any
        # more: another one goes on. Ask before what cannot be taken back.
        if self.still_mine():
            firmware.restart()
        deadline = time.monotonic() + options.restart_seconds
        while firmware.running() != version:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.host} did not come back in time.")
            # Never sleep otherwise: this ends at once when the engine is to
            # stop, or the session is to be aborted.
            self.wait(_LOOK_SECONDS)
        return f"{self.host} has version {version} now, {before} before."
