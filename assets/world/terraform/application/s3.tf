resource "aws_s3_bucket" "storage" {
  bucket = "${local.name_prefix}-storage-${local.account_id}"
  tags   = { Name = "${local.name_prefix}-storage-${local.account_id}", Component = "s3" }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "storage" {
  bucket = aws_s3_bucket.storage.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = local.s3_key_arn
    }
  }
}
