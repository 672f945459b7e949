from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.domain.history import Step
from recovery_ha.domain.provisioning import (
    duration_text,
    find_current,
    sentence,
)

NOW = datetime(2013, 10, 9, 12, 37, 19)


def step(**fields):
    """Return a step that is done, with 1000 units in 10 minutes."""
    values = {
        "id": 1,
        "transaction_id": 1,
        "cluster_id": "c",
        "project_id": None,
        "seq": 1,
        "round": 1,
        "step_name": "Launching instances",
        "step_type": "creating",
        "total": 1000,
        "completed": 1000,
        "failed": 0,
        "successful": True,
        "progress": 100,
        "started_at": NOW,
        "completed_at": NOW,
        "duration": 600.0,
        "created_at": NOW,
        "updated_at": None,
    }
    return Step(**values | fields)


def test_the_spec_s_sentences():
    assert sentence(step()) == (
        "Launching instances completed 1000 out of 1000 in 10 minutes"
    )
    trying = step(step_name="Trying ssh", completed=59)
    for undecided in (None, False):
        now = step(
            step_name=trying.step_name,
            completed=59,
            successful=undecided,
            duration=None,
        )
        assert sentence(now) == "Trying ssh completed: 59 out of 1000"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 seconds"),
        (0.999, "0 seconds"),
        (1.0, "1 second"),
        (59.9, "59 seconds"),
        (60.0, "1 minute"),
        (90.0, "1 minute 30 seconds"),
        (600.0, "10 minutes"),
        (3600.0, "1 hour"),
        (3601.0, "1 hour"),
        (3660.0, "1 hour 1 minute"),
        (86400.0 * 2 + 7200, "2 days 2 hours"),
    ],
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text


STATES = st.tuples(
    st.sampled_from([None, True, False]), st.sampled_from([None, NOW])
)


@given(st.lists(STATES, max_size=6))
def test_the_current_step(states):
    steps = [
        step(id=number, seq=number, successful=successful, started_at=started)
        for number, (successful, started) in enumerate(states)
    ]
    found = find_current(steps)
    undecided = [s for s in steps if s.successful is None and s.started_at]
    failed = [s for s in steps if s.successful is False]
    if undecided:
        assert found is undecided[-1]
    elif failed:
        assert found is failed[-1]
    else:
        assert found is None
