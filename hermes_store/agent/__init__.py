"""The bridge to the agent's own state.db.

from hermes_store.agent import AgentBridge
"""

from .bridge import AgentBridge, degrade
from .deleting import AgentDeletion
from .records import AgentInfo, AgentMessages, AgentSession

__all__ = ["AgentBridge", "AgentDeletion", "AgentInfo", "AgentMessages", "AgentSession", "degrade"]
