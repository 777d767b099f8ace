variable "service_name" {
  description = "The service whose images are kept here"
  type        = string
  default     = "SERVICE"
}

resource "aws_ecr_repository" "this" {
  name                 = var.service_name
  image_tag_mutability = "IMMUTABLE"
  tags                 = merge(local.tags, { Name = var.service_name, Component = "ecr", Service = var.service_name })

  image_scanning_configuration {
    scan_on_push = true
  }
}
