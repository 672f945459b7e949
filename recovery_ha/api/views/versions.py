"""The documents by which clients find the API and its versions."""

from typing import Any

from recovery_ha import microversion

_MEDIA_TYPES = [
    {
        "base": "application/json",
        "type": "application/vnd.openstack.masakari+json;version=1",
    }
]
_UPDATED = "2016-07-01T11:33:21Z"


def _version(href: str) -> dict[str, Any]:
    return {
        "id": "v1.0",
        "status": "CURRENT",
        "version": str(microversion.MAX),
        "min_version": str(microversion.MIN),
        "updated": _UPDATED,
        "links": [{"rel": "self", "href": href}],
    }


def versions(base: str) -> dict[str, Any]:
    """Return the list at ``/``.

    :param base: the URL of the API without its version and a slash.
    """
    return {"versions": [_version(f"{base}/v1/")]}


def version(base: str) -> dict[str, Any]:
    """Return the document at ``/v1``."""
    document = _version(f"{base}/v1/")
    document["links"].append(
        {
            "rel": "describedby",
            "type": "text/html",
            "href": "https://docs.openstack.org/",
        }
    )
    document["media-types"] = _MEDIA_TYPES
    return {"version": document}


def choices(base: str, path: str) -> dict[str, Any]:
    """Return what a URL without a version is answered.

    :param path: the path that was asked for, from its slash on.
    """
    return {
        "choices": [
            {
                "id": "v1.0",
                "status": "CURRENT",
                "links": [{"rel": "self", "href": f"{base}/v1{path}"}],
                "media-types": _MEDIA_TYPES,
            }
        ]
    }


def fuel_version(*, auth_required: bool) -> dict[str, Any]:
    """Return what Fuel says of itself, as far as its clients read it.

    :param auth_required: requests need a token.
    """
    return {
        "api": "1",
        "auth_required": auth_required,
        "feature_groups": [],
        "release": str(microversion.MAX),
    }
