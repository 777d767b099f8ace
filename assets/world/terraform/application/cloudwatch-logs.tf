locals {
  log_retention_days = {
    application = var.log_retention_days
    access      = var.log_retention_days
    error       = var.error_log_retention_days
  }
}

resource "aws_cloudwatch_log_group" "ecs" {
  for_each          = local.log_retention_days
  name              = "/ecs/${local.name_prefix}/${each.key}"
  retention_in_days = each.value
  kms_key_id        = local.cloudwatch_key_arn
  tags              = { Name = "/ecs/${local.name_prefix}/${each.key}", Component = "logging" }
}
