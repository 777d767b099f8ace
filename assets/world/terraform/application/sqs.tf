resource "aws_sqs_queue" "jobs" {
  name                       = "${local.name_prefix}-jobs"
  visibility_timeout_seconds = 300
  message_retention_seconds  = 1209600
  kms_master_key_id          = local.sqs_key_arn
  tags                       = { Name = "${local.name_prefix}-jobs", Component = "sqs" }
}
