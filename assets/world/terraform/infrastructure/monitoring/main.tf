variable "alert_webhook_url" {
  description = "Where alerts are sent; it holds a token"
  type        = string
  default     = "set by hand, once"
}

data "aws_ssm_parameter" "ssm_key_arn" {
  name = "${var.export_root}/kms/ssm-key-arn"
}

resource "aws_ssm_parameter" "alert_webhook_url" {
  name        = "${var.export_root}/monitoring/alert-webhook-url"
  description = "alert-webhook-url for all services"
  type        = "SecureString"
  value       = var.alert_webhook_url
  key_id      = data.aws_ssm_parameter.ssm_key_arn.insecure_value
  tags        = merge(local.tags, { Name = "monitoring-alert-webhook-url", Component = "monitoring" })

  lifecycle {
    ignore_changes = [value]
  }
}
