variable "environment" {
  description = "dev, staging or prod"
  type        = string
}

variable "aws_region" {
  description = "Region of everything in here"
  type        = string
}

variable "service_name" {
  description = "Name of the service"
  type        = string
}

variable "image_tag" {
  description = "Tag of the image to deploy"
  type        = string
}

variable "ecs_task_cpu" {
  description = "CPU units of a task"
  type        = string
}

variable "ecs_task_memory" {
  description = "Memory of a task in MiB"
  type        = string
}

variable "ecs_desired_count" {
  description = "Number of tasks"
  type        = number
}

variable "ecs_container_port" {
  description = "Port the container listens on"
  type        = number
}

variable "db_name" {
  description = "Database on the shared RDS"
  type        = string
}

variable "db_username" {
  description = "Database user"
  type        = string
}

variable "redis_node_type" {
  description = "ElastiCache node type"
  type        = string
}

variable "redis_num_cache_nodes" {
  description = "Number of cache nodes"
  type        = number
}

variable "tags_owner" {
  description = "Tag Owner"
  type        = string
}

variable "tags_cost_center" {
  description = "Tag CostCenter"
  type        = string
}

variable "tags_team" {
  description = "Tag Team"
  type        = string
}

variable "tags_data_class" {
  description = "Tag DataClass"
  type        = string
  default     = "sensitive"
}

variable "log_retention_days" {
  description = "How long application and access logs are kept"
  type        = number
  default     = 14
}

variable "error_log_retention_days" {
  description = "How long error logs are kept"
  type        = number
  default     = 30
}

variable "app_environment" {
  description = "Settings of the application beyond those that all services have"
  type        = map(string)
  default     = {}
}

variable "alb_port" {
  description = "Port of the load balancer's listener"
  type        = number
  default     = 80
}

variable "db_credentials_suffix" {
  description = "Keeps the secret's name apart from one that waits for its deletion"
  type        = string
}

variable "redis_enabled" {
  description = "Whether the service has a cache of its own"
  type        = bool
  default     = true
}
