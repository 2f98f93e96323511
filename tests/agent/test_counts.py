"""The number that a list shows is the number of messages that reading gives, over every kind of file."""

from __future__ import annotations

import pytest

from hermes_store.agent import AgentBridge
from tests.support.agent.matrix import AgentFile, each_version
from tests.support.hostile_values import EVERYWHERE

pytestmark = pytest.mark.slow

ALL = ("webui", "cron", "tool", "subagent", "archived", "hidden", "empty")


@each_version
def test_a_list_counts_what_reading_gives(agent_file: AgentFile) -> None:
    bridge = AgentBridge(agent_file.path)
    listed = {one.session_id: one for one in bridge.sessions(limit=1000, include=ALL).items}
    assert {"rewound", "compacted"} <= listed.keys()
    differs = set()
    for index, (name, one) in enumerate(listed.items()):
        assert one.message_count == len(bridge.messages(name).items), name
        # The rest of every third session, others in each file.
        if (index + agent_file.shape.version) % 3 and name not in ("rewound", "compacted") and not EVERYWHERE:
            continue
        assert bridge.session(name).message_count == one.message_count, name
        if one.message_count != len(bridge.messages(name, include_rewound=True).items):
            differs.add(name)
    assert differs == ({"rewound"} if agent_file.shape.version >= 17 else set()) | (
        {"rewound", "compacted"} if 14 <= agent_file.shape.version < 17 else set()
    )
