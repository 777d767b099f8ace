"""Terraform: what its files say, and how it is run."""
