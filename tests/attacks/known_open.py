"""What the attacks break and what is not repaired yet, in one place: a repair takes its entry away, and nothing else changes."""

from __future__ import annotations

KINDS = frozenset({"asleep", "clock", "denied", "echoed-secret", "garbage", "lag", "strange"})
"""Kinds of hits that are not drawn; `ATTACK_KINDS` names them all the same."""
FILES = frozenset({"infraconsole-init.json"})
"""Readable by others, were it not for the folder around them."""
UNNAMED_LOCKS = frozenset({"state-rollback"})
"""Runbooks whose end does not say what releases the lock that killed Terraform has left."""
