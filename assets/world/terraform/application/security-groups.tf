resource "aws_security_group" "alb" {
  name        = "${local.name_prefix}-alb-sg"
  description = "Load balancer of ${local.name_prefix}"
  vpc_id      = local.vpc_id
  tags        = { Name = "${local.name_prefix}-alb-sg", Component = "security-group" }
}

resource "aws_security_group" "ecs_tasks" {
  name        = "${local.name_prefix}-ecs-tasks-sg"
  description = "Tasks of ${local.name_prefix}"
  vpc_id      = local.vpc_id
  tags        = { Name = "${local.name_prefix}-ecs-tasks-sg", Component = "security-group" }
}

resource "aws_security_group_rule" "tasks_from_alb" {
  type                     = "ingress"
  from_port                = var.ecs_container_port
  to_port                  = var.ecs_container_port
  protocol                 = "tcp"
  security_group_id        = aws_security_group.ecs_tasks.id
  source_security_group_id = aws_security_group.alb.id
}
