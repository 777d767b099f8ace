resource "aws_ecs_cluster" "main" {
  name = "${local.name_prefix}-cluster"
  tags = { Name = "${local.name_prefix}-cluster", Component = "ecs" }

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_task_definition" "app" {
  family                   = local.name_prefix
  network_mode             = "awsvpc"
  requires_compatibilities = ["FARGATE"]
  cpu                      = var.ecs_task_cpu
  memory                   = var.ecs_task_memory
  execution_role_arn       = aws_iam_role.ecs_execution.arn
  task_role_arn            = aws_iam_role.ecs_task.arn
  container_definitions    = jsonencode([local.app_container, local.tracing_container])

  # Revisions that ran once stay: a rollback needs them.
  skip_destroy = true
  tags         = { Name = local.name_prefix, Component = "ecs" }
}

resource "aws_ecs_service" "app" {
  name                              = "${local.name_prefix}-service"
  cluster                           = aws_ecs_cluster.main.id
  task_definition                   = aws_ecs_task_definition.app.arn
  desired_count                     = var.ecs_desired_count
  launch_type                       = "FARGATE"
  health_check_grace_period_seconds = 60
  enable_ecs_managed_tags           = true
  enable_execute_command            = var.environment != "prod"
  propagate_tags                    = "SERVICE"
  tags                              = { Name = "${local.name_prefix}-service", Component = "ecs" }

  network_configuration {
    subnets         = local.private_subnet_ids
    security_groups = [aws_security_group.ecs_tasks.id]
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.app.arn
    container_name   = "${var.service_name}-app"
    container_port   = var.ecs_container_port
  }
}
