"""Rules on the version documents, which need no token and so no rule.

The names are Masakari's: a policy file that holds them is accepted.
"""

from recovery_ha.policies.base import discoverable, documented

INDEX = "os_masakari_api:versions:index"

RULES = [
    documented(INDEX, "@", "Show the API's versions.", ("GET", "/")),
    discoverable("versions", "@"),
]
