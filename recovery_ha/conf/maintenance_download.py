"""The archives that sessions may have unpacked for their actions."""

import re
from typing import Any

import urllib3
from oslo_config import cfg

from recovery_ha.conf.json_types import JSONObject

GROUP = "maintenance_download"

_SCHEMES = ("http", "https")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Archives(JSONObject):
    """SHA-256 checksums by URL."""

    of = "SHA-256 checksums by URL"

    def member(self, name: str, value: Any) -> str:
        """Return the checksum of an archive in lower case.

        :raises ValueError: the URL is none, has a user or password, which
            whoever sees a session would see, or the checksum is none.
        """
        try:
            url = urllib3.util.parse_url(name)
        except urllib3.exceptions.LocationParseError as exc:
            raise ValueError(f"{name!r} is no URL: {exc}") from exc
        if url.auth is not None:
            raise ValueError(
                f"a URL of host {url.host} has a user or password, which"
                " sessions would show"
            )
        if url.scheme not in _SCHEMES or not url.host:
            raise ValueError(
                f"{name!r} is no URL that begins with https:// or http://"
            )
        checksum = value.lower() if isinstance(value, str) else ""
        if not _SHA256.fullmatch(checksum):
            raise ValueError(
                f"the SHA-256 of {name} is not 64 hexadecimal digits"
            )
        return checksum


OPTS = [
    cfg.Opt(
        "archives",
        type=Archives(),
        default={},
        sample_default='{"https://files.example.org/firmware-2.1.tar.gz": '
        '"<its SHA-256>"}',
        help="The archives (tar, also compressed by gzip, bzip2 or xz, or "
        "zip) that a session may name in its 'download', by URL, each with "
        "its SHA-256 as 64 hexadecimal digits. An engine fetches and unpacks "
        "them before it runs an action of the session. The API and all "
        "engines need the same value. A URL is shown to whoever sees the "
        "session, so it may have no user or password; a dollar sign is "
        "written twice.",
    ),
    cfg.StrOpt(
        "directory",
        default="/var/lib/recovery_ha/downloads",
        help="Where an engine keeps what it has unpacked, each archive in a "
        "directory named by its checksum. The engine's user must be able to "
        "make it, or to write in it. Nothing is removed from it but what "
        "was begun and not ended.",
    ),
    cfg.IntOpt(
        "max_size",
        default=100 * 1024**2,
        min=1,
        help="Bytes that an archive may have as it is fetched.",
    ),
    cfg.IntOpt(
        "max_unpacked_size",
        default=1024**3,
        min=1,
        help="Bytes that an archive may have when it is unpacked. Those "
        "that tar itself needs count, too.",
    ),
    cfg.FloatOpt(
        "timeout",
        default=300.0,
        min=0.1,
        help="Seconds within which an archive must be fetched and unpacked, "
        "or the action fails.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
