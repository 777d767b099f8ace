"""The embedded world: an AWS emulator in a process of its own, seeded with a company, with time and faults put in."""
