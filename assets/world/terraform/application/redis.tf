resource "aws_elasticache_subnet_group" "redis" {
  name       = "${local.name_prefix}-redis"
  subnet_ids = local.data_subnet_ids
  tags       = { Name = "${local.name_prefix}-redis", Component = "redis" }
}

resource "aws_security_group" "redis" {
  name        = "${local.name_prefix}-redis-sg"
  description = "Redis of ${local.name_prefix}"
  vpc_id      = local.vpc_id
  tags        = { Name = "${local.name_prefix}-redis-sg", Component = "security-group" }
}

resource "aws_elasticache_replication_group" "redis" {
  count                      = var.redis_enabled ? 1 : 0
  replication_group_id       = "${local.name_prefix}-redis"
  description                = "Redis of ${local.name_prefix}"
  node_type                  = var.redis_node_type
  num_cache_clusters         = var.redis_num_cache_nodes
  automatic_failover_enabled = var.redis_num_cache_nodes > 1
  subnet_group_name          = aws_elasticache_subnet_group.redis.name
  security_group_ids         = [aws_security_group.redis.id]
  at_rest_encryption_enabled = true
  kms_key_id                 = local.elasticache_key_arn
  tags                       = { Name = "${local.name_prefix}-redis", Component = "redis" }
}
