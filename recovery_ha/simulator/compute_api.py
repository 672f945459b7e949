"""Nova: all its routes, and its version documents."""

from typing import Any

from recovery_ha.simulator import (
    compute_actions,
    compute_groups,
    compute_history,
    compute_hosts,
    compute_servers,
)
from recovery_ha.simulator.compute_service import (
    HIGHEST,
    LOWEST,
    ROUTES,
    SERVICE,
)
from recovery_ha.simulator.routing import Answer, Context

# Importing a module is what adds its routes.
PARTS = (
    compute_actions,
    compute_groups,
    compute_history,
    compute_hosts,
    compute_servers,
)

__all__ = ["PARTS", "SERVICE"]


def _version(context: Context) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": f"{HIGHEST[0]}.{HIGHEST[1]}",
        "min_version": f"{LOWEST[0]}.{LOWEST[1]}",
        "updated": "2013-07-23T11:33:21Z",
        "links": [
            {"rel": "self", "href": f"{context.root_url}/compute/v2.1/"}
        ],
    }


@ROUTES.add("GET", "/versions", public=True)
def versions(context: Context) -> Answer:
    """List the versions of the API."""
    return 200, {"versions": [_version(context)]}


@ROUTES.add("GET", "/", public=True)
def version(context: Context) -> Answer:
    """Describe the only version."""
    media = {
        "base": "application/json",
        "type": "application/vnd.openstack.compute+json;version=2.1",
    }
    return 200, {"version": {**_version(context), "media-types": [media]}}


@ROUTES.add("GET", "/limits")
def limits(context: Context) -> Answer:
    """Show the limits: nothing is limited."""
    unlimited = ("Cores", "Instances", "RAMSize", "ServerGroups")
    absolute = {f"maxTotal{name}": -1 for name in unlimited}
    absolute["totalInstancesUsed"] = len(context.world.servers)
    return 200, {"limits": {"rate": [], "absolute": absolute}}
