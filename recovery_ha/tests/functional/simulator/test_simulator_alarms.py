"""The simulated Aodh beside a cloud that has none."""

import requests


def get(simulator, path, token):
    return requests.get(
        f"{simulator.url}{path}", headers={"X-Auth-Token": token}, timeout=10
    )


def test_aodh_takes_tokens_of_another_keystone(simulator):
    mine, theirs = "/alarm/v2/alarms", "gAAAAABforeign"
    made = requests.post(
        f"{simulator.url}{mine}",
        headers={"X-Auth-Token": theirs},
        json={"name": "theirs", "type": "event", "project_id": "p-real"},
        timeout=10,
    )
    assert made.status_code == 201
    seen = get(simulator, f"{mine}?all_projects=true", theirs).json()
    assert [alarm["project_id"] for alarm in seen] == ["p-real"]


def test_the_others_do_not(simulator):
    assert get(simulator, "/compute/v2.1/servers", "gAAA").status_code == 401


def test_an_expired_token_of_its_own_is_none(simulator):
    simulator.world.identity.expire_all()
    assert get(simulator, "/alarm/v2/alarms", "sim-old").status_code == 401
    assert get(simulator, "/alarm/v2/alarms", "").status_code == 401
