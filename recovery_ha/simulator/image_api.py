"""Glance, version 2: what images say of themselves."""

from typing import Any

from werkzeug.wrappers import Request

from recovery_ha.simulator.compute_service import stamp_z
from recovery_ha.simulator.images import MIB, Image
from recovery_ha.simulator.routing import (
    Answer,
    Context,
    Routes,
    Service,
    Version,
)

ROUTES = Routes()
HIGHEST = (2, 17)
#: What may be said of a new image and is no property.
FIELDS = frozenset(
    {
        "container_format",
        "disk_format",
        "id",
        "min_disk",
        "min_ram",
        "name",
        "owner",
        "protected",
        "tags",
        "visibility",
    }
)


def _negotiate(request: Request) -> Version:
    """Glance has no microversions that are negotiated."""
    del request
    return HIGHEST


def _headers(version: Version) -> dict[str, str]:
    """Glance adds no headers of its own."""
    del version
    return {}


def _error(status: int, message: str) -> dict[str, Any]:
    return {"message": message, "code": str(status), "title": "Error"}


SERVICE = Service(
    "image", "/image", "/v2", ROUTES, _negotiate, _headers, _error
)


@ROUTES.add("GET", "/versions", public=True)
def versions(context: Context) -> Answer:
    """List the versions of the API."""
    href = f"{context.root_url}/image/v2/"
    found = {
        "id": f"v{HIGHEST[0]}.{HIGHEST[1]}",
        "status": "CURRENT",
        "links": [{"rel": "self", "href": href}],
    }
    return 300, {"versions": [found]}


@ROUTES.add("GET", "/images")
def list_images(context: Context) -> Answer:
    """List the images, in one page."""
    return 200, {
        "images": [_shown(image) for image in context.world.images.all()],
        "first": "/v2/images",
        "schema": "/v2/schemas/images",
    }


@ROUTES.add("GET", "/images/<image_id>")
def show_image(context: Context) -> Answer:
    """Show an image."""
    return 200, _shown(context.world.images.get(context.params["image_id"]))


@ROUTES.add("POST", "/images")
def create_image(context: Context) -> Answer:
    """Create an image; the simulator asks for no data of it."""
    body = context.body if isinstance(context.body, dict) else {}
    image = context.world.images.set(
        body.get("id"),
        name=str(body.get("name")),
        properties={key: body[key] for key in body if key not in FIELDS},
        tags=body.get("tags"),
    )
    return 201, _shown(image)


@ROUTES.add("DELETE", "/images/<image_id>")
def delete_image(context: Context) -> Answer:
    """Delete an image."""
    context.world.images.remove(context.params["image_id"])
    return 204, None


def _shown(image: Image) -> dict[str, Any]:
    """Return an image; its properties stand beside its own fields."""
    path = f"/v2/images/{image.id}"
    return {
        **image.properties,
        "id": image.id,
        "name": image.name,
        "status": "active",
        "visibility": "public",
        "protected": False,
        "os_hidden": False,
        "checksum": None,
        "os_hash_algo": None,
        "os_hash_value": None,
        "owner": image.owner,
        "size": MIB,
        "virtual_size": None,
        "container_format": "bare",
        "disk_format": "raw",
        "created_at": stamp_z(image.created),
        "updated_at": stamp_z(image.created),
        "tags": image.tags,
        "min_ram": 0,
        "min_disk": 0,
        "self": path,
        "file": f"{path}/file",
        "schema": "/v2/schemas/image",
    }
