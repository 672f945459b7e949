"""The API's microversions: one list, one line each.

The prose is in ``rest_api_version_history.rst``, which ships in the package
and is part of the documentation. A test refuses a version without a section.
"""

import re
from typing import NamedTuple

SERVICE_TYPE = "instance-ha"

_FORM = re.compile(r"([1-9][0-9]*)\.(0|[1-9][0-9]*)", re.ASCII)


class Version(NamedTuple):
    """A microversion; compares as one expects."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


MICROVERSIONS = (
    (Version(1, 0), "The first version."),
    (Version(1, 1), "recovery_workflow_details of a notification."),
    (Version(1, 2), "A segment can be disabled and enabled."),
    (Version(1, 3), "The vmoves of a notification."),
    (Version(1, 4), "transaction_id of a notification."),
)

MIN = MICROVERSIONS[0][0]
MAX = MICROVERSIONS[-1][0]


def parse(text: str) -> Version:
    """Return the version that a text such as ``1.2`` or ``latest`` names.

    :raises ValueError: it is of another form; ranges are not looked at.
    """
    if text == "latest":
        return MAX
    found = _FORM.fullmatch(text)
    if found is None or len(text) > len("1.1000000000"):
        raise ValueError(f"{text!r} is no version")
    return Version(int(found[1]), int(found[2]))
