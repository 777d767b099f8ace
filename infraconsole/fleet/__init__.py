"""Reading a whole fleet: what is read together (`plan`), what is next (`schedule`), and who carries it out (`pump`)."""
