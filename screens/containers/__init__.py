"""Containers: one service with its deployments, tasks, targets and revisions."""

from infraconsole.screens.containers.screen import ContainersScreen

__all__ = ["ContainersScreen"]
