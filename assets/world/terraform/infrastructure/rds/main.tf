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
}

resource "aws_db_subnet_group" "shared" {
  name       = "${local.identifier}-subnets"
  subnet_ids = split(",", data.aws_ssm_parameter.data_subnet_ids.value)
  tags       = local.tags
}

resource "aws_security_group" "rds" {
  name        = "${local.identifier}-sg"
  description = "Shared RDS of ${var.environment}"
  vpc_id      = data.aws_ssm_parameter.vpc_id.value
  tags        = local.tags
}

resource "aws_secretsmanager_secret" "master" {
  name_prefix = "${local.identifier}-master-"
  kms_key_id  = data.aws_ssm_parameter.secrets_manager_key_arn.value
  tags        = local.tags
}

resource "aws_db_instance" "shared" {
  identifier                      = local.identifier
  engine                          = "mysql"
  engine_version                  = "8.0"
  instance_class                  = var.instance_class
  allocated_storage               = 100
  multi_az                        = var.multi_az
  username                        = "admin"
  manage_master_user_password     = true
  db_subnet_group_name            = aws_db_subnet_group.shared.name
  vpc_security_group_ids          = [aws_security_group.rds.id]
  storage_encrypted               = true
  kms_key_id                      = data.aws_ssm_parameter.rds_key_arn.value
  performance_insights_enabled    = true
  performance_insights_kms_key_id = data.aws_ssm_parameter.rds_key_arn.value
  backup_retention_period         = 7
  deletion_protection             = true
  tags                            = local.tags
}
