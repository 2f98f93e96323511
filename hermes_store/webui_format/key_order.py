"""The order of the keys in a session's JSON, which is that of the newest hermes-webui (its state of 2026-08-22).

That version reads the metadata from the beginning of a file, up to ``"messages"``. The keys that older versions write
stand in the same order.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

_KEYS: Final = [
    "session_id",
    "title",
    "workspace",
    "created_workspace",
    "model",
    "model_provider",
    "model_explicit_pick_signature",
    "created_at",
    "updated_at",
    "pinned",
    "archived",
    "project_id",
    "profile",
    "input_tokens",
    "output_tokens",
    "estimated_cost",
    "cache_read_tokens",
    "cache_write_tokens",
    "personality",
    "active_stream_id",
    "pending_user_message",
    "pending_attachments",
    "pending_started_at",
    "pending_user_source",
    "compression_anchor_visible_idx",
    "compression_anchor_message_key",
    "compression_anchor_summary",
    "pre_compression_snapshot",
    "context_engine",
    "compression_anchor_engine",
    "compression_anchor_mode",
    "compression_anchor_details",
    "context_engine_state",
    "context_length",
    "threshold_tokens",
    "last_prompt_tokens",
    "post_compression_context_tokens_estimate",
    "compression_recovery",
    "recommended_recovery_action",
    "compression_recovery_source_session_id",
    "compression_recovery_action",
    "truncation_watermark",
    "truncation_boundary",
    "clear_generation",
    "intentional_shrink_generation",
    "gateway_routing",
    "gateway_routing_history",
    "llm_title_generated",
    "manual_title",
    "parent_session_id",
    "worktree_path",
    "worktree_branch",
    "worktree_repo_root",
    "worktree_created_at",
    "is_cli_session",
    "source_tag",
    "raw_source",
    "session_source",
    "source_label",
    "read_only",
    "enabled_toolsets",
    "composer_draft",
    "process_wakeup_pause",
    "share_token",
    "share_created_at",
    "message_count",
    "anchor_scene_index",
    "messages",
    "tool_calls",
    "anchor_activity_scenes",
    "context_messages",
]
_PLACES: Final = {key: place for place, key in enumerate(_KEYS)}


def after(key: str) -> list[str]:
    """Return the keys that stand after one in a file."""
    return _KEYS[_KEYS.index(key) + 1 :]


def in_order(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a session's values in the order of their keys; unknown keys follow, as they come."""
    return {key: data[key] for key in _ordered(tuple(data))}


@functools.lru_cache(maxsize=256)
def _ordered(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return keys in order. Most sessions of a store have the same ones."""
    return tuple(sorted(keys, key=lambda key: _PLACES.get(key, len(_PLACES))))
