output "service_name" {
  description = "Name of the ECS service"
  value       = aws_ecs_service.app.name
}

output "image_tag" {
  description = "What is deployed"
  value       = var.image_tag
}
