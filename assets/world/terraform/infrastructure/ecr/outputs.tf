resource "aws_ssm_parameter" "repository_url" {
  name        = "${var.export_root}/ecr/${var.service_name}-repository-url"
  description = "${var.service_name}-repository-url for all services"
  type        = "String"
  value       = aws_ecr_repository.this.repository_url
  tags        = merge(local.tags, { Name = "ecr-${var.service_name}-repository-url", Component = "ecr" })
}

resource "aws_ssm_parameter" "repository_arn" {
  name        = "${var.export_root}/ecr/${var.service_name}-repository-arn"
  description = "${var.service_name}-repository-arn for all services"
  type        = "String"
  value       = aws_ecr_repository.this.arn
  tags        = merge(local.tags, { Name = "ecr-${var.service_name}-repository-arn", Component = "ecr" })
}
