variable "environment" {
  description = "dev, staging or prod"
  type        = string
}

variable "instance_class" {
  description = "Size of the shared database"
  type        = string
}

variable "multi_az" {
  description = "Whether a standby stands in another zone"
  type        = bool
  default     = false
}

variable "master_secret_suffix" {
  description = "Keeps the secret's name apart from one that waits for its deletion"
  type        = string
}

data "aws_ssm_parameter" "vpc_id" {
  name = "${var.export_root}/network/vpc-id"
}

data "aws_ssm_parameter" "data_subnet_ids" {
  name = "${var.export_root}/network/data-subnet-ids"
}

data "aws_ssm_parameter" "rds_key_arn" {
  name = "${var.export_root}/kms/rds-key-arn"
}

data "aws_ssm_parameter" "secrets_manager_key_arn" {
  name = "${var.export_root}/kms/secrets-manager-key-arn"
}

locals {
  identifier = "${var.environment}-shared-mysql"

  database_tags = merge(local.tags, {
    Environment = var.environment
    Lifecycle   = var.environment == "prod" ? "critical" : "non-critical"
    Name        = local.identifier
    Component   = "rds"
  })
}

resource "aws_db_subnet_group" "shared" {
  name        = "${local.identifier}-subnets"
  description = "Data subnets of ${local.identifier}"
  subnet_ids  = split(",", data.aws_ssm_parameter.data_subnet_ids.insecure_value)
  tags        = local.database_tags
}

resource "aws_security_group" "rds" {
  name        = "${local.identifier}-sg"
  description = "Shared RDS of ${var.environment}"
  vpc_id      = data.aws_ssm_parameter.vpc_id.insecure_value
  tags        = merge(local.tags, { Name = "${local.identifier}-sg", Component = "security-group" })
}

resource "aws_secretsmanager_secret" "master" {
  name                    = "${local.identifier}-master-${var.master_secret_suffix}"
  kms_key_id              = data.aws_ssm_parameter.secrets_manager_key_arn.insecure_value
  recovery_window_in_days = 30
  tags                    = local.database_tags
}

resource "aws_db_instance" "shared" {
  identifier              = local.identifier
  engine                  = "mysql"
  engine_version          = "8.0.35"
  instance_class          = var.instance_class
  allocated_storage       = 100
  storage_type            = "gp3"
  multi_az                = var.multi_az
  username                = "admin"
  db_subnet_group_name    = aws_db_subnet_group.shared.name
  vpc_security_group_ids  = [aws_security_group.rds.id]
  storage_encrypted       = true
  kms_key_id              = data.aws_ssm_parameter.rds_key_arn.insecure_value
  backup_retention_period = var.environment == "prod" ? 7 : 1
  skip_final_snapshot     = false
  tags                    = local.database_tags

  # The master password is set once, by whoever makes the instance, and lives in the secret.
  lifecycle {
    ignore_changes = [password]
  }
}
