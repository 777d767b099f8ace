resource "aws_lb" "main" {
  name            = "${local.name_prefix}-alb"
  subnets         = local.public_subnet_ids
  security_groups = [aws_security_group.alb.id]
  tags            = { Name = "${local.name_prefix}-alb", Component = "alb" }
}

resource "aws_lb_target_group" "app" {
  name                 = "${local.name_prefix}-tg"
  port                 = var.ecs_container_port
  protocol             = "HTTP"
  target_type          = "ip"
  vpc_id               = local.vpc_id
  deregistration_delay = 30
  tags                 = { Name = "${local.name_prefix}-tg", Component = "alb" }

  health_check {
    path                = "/actuator/health"
    matcher             = "200"
    interval            = 30
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.main.arn
  port              = var.alb_port
  protocol          = "HTTP"
  tags              = { Name = "${local.name_prefix}-alb", Component = "alb" }

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
}
