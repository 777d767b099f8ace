"""Textual screens and widgets: they show state and send intents. No boto3, no terraform, no SQL."""
