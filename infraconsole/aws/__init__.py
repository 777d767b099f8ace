"""One module per AWS service: boto3 in, frozen dataclasses out."""
