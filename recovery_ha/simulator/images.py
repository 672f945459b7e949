"""The images of Glance, as far as anyone asks for them."""

import dataclasses
import datetime as dt
import uuid
from typing import Any

from recovery_ha.simulator.errors import BadRequest, NotFound
from recovery_ha.simulator.records import now, stable_uuid

#: The image of all servers that were told no other.
TINY = stable_uuid("image", "tiny")
MIB = 1024 * 1024


@dataclasses.dataclass
class Image:
    """An image, which anybody may use."""

    id: str
    name: str
    owner: str
    properties: dict[str, str] = dataclasses.field(default_factory=dict)
    tags: list[str] = dataclasses.field(default_factory=list)
    created: dt.datetime = dataclasses.field(default_factory=now)


class Images:
    """All images. Callers hold the lock of the world."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._images: dict[str, Image] = {}

    def clear(self) -> None:
        """Forget all images but the one that is always there."""
        self._images = {TINY: Image(TINY, "tiny", self._owner)}

    def all(self) -> list[Image]:
        """Return all images, the oldest first."""
        return list(self._images.values())

    def get(self, image_id: str) -> Image:
        """Return an image.

        :raises NotFound: there is none
        """
        if image_id not in self._images:
            raise NotFound(f"No image found with ID {image_id}")
        return self._images[image_id]

    def set(
        self,
        image_id: str | None = None,
        *,
        name: str = "image",
        properties: Any = None,
        tags: Any = None,
    ) -> Image:
        """Have an image, with these properties and tags and no others.

        :param image_id: None makes one up
        :param properties: texts by their names
        :raises BadRequest: properties or tags are not what they should be
        """
        properties, tags = properties or {}, tags or []
        if not isinstance(properties, dict) or not _texts(properties.values()):
            raise BadRequest("properties is an object of texts")
        if not isinstance(tags, list) or not _texts(tags):
            raise BadRequest("tags is a list of texts")
        image_id = image_id or str(uuid.uuid4())
        image = self._images.get(image_id)
        if image is None:
            image = Image(image_id, name, self._owner)
            self._images[image_id] = image
        image.properties, image.tags = properties, tags
        return image

    def remove(self, image_id: str) -> None:
        """Delete an image; servers made from it go on.

        :raises NotFound: there is none
        """
        self.get(image_id)
        del self._images[image_id]


def _texts(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)
