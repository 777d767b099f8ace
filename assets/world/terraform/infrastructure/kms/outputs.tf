resource "aws_ssm_parameter" "key_arn" {
  for_each    = local.kinds
  name        = "${var.export_root}/kms/${each.key}-key-arn"
  description = "${each.key}-key-arn for all services"
  type        = "String"
  value       = aws_kms_key.this[each.key].arn
  tags        = merge(local.tags, { Name = "kms-${each.key}-key-arn", Component = "kms" })
}
