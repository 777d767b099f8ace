"""Runbooks, gates and events; the journal that keeps them; the executor that carries runs out."""
