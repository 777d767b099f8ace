locals {
  account_id  = data.aws_caller_identity.current.account_id
  name_prefix = "${var.service_name}-${var.environment}"

  vpc_id             = data.aws_ssm_parameter.vpc_id.insecure_value
  public_subnet_ids  = split(",", data.aws_ssm_parameter.public_subnet_ids.insecure_value)
  private_subnet_ids = split(",", data.aws_ssm_parameter.private_subnet_ids.insecure_value)
  data_subnet_ids    = split(",", data.aws_ssm_parameter.data_subnet_ids.insecure_value)

  cloudwatch_key_arn  = data.aws_ssm_parameter.cloudwatch_logs_key_arn.insecure_value
  secrets_key_arn     = data.aws_ssm_parameter.secrets_manager_key_arn.insecure_value
  s3_key_arn          = data.aws_ssm_parameter.s3_key_arn.insecure_value
  sqs_key_arn         = data.aws_ssm_parameter.sqs_key_arn.insecure_value
  elasticache_key_arn = data.aws_ssm_parameter.elasticache_key_arn.insecure_value

  image = "${data.aws_ssm_parameter.ecr_repository_url.insecure_value}:${var.image_tag}"

  shared_rds_host              = split(":", data.aws_ssm_parameter.shared_rds_endpoint.insecure_value)[0]
  shared_rds_security_group_id = data.aws_ssm_parameter.shared_rds_security_group_id.insecure_value
  shared_rds_master_secret_arn = data.aws_ssm_parameter.shared_rds_master_secret_arn.insecure_value

  required_tags = {
    Environment = var.environment
    Service     = var.service_name
    Owner       = var.tags_owner
    CostCenter  = var.tags_cost_center
    Team        = var.tags_team
    Lifecycle   = var.environment == "prod" ? "critical" : "non-critical"
    DataClass   = var.tags_data_class
    ManagedBy   = "Terraform"
    Repository  = var.service_name
  }
}
