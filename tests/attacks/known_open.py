"""What the attacks break and what is not repaired yet, in one place: a repair takes its entry away, and nothing else changes."""

from __future__ import annotations

KINDS: frozenset[str] = frozenset()
"""Kinds of hits that are not drawn; `ATTACK_KINDS` names them all the same."""
FILES: frozenset[str] = frozenset()
"""Readable by others, were it not for the folder around them."""
UNNAMED_LOCKS: frozenset[str] = frozenset()
"""Runbooks whose end does not say what releases the lock that killed Terraform has left."""
