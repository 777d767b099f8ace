resource "aws_ssm_parameter" "repository_url" {
  name        = "${var.export_root}/ecr/${var.service_name}-repository-url"
  description = "Where ${var.service_name}'s images are pulled from"
  type        = "String"
  value       = aws_ecr_repository.this.repository_url
  tags        = local.tags
}

resource "aws_ssm_parameter" "repository_arn" {
  name        = "${var.export_root}/ecr/${var.service_name}-repository-arn"
  description = "ARN of ${var.service_name}'s repository"
  type        = "String"
  value       = aws_ecr_repository.this.arn
  tags        = local.tags
}
