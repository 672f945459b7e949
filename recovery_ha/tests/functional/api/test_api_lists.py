import pytest

from recovery_ha.api.app import make_app


@pytest.fixture
def five(world):
    return [world.segment(name=name) for name in ("b", "a", "d", "c", "e")]


def names(answer):
    assert answer.status == 200, answer
    return "".join(item["name"] for item in answer.json["segments"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "ecdab"),
        ("sort_dir=asc", "badce"),
        ("sort_key=name", "edcba"),
        ("sort_key=name&sort_dir=asc", "abcde"),
        ("sort_key=recovery_method&sort_key=name&sort_dir=asc", "abcde"),
        (
            "sort_key=enabled&sort_key=name&sort_dir=asc&sort_dir=desc",
            "edcba",
        ),
        ("sort_key=name&sort_key=name&sort_dir=asc&sort_dir=desc", "abcde"),
        ("sort_key=updated_at&sort_dir=asc", "badce"),
        ("sort_key=enabled", "ecdab"),
        ("limit=2", "ec"),
        ("limit=0", ""),
        ("limit=100000", "ecdab"),
        ("limit=" + "9" * 30, "ecdab"),
        ("limit=1&limit=3", "ecd"),
        ("page_size=1", "ecdab"),
    ],
)
@pytest.mark.usefixtures("five")
def test_order_and_limit(api, query, expected):
    assert names(api.get(f"/segments?{query}")) == expected


@pytest.mark.parametrize("key", ["id", "uuid"])
@pytest.mark.parametrize("sort", ["", "&sort_key=name&sort_dir=asc"])
@pytest.mark.usefixtures("five")
def test_pages_follow_each_other_until_an_empty_one(api, key, sort):
    whole, marker, found = names(api.get(f"/segments?{sort}")), "", ""
    for _page in range(10):
        answer = api.get(f"/segments?limit=2{sort}{marker}")
        found += names(answer)
        if not answer.json["segments"]:
            break
        last = answer.json["segments"][-1]
        marker = f"&marker={last[key]}"
    assert found == whole


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=-1", ["limit", "-1", "0 or more"]),
        ("limit=x", ["limit", "'x'", "integer"]),
        ("limit=", ["limit", "''"]),
        ("limit=1.5", ["limit", "1.5"]),
        ("limit=%D9%A3", ["limit"]),
        ("marker=", ["marker"]),
        ("marker=77777", ["marker", "77777"]),
        ("marker=" + "9" * 40, ["marker", "999"]),
        ("marker=nobody", ["marker", "nobody"]),
        ("sort_key=nothing", ["sort_key", "nothing", "recovery_method"]),
        ("sort_key=", ["sort_key"]),
        ("sort_dir=up", ["sort_dir", "up", "asc, desc"]),
        ("sort_dir=ASC", ["sort_dir", "ASC"]),
        ("sort_dir=asc&sort_dir=asc", ["sort_dir", "asc, asc", "1"]),
        ("sort_key=name&sort_dir=asc&sort_dir=asc", ["sort_dir"]),
        ("name=%00", ["U+0000"]),
        ("marker=%00", ["U+0000"]),
        ("name=%FF", ["UTF-8"]),
    ],
)
@pytest.mark.usefixtures("database")
def test_what_cannot_be_is_400_and_named(api, query, words):
    answer = api.get(f"/segments?{query}")
    assert (answer.status, answer.key) == (400, "badRequest")
    for word in words:
        assert word in answer.fault["message"]


@pytest.mark.usefixtures("five")
def test_limit_is_capped(conf, database, api):
    conf.set_override("max_limit", 3, "api")
    api.app = make_app(conf, database, lambda: None, check_responses=True)

    assert names(api.get("/segments")) == "ecd"
    assert names(api.get("/segments?limit=4")) == "ecd"
    assert names(api.get("/segments?limit=2")) == "ec"


@pytest.mark.parametrize(
    "url",
    ["/segments", "/segments/{s}/hosts", "/notifications"],
)
def test_every_list_pages_alike(api, world, segment, url):
    world.host(segment, name="compute-1")
    world.host(segment, name="compute-2")
    world.segment(name="two")
    world.report()
    world.report(hostname="compute-2")
    url = url.format(s=segment["id"])

    (key,) = api.get(url).json
    first = api.get(f"{url}?limit=1").json[key]
    rest = api.get(f"{url}?limit=5&marker={first[0]['id']}").json[key]
    assert [*first, *rest] == api.get(url).json[key]
    assert len(rest) == 1
    assert api.get(f"{url}?marker=nobody").status == 400
    assert api.get(f"{url}?sort_key=nothing").status == 400


@pytest.mark.usefixtures("world", "five")
def test_list_takes_a_constant_number_of_statements(api, statements):
    with statements() as seen:
        assert len(api.get("/segments?limit=2").json["segments"]) == 2
    few = len(seen)
    with statements() as seen:
        assert len(api.get("/segments").json["segments"]) == 5
    assert len(seen) == few
