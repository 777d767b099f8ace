variable "cidr" {
  description = "Address range of the VPC"
  type        = string
  default     = "10.0.0.0/16"
}

locals {
  zones = ["a", "b", "c"]
  tiers = { public = 0, private = 10, data = 20 }
}

resource "aws_vpc" "main" {
  cidr_block = var.cidr
  tags       = merge(local.tags, { Name = "shared-vpc", Component = "network" })
}

resource "aws_subnet" "public" {
  count             = length(local.zones)
  vpc_id            = aws_vpc.main.id
  availability_zone = "${var.aws_region}${local.zones[count.index]}"
  cidr_block        = cidrsubnet(var.cidr, 8, local.tiers.public + count.index)
  tags              = merge(local.tags, { Name = "shared-public-${local.zones[count.index]}", Component = "network", Tier = "public" })
}

resource "aws_subnet" "private" {
  count             = length(local.zones)
  vpc_id            = aws_vpc.main.id
  availability_zone = "${var.aws_region}${local.zones[count.index]}"
  cidr_block        = cidrsubnet(var.cidr, 8, local.tiers.private + count.index)
  tags              = merge(local.tags, { Name = "shared-private-${local.zones[count.index]}", Component = "network", Tier = "private" })
}

resource "aws_subnet" "data" {
  count             = length(local.zones)
  vpc_id            = aws_vpc.main.id
  availability_zone = "${var.aws_region}${local.zones[count.index]}"
  cidr_block        = cidrsubnet(var.cidr, 8, local.tiers.data + count.index)
  tags              = merge(local.tags, { Name = "shared-data-${local.zones[count.index]}", Component = "network", Tier = "data" })
}
