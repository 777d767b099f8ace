# What the infrastructure repository shares. Nothing else of it is known here.

data "aws_caller_identity" "current" {}

data "aws_ssm_parameter" "vpc_id" {
  name = "/shared/network/vpc-id"
}

data "aws_ssm_parameter" "public_subnet_ids" {
  name = "/shared/network/public-subnet-ids"
}

data "aws_ssm_parameter" "private_subnet_ids" {
  name = "/shared/network/private-subnet-ids"
}

data "aws_ssm_parameter" "data_subnet_ids" {
  name = "/shared/network/data-subnet-ids"
}

data "aws_ssm_parameter" "cloudwatch_logs_key_arn" {
  name = "/shared/kms/cloudwatch-logs-key-arn"
}

data "aws_ssm_parameter" "secrets_manager_key_arn" {
  name = "/shared/kms/secrets-manager-key-arn"
}

data "aws_ssm_parameter" "s3_key_arn" {
  name = "/shared/kms/s3-key-arn"
}

data "aws_ssm_parameter" "sqs_key_arn" {
  name = "/shared/kms/sqs-key-arn"
}

data "aws_ssm_parameter" "elasticache_key_arn" {
  name = "/shared/kms/elasticache-key-arn"
}

data "aws_ssm_parameter" "ecr_repository_url" {
  name = "/shared/ecr/${var.service_name}-repository-url"
}

data "aws_ssm_parameter" "shared_rds_endpoint" {
  name = "/shared/rds/${var.environment}/endpoint"
}

data "aws_ssm_parameter" "shared_rds_security_group_id" {
  name = "/shared/rds/${var.environment}/security-group-id"
}

data "aws_ssm_parameter" "shared_rds_master_secret_arn" {
  name = "/shared/rds/${var.environment}/master-secret-arn"
}
