import pytest

from recovery_ha.clients.images import Images
from recovery_ha.domain import errors

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def images(bind):
    return bind(Images)


def test_properties_and_tags_are_told_without_the_image_s_own_fields(
    images, world
):
    image = world.images.set(
        properties={"hw_watchdog_action": "reset", "ha": "yes"},
        tags=["gold", "db"],
    )
    assert images.properties(image.id) == {
        "hw_watchdog_action": "reset",
        "ha": "yes",
        "tags": "db,gold",
    }


def test_an_image_may_have_nothing_to_say(images, world):
    assert images.properties(world.images.all()[0].id) == {"tags": ""}


def test_an_image_that_is_gone_has_no_properties(images, world):
    image = world.images.set(properties={"ha": "yes"})
    world.images.remove(image.id)
    assert images.properties(image.id) == {}


def test_an_outage_is_named_after_the_service(bind, world, work):
    images = bind(Images, read_retries=1)
    image = world.images.all()[0].id
    images.properties(image)
    world.outages.begin("image", 503)
    with pytest.raises(errors.ComputeUnavailable, match=r"^Glance answered"):
        images.properties(image)
    assert len(work.slept) == 1


def test_a_refusal_is_glance_s_own_sentence(images, world):
    image = world.images.all()[0].id
    world.faults.add(
        service="image", path=image, status=403, message="Not yours."
    )
    with pytest.raises(errors.ComputeError) as caught:
        images.properties(image)
    assert str(caught.value) == "Glance answered 403: Not yours."


def test_without_a_glance_its_name_is_told(bind, world):
    images = bind(Images, region_name="Nowhere", read_retries=0)
    with pytest.raises(errors.ComputeUnavailable, match=r"Glance: .*Nowhere"):
        images.properties(world.images.all()[0].id)
