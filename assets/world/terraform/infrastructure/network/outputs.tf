resource "aws_ssm_parameter" "vpc_id" {
  name        = "${var.export_root}/network/vpc-id"
  description = "The VPC that all services share"
  type        = "String"
  value       = aws_vpc.main.id
  tags        = local.tags
}

resource "aws_ssm_parameter" "public_subnet_ids" {
  name        = "${var.export_root}/network/public-subnet-ids"
  description = "Subnets of load balancers"
  type        = "StringList"
  value       = join(",", aws_subnet.public[*].id)
  tags        = local.tags
}

resource "aws_ssm_parameter" "private_subnet_ids" {
  name        = "${var.export_root}/network/private-subnet-ids"
  description = "Subnets of tasks"
  type        = "StringList"
  value       = join(",", aws_subnet.private[*].id)
  tags        = local.tags
}

resource "aws_ssm_parameter" "data_subnet_ids" {
  name        = "${var.export_root}/network/data-subnet-ids"
  description = "Subnets of databases and caches"
  type        = "StringList"
  value       = join(",", aws_subnet.data[*].id)
  tags        = local.tags
}
