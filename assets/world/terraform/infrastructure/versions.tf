terraform {
  required_version = ">= 1.5.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }

  backend "s3" {}
}

provider "aws" {
  region = var.aws_region
}

variable "aws_region" {
  description = "Region of the shared infrastructure"
  type        = string
  default     = "ap-northeast-2"
}

variable "export_root" {
  description = "Path below which values are shared with the services"
  type        = string
  default     = "/shared"
}

locals {
  tags = {
    Environment = "shared"
    Service     = "shared"
    Owner       = "platform@ryuqqq.com"
    CostCenter  = "engineering"
    Team        = "platform-team"
    Lifecycle   = "critical"
    DataClass   = "sensitive"
    ManagedBy   = "Terraform"
    Repository  = "infrastructure"
  }
}
