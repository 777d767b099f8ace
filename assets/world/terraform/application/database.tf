resource "aws_security_group_rule" "shared_rds_from_ecs" {
  type                     = "ingress"
  from_port                = 3306
  to_port                  = 3306
  protocol                 = "tcp"
  security_group_id        = local.shared_rds_security_group_id
  source_security_group_id = aws_security_group.ecs_tasks.id
  description              = "MySQL from ${local.name_prefix} tasks"
}

# The user itself is made by whoever may use the shared database's master secret.
resource "aws_secretsmanager_secret" "db_credentials" {
  name                    = "${local.name_prefix}-db-credentials-${var.db_credentials_suffix}"
  kms_key_id              = local.secrets_key_arn
  recovery_window_in_days = var.environment == "prod" ? 30 : 7
  tags                    = { Name = "${local.name_prefix}-db-credentials", Component = "database" }
}
