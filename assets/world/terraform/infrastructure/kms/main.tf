locals {
  # One key for each kind of resource, and no key for two.
  kinds = toset(["cloudwatch-logs", "secrets-manager", "rds", "s3", "sqs", "ssm", "elasticache"])
}

resource "aws_kms_key" "this" {
  for_each            = local.kinds
  description         = "Key for ${each.key}"
  enable_key_rotation = true
  tags                = merge(local.tags, { Name = "${each.key}-key", Component = "kms" })
}

resource "aws_kms_alias" "this" {
  for_each      = local.kinds
  name          = "alias/${each.key}"
  target_key_id = aws_kms_key.this[each.key].key_id
}
