locals {
  app_environment = merge(
    {
      SPRING_PROFILES_ACTIVE = var.environment
      SERVER_PORT            = tostring(var.ecs_container_port)
      APP_VERSION            = var.image_tag
    },
    var.app_environment,
  )

  app_container = {
    name         = "${var.service_name}-app"
    image        = local.image
    essential    = true
    portMappings = [{ containerPort = var.ecs_container_port, protocol = "tcp" }]
    environment  = [for name, value in local.app_environment : { name = name, value = value }]
    secrets = [
      { name = "DB_USERNAME", valueFrom = "${aws_secretsmanager_secret.db_credentials.arn}:username::" },
      { name = "DB_PASSWORD", valueFrom = "${aws_secretsmanager_secret.db_credentials.arn}:password::" },
    ]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.ecs["application"].name
        "awslogs-region"        = var.aws_region
        "awslogs-stream-prefix" = "ecs"
      }
    }
    healthCheck = {
      command     = ["CMD-SHELL", "curl -fsS http://localhost:${var.ecs_container_port}/actuator/health || exit 1"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 60
    }
  }

  tracing_container = {
    name      = "xray-daemon"
    image     = "amazon/aws-xray-daemon:latest"
    essential = false
    cpu       = 32
  }
}
