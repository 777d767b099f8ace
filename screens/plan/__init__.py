"""The plan of a run: what would be created, changed, replaced and destroyed, before anybody says yes to it."""
