resource "aws_ssm_parameter" "vpc_id" {
  name        = "${var.export_root}/network/vpc-id"
  description = "vpc-id for all services"
  type        = "String"
  value       = aws_vpc.main.id
  tags        = merge(local.tags, { Name = "network-vpc-id", Component = "network" })
}

resource "aws_ssm_parameter" "public_subnet_ids" {
  name        = "${var.export_root}/network/public-subnet-ids"
  description = "public-subnet-ids for all services"
  type        = "StringList"
  value       = join(",", aws_subnet.public[*].id)
  tags        = merge(local.tags, { Name = "network-public-subnet-ids", Component = "network" })
}

resource "aws_ssm_parameter" "private_subnet_ids" {
  name        = "${var.export_root}/network/private-subnet-ids"
  description = "private-subnet-ids for all services"
  type        = "StringList"
  value       = join(",", aws_subnet.private[*].id)
  tags        = merge(local.tags, { Name = "network-private-subnet-ids", Component = "network" })
}

resource "aws_ssm_parameter" "data_subnet_ids" {
  name        = "${var.export_root}/network/data-subnet-ids"
  description = "data-subnet-ids for all services"
  type        = "StringList"
  value       = join(",", aws_subnet.data[*].id)
  tags        = merge(local.tags, { Name = "network-data-subnet-ids", Component = "network" })
}
