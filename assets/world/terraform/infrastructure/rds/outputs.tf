resource "aws_ssm_parameter" "endpoint" {
  name        = "${var.export_root}/rds/${var.environment}/endpoint"
  description = "Host and port of the shared database"
  type        = "String"
  value       = aws_db_instance.shared.endpoint
  tags        = local.tags
}

resource "aws_ssm_parameter" "identifier" {
  name        = "${var.export_root}/rds/${var.environment}/identifier"
  description = "Name of the shared database"
  type        = "String"
  value       = aws_db_instance.shared.identifier
  tags        = local.tags
}

resource "aws_ssm_parameter" "security_group_id" {
  name        = "${var.export_root}/rds/${var.environment}/security-group-id"
  description = "Security group in front of the shared database"
  type        = "String"
  value       = aws_security_group.rds.id
  tags        = local.tags
}

resource "aws_ssm_parameter" "master_secret_arn" {
  name        = "${var.export_root}/rds/${var.environment}/master-secret-arn"
  description = "Secret with the master user's password"
  type        = "String"
  value       = aws_secretsmanager_secret.master.arn
  tags        = local.tags
}
