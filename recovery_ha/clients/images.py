"""Glance: what an image says of the servers that are made from it."""

from recovery_ha.clients.requests import Api, Requests, Service
from recovery_ha.domain import errors

#: Glance has no microversions.
_IMAGES = Api(Service.GLANCE)
#: An answer mixes an image's own fields, which are these, with the
#: properties that somebody has given it.
_FIELDS = frozenset(
    {
        "checksum",
        "container_format",
        "created_at",
        "direct_url",
        "disk_format",
        "file",
        "id",
        "locations",
        "min_disk",
        "min_ram",
        "name",
        "os_hash_algo",
        "os_hash_value",
        "os_hidden",
        "owner",
        "protected",
        "schema",
        "self",
        "size",
        "status",
        "stores",
        "tags",
        "updated_at",
        "virtual_size",
        "visibility",
    }
)


class Images(Requests):
    """Glance for one piece of work: a :class:`ports.ImagePort`."""

    def properties(self, image_id: str) -> dict[str, str]:
        """See :meth:`ports.ImagePort.properties`."""
        try:
            image = self._get(_IMAGES, f"/images/{image_id}")
        except errors.ComputeNotFound:
            return {}
        given = {
            name: str(value)
            for name, value in image.items()
            if name not in _FIELDS and value is not None
        }
        return given | {"tags": ",".join(sorted(image["tags"]))}
