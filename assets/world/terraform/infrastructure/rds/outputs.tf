resource "aws_ssm_parameter" "endpoint" {
  name        = "${var.export_root}/rds/${var.environment}/endpoint"
  description = "endpoint for all services"
  type        = "String"
  value       = aws_db_instance.shared.endpoint
  tags        = merge(local.tags, { Name = "rds-${var.environment}-endpoint", Component = "rds" })
}

resource "aws_ssm_parameter" "identifier" {
  name        = "${var.export_root}/rds/${var.environment}/identifier"
  description = "identifier for all services"
  type        = "String"
  value       = aws_db_instance.shared.identifier
  tags        = merge(local.tags, { Name = "rds-${var.environment}-identifier", Component = "rds" })
}

resource "aws_ssm_parameter" "security_group_id" {
  name        = "${var.export_root}/rds/${var.environment}/security-group-id"
  description = "security-group-id for all services"
  type        = "String"
  value       = aws_security_group.rds.id
  tags        = merge(local.tags, { Name = "rds-${var.environment}-security-group-id", Component = "rds" })
}

resource "aws_ssm_parameter" "master_secret_arn" {
  name        = "${var.export_root}/rds/${var.environment}/master-secret-arn"
  description = "master-secret-arn for all services"
  type        = "String"
  value       = aws_secretsmanager_secret.master.arn
  tags        = merge(local.tags, { Name = "rds-${var.environment}-master-secret-arn", Component = "rds" })
}
