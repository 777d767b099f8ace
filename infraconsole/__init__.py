"""infraconsole: a terminal operator console for hybrid Terraform infrastructure on AWS."""

__version__ = "0.1.0"
