"""Functions from facts to findings."""
