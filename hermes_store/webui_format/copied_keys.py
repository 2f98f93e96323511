"""Which values of a session a fork or a duplicate has, as hermes-webui's own branches and duplicates keep them."""

from __future__ import annotations

from typing import Any, Final

from ..validation import file_key

#: Columns of every copy: what marks one session in a list, and what is under way in it. It was made here, from no file.
COPY_COLUMNS: Final[dict[str, Any]] = {
    "pinned": False,
    "archived": False,
    "active_stream_id": None,
    "pending_started_at": None,
    "compression_anchor_visible_idx": None,
    "compression_anchor_message_key": None,
    "recovered": False,
}
#: Columns of a fork: it begins its own account.
FORK_COLUMNS: Final[dict[str, Any]] = {
    **COPY_COLUMNS,
    "input_tokens": 0,
    "output_tokens": 0,
    "estimated_cost": None,
    "source": "fork",
}
#: Columns that are written anew for every copy.
_NEW: Final = {"title", "created_at", "updated_at", "parent_id"}

#: The values that no copy has: of what is under way, of the place where the session works, of what else refers to it.
LEFT_OUT: Final = frozenset(map(file_key, {*COPY_COLUMNS, *_NEW})) | {
    *("pending_user_message", "pending_attachments", "pending_user_source", "process_wakeup_pause"),
    *("compression_anchor_summary", "compression_anchor_mode", "compression_anchor_details"),
    *("compression_anchor_engine", "pre_compression_snapshot", "last_prompt_tokens"),
    *("compression_recovery", "recommended_recovery_action", "compression_recovery_source_session_id"),
    *("compression_recovery_action", "clear_generation", "intentional_shrink_generation"),
    *("worktree_path", "worktree_branch", "worktree_repo_root", "worktree_created_at"),
    *("share_token", "share_created_at"),
}
#: The values that a fork does not have: what was spent, and what belongs to the session that it came from.
LEFT_OUT_OF_FORKS: Final = (
    LEFT_OUT
    | frozenset(map(file_key, FORK_COLUMNS))
    | {
        *("tool_calls", "gateway_routing_history", "truncation_watermark", "truncation_boundary"),
        *("cache_read_tokens", "cache_write_tokens", "last_usage", "llm_title_generated", "manual_title"),
        *("composer_draft", "goal", "attachments", "raw_source", "source_label", "is_cli_session", "read_only"),
        *("_cli_origin", "platform", "user_id", "chat_id", "chat_type", "thread_id", "session_key"),
    }
)
#: The values that are about all messages: a copy of the first ones does not have them.
OF_ALL_MESSAGES: Final = frozenset(
    {
        *("context_messages", "context_engine_state", "post_compression_context_tokens_estimate"),
        *("anchor_activity_scenes", "anchor_scene_index"),
    }
)
#: The values that every fork has: what hermes-webui knows a branch by.
FORK_VALUES: Final = {"session_source": b'"fork"'}
