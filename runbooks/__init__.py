"""The procedures, one file each: inputs, steps, gates, probes. Nothing of Textual is in here."""
