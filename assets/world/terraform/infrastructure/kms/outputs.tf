resource "aws_ssm_parameter" "key_arn" {
  for_each    = local.kinds
  name        = "${var.export_root}/kms/${each.key}-key-arn"
  description = "Key for ${each.key}"
  type        = "String"
  value       = aws_kms_key.this[each.key].arn
  tags        = local.tags
}
