"""What tasks did on nodes, as Fuel's specification and clients have it."""

import csv
import io

import pytest

from recovery_ha.api.app import make_app
from recovery_ha.tests.fixtures.rest import Api

one_backend = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

TASKS = [
    {"task_name": "swift-keystone", "nodes": ["5", "6"], "type": "puppet"},
    {"task_name": "generate_keys", "nodes": ["master"], "type": "shell"},
    {"task_name": "nowhere", "nodes": [], "type": "skipped", "id": "x"},
]
SAID = [
    ("5", "swift-keystone", "running", 1457362146),
    ("5", "swift-keystone", "ready", 1457362276),
    ("master", "generate_keys", "running", 1457362143),
    ("master", "generate_keys", "ready", 1457362273),
]


def begin(api, name, **fields):
    made = api.post(
        "/transactions",
        {"name": "deploy", "reporter": "tool", "external_id": name} | fields,
    )
    assert made.status == 201
    return made.json


def say(api, run, *said, **more):
    answer = api.post(
        f"/transactions/{run['id']}/reports",
        {
            "reports": [
                {
                    "node_id": node,
                    "deployment_graph_task_name": name,
                    "task_status": status,
                    "time": time,
                    **more,
                }
                for node, name, status, time in said
            ]
        },
    )
    assert {one["result"] for one in answer.json["reports"]} == {"applied"}


@pytest.fixture
def run(api):
    run = begin(api, "1", tasks=TASKS, cluster_id=1)
    say(api, run, *SAID)
    return run


@pytest.fixture
def url(run):
    return f"/transactions/{run['id']}/deployment_history"


def units(answer):
    assert answer.status == 200, answer
    return [f"{r['node_id']}.{r['task_name'][0]}" for r in answer.json]


def test_the_example_of_the_specification(api, run):
    api.prefix = "/api"
    answer = api.get(
        f"/transactions/{run['id']}/deployment_history/?statuses=ready"
    )
    expected = [
        {
            "task_id": run["id"],
            "node_id": "5",
            "deployment_graph_task_name": "swift-keystone",
            "time_start": 1457362146,
            "time_end": 1457362276,
            "status": "ready",
        },
        {
            "task_id": run["id"],
            "node_id": "master",
            "deployment_graph_task_name": "generate_keys",
            "time_start": 1457362143,
            "time_end": 1457362273,
            "status": "ready",
        },
    ]
    assert len(answer.json) == 2
    for shown, wanted in zip(answer.json, expected, strict=True):
        assert isinstance(shown["id"], int)
        assert {key: shown[key] for key in wanted} == wanted
        assert shown["task_name"] == shown["deployment_graph_task_name"]


@pytest.mark.parametrize(
    ("prefix", "query", "start"),
    [
        ("/v1", "", "2016-03-07T14:49:06.000000"),
        ("/v1", "?time_format=epoch", 1457362146),
        ("/v1/0af9c2", "", "2016-03-07T14:49:06.000000"),
        ("/api", "", 1457362146),
        ("/api", "?time_format=iso", "2016-03-07T14:49:06.000000"),
        ("/api/v1", "", "2016-03-07T14:49:06.000000"),
        ("/api/v1", "?time_format=epoch", 1457362146),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
@one_backend
def test_times_by_who_asks(api, url, prefix, query, start, slash):
    api.prefix = prefix
    assert api.get(f"{url}{slash}{query}").json[0]["time_start"] == start


@pytest.mark.parametrize("prefix", ["/v1", "/api", "/api/v1"])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["5.s", "6.s", "master.g", "-.n"]),
        ("nodes=5", ["5.s"]),
        ("nodes= 5 , master", ["5.s", "master.g"]),
        ("nodes=", ["5.s", "6.s", "master.g", "-.n"]),
        ("nodes=,", ["5.s", "6.s", "master.g", "-.n"]),
        ("statuses=ready", ["5.s", "master.g"]),
        ("statuses=pending,skipped", ["6.s", "-.n"]),
        ("statuses=", ["5.s", "6.s", "master.g", "-.n"]),
        ("statuses=running", []),
        ("statuses=ready,pending&nodes=6,5", ["5.s", "6.s"]),
        ("tasks_names=generate_keys", ["master.g"]),
        ("tasks_names= swift-keystone ,x&nodes=6", ["6.s"]),
        ("tasks_names=x", []),
        ("tasks_names=", ["5.s", "6.s", "master.g", "-.n"]),
        ("limit=1", ["5.s"]),
        ("limit=0", []),
    ],
)
def test_filters(api, url, prefix, query, expected):
    api.prefix = prefix
    assert units(api.get(f"{url}?{query}")) == expected


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
@pytest.mark.parametrize("prefix", ["/v1", "/api", "/api/v1"])
@one_backend
def test_a_history_is_read_only(api, url, prefix, method):
    api.prefix = prefix
    answer = api(method, f"{url}/", {})
    assert (answer.status, answer.key) == (405, "badMethod")
    assert answer.headers["allow"] == "GET, HEAD"
    assert answer.json["message"] == answer.fault["message"]


@pytest.mark.parametrize("prefix", ["/v1", "/api", "/api/v1"])
@one_backend
def test_unknown_statuses_and_runs(api, url, prefix):
    api.prefix = prefix
    answer = api.get(f"{url}?statuses=ready,done")
    assert (answer.status, answer.json["message"]) == (
        400,
        (
            "Statuses parameter could be only: pending, ready, running, error,"
            " skipped"
        ),
    )
    answer = api.get("/transactions/999/deployment_history/")
    assert (answer.status, answer.key) == (404, "itemNotFound")
    assert answer.json["message"] == "No transaction with id 999."


def test_definitions_and_further_keys_take_no_other_key_s_place(api):
    faked = {"node_id": "0", "status": "ready", "attempt": 9, "summary": 1}
    tasks = [
        {"task_name": "a", "nodes": ["1"], "type": "shell", "roles": ["x"]}
        | faked
    ]
    run = begin(api, "1", tasks=tasks)
    say(
        api,
        run,
        ("1", "a", "running", 1457362146),
        custom={"task_name": "b", "id": -1, "more": [1], "type": "own"},
        summary={"changed": 1},
        message="It runs.",
    )
    url = f"/transactions/{run['id']}/deployment_history"
    (shown,) = api.get(url).json
    assert (shown["node_id"], shown["status"]) == ("1", "running")
    assert (shown["task_name"], shown["attempt"]) == ("a", 1)
    assert (shown["more"], shown["roles"]) == ([1], ["x"])
    assert shown["id"] > 0
    assert shown["message"] == "It runs."
    assert "summary" not in shown
    (shown,) = api.get(f"{url}?include_summary=1").json
    assert shown["summary"] == {"changed": 1}
    (shown,) = api.get(f"{url}?include_summary=0").json
    assert "summary" not in shown
    api.prefix = "/api/v1"
    (shown,) = api.get(url).json
    assert shown.keys() == {
        *("id", "task_id", "node_id", "status", "time_start", "time_end"),
        *("deployment_graph_task_name", "task_name"),
        *("type", "roles", "more"),
    }


def test_attempts(api):
    run = begin(api, "1")
    say(
        api,
        run,
        ("1", "a", "running", 1457362146),
        ("1", "a", "error", 1457362147),
        ("1", "a", "running", 1457362148),
        ("1", "a", "ready", 1457362149),
    )
    url = f"/transactions/{run['id']}/deployment_history"

    def shown(query):
        found = api.get(f"{url}?{query}").json
        return [(row["attempt"], row["status"]) for row in found]

    assert shown("") == shown("attempts=latest") == [(2, "ready")]
    assert shown("attempts=all") == [(1, "error"), (2, "ready")]
    assert shown("attempts=all&statuses=error") == [(1, "error")]
    assert shown("statuses=error") == []
    answer = api.get(f"{url}?attempts=x")
    assert (answer.status, answer.key) == (400, "badRequest")


# Tables


def table(answer):
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.raw.decode())))


@pytest.mark.parametrize("prefix", ["/v1", "/api", "/api/v1"])
def test_a_table(api, url, prefix):
    api.prefix = prefix
    query = "?nodes=5,6&time_format=epoch"
    assert table(api.get(f"{url}{query}", accept="text/csv")) == [
        ["task_name", "node_id", "status", "type", "time_start", "time_end"],
        [
            *("swift-keystone", "5", "ready", "puppet"),
            *("1457362146", "1457362276"),
        ],
        ["swift-keystone", "6", "pending", "puppet", "", ""],
    ]
    found = table(api.get(f"{url}?limit=1", accept="text/csv;q=0.9"))
    assert len(found) == 2


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "text/csv;q=0.1, */*", "text/x"]
)
@one_backend
def test_everything_else_gets_json(api, url, accept):
    answer = api.get(url, accept=accept)
    assert answer.headers["content-type"].startswith("application/json")
    assert len(answer.json) == 4


@pytest.mark.parametrize("accept", ["text/csv", "application/json"])
def test_whole_lists_are_sent_in_pages(
    conf, database, api, url, statements, accept
):
    whole = api.get(url, accept=accept)
    conf.set_override("max_limit", 3, "api")
    small = Api(make_app(conf, database, lambda: None), "/api/v1")
    with statements() as seen:
        answer = small.get(url, accept=accept)
    if accept == "text/csv":
        assert answer.raw == whole.raw
    else:
        assert units(answer) == units(whole)
    assert "link" not in answer.headers
    # The run, its definitions, and two pages.
    assert len([s for s in seen if s.startswith("SELECT")]) == 4


def test_pages_are_linked(conf, database, api, url):
    whole = units(api.get(url))
    conf.set_override("max_limit", 3, "api")
    small = Api(make_app(conf, database, lambda: None, check_responses=True))
    first = small.get(url)
    assert units(first) == whole[:3]
    target = first.headers["link"].partition(";")[0].strip("<>")
    rest = small.get(f"{url}?{target.partition('?')[2]}")
    assert (units(rest), "link" in rest.headers) == (whole[3:], False)


def test_a_page_takes_a_constant_number_of_statements(
    api, run, url, statements
):
    counted = []
    for number in range(2):
        for path in (url, "/deployment_history"):
            for query in ("", "?nodes=5,6&statuses=ready", "?attempts=all"):
                with statements() as seen:
                    assert api.get(f"{path}{query}").status == 200
                counted.append(len([s for s in seen if "SELECT" in s]))
        more = begin(api, f"more-{number}")
        say(api, more, *((str(n), "a", "running", n) for n in range(50)))
    assert counted == [3, 3, 3, 1, 1, 1] * 2


# All runs


@pytest.fixture
def two(api, run):
    other = begin(api, "2", cluster_id=2)
    say(api, other, ("5", "other", "running", 1457362146))
    say(api, other, ("7", "other", "running", 1457362146))
    return run, other


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["7.o", "5.o", "-.n", "master.g", "6.s", "5.s"]),
        ("nodes=5", ["5.o", "5.s"]),
        ("cluster_id=2", ["7.o", "5.o"]),
        ("cluster_id=1&statuses=ready", ["master.g", "5.s"]),
        ("tasks_names=other", ["7.o", "5.o"]),
        ("nodes=5&tasks_names=swift-keystone", ["5.s"]),
        ("since=2001-01-01", ["7.o", "5.o", "master.g", "5.s"]),
        ("since=2999-01-01", []),
        ("limit=1", ["7.o"]),
    ],
)
def test_all_runs(api, two, query, expected):
    found = units(api.get(f"/deployment_history?{query}"))
    # Rows of one statement come in any order.
    assert sorted(found) == sorted(expected)
    if "limit" not in query and len(found) > 1:
        page = api.get(f"/deployment_history?{query}&limit=1")
        target = page.headers["link"].partition(";")[0].strip("<>")
        rest = api.get(f"/deployment_history?{target.partition('?')[2]}")
        assert [*units(page), *units(rest)] == found[:2]


@one_backend
def test_all_runs_errors(api):
    answer = api.get("/deployment_history?statuses=x")
    assert answer.status == 400
    assert answer.json["message"].startswith("Statuses parameter could be")
    assert api.post("/deployment_history", {}).status == 405
    api.prefix = "/api"
    assert api.get("/deployment_history").status == 404
