# A table over the flow logs of this account and Region in the first of flow_log_buckets, with a partition for each of
# their folders, where make_athena_table asks for one. The function itself creates nothing.

locals {
  makes_athena     = var.make_athena_table != "no" && length(var.flow_log_buckets) > 0
  asks_athena      = local.makes_athena || var.athena_table != ""
  athena_table     = local.makes_athena ? "${aws_glue_catalog_database.flow_logs[0].name}.vpc_flow_logs" : var.athena_table
  athena_database  = split(".", local.athena_table)[0]
  athena_workgroup = local.makes_athena ? aws_athena_workgroup.triage[0].name : var.athena_workgroup
  athena_results   = local.makes_athena ? aws_s3_bucket.query_results[0].id : var.athena_results
  has_results      = local.makes_athena || (local.asks_athena && var.athena_results != "")

  makes_text_table = var.make_athena_table == "text"
  has_hive_folders = startswith(var.flow_log_folders, "hive-")
  has_hour_folders = endswith(var.flow_log_folders, "hour")
  flow_logs        = local.makes_athena ? "s3://${split(":::", var.flow_log_buckets[0])[1]}/${var.flow_log_prefix}AWSLogs/" : ""
  day_folder       = local.has_hive_folders ? "aws-account-id=${local.account}/aws-service=vpcflowlogs/aws-region=${local.region}/year=$${year}/month=$${month}/day=$${day}/" : "${local.account}/vpcflowlogs/${local.region}/$${year}/$${month}/$${day}/"
  hour_folder      = !local.has_hour_folders ? "" : local.has_hive_folders ? "hour=$${hour}/" : "$${hour}/"

  # The parts of the time that folders are called by: their least and their greatest value, and how many digits.
  partitions = [
    { name = "year", range = "2020,2099", digits = "4" },
    { name = "month", range = "1,12", digits = "2" },
    { name = "day", range = "1,31", digits = "2" },
    { name = "hour", range = "0,23", digits = "2" },
  ]
  folders = slice(local.partitions, 0, local.has_hour_folders ? 4 : 3)

  # Text in the order of the default format, which are the first fourteen. Parquet has names: what a flow log lacks is
  # empty.
  columns = [
    { name = "version", type = "int" },
    { name = "account_id", type = "string" },
    { name = "interface_id", type = "string" },
    { name = "srcaddr", type = "string" },
    { name = "dstaddr", type = "string" },
    { name = "srcport", type = "int" },
    { name = "dstport", type = "int" },
    { name = "protocol", type = "int" },
    { name = "packets", type = "bigint" },
    { name = "bytes", type = "bigint" },
    { name = "start", type = "bigint" },
    { name = "end", type = "bigint" },
    { name = "action", type = "string" },
    { name = "log_status", type = "string" },
    { name = "vpc_id", type = "string" },
    { name = "subnet_id", type = "string" },
    { name = "instance_id", type = "string" },
    { name = "tcp_flags", type = "int" },
    { name = "type", type = "string" },
    { name = "pkt_srcaddr", type = "string" },
    { name = "pkt_dstaddr", type = "string" },
    { name = "flow_direction", type = "string" },
    { name = "traffic_path", type = "int" },
    { name = "resource_id", type = "string" },
    { name = "next_hop_interface_id", type = "string" },
  ]
}

resource "aws_glue_catalog_database" "flow_logs" {
  count = local.makes_athena ? 1 : 0
  # Names are in lower case there; a function's need not be.
  name        = replace(lower(var.name), "/[^a-z0-9_]/", "_")
  description = "What ${var.name} asks Athena about"
}

resource "aws_glue_catalog_table" "flow_logs" {
  count         = local.makes_athena ? 1 : 0
  database_name = aws_glue_catalog_database.flow_logs[0].name
  name          = "vpc_flow_logs"
  description   = "Flow logs in S3"
  table_type    = "EXTERNAL_TABLE"

  parameters = merge(
    {
      "EXTERNAL" = "TRUE"
      # Of Parquet there is none.
      "skip.header.line.count"    = local.makes_text_table ? "1" : "0"
      "projection.enabled"        = "true"
      "storage.location.template" = "${local.flow_logs}${local.day_folder}${local.hour_folder}"
    },
    { for part in local.folders : "projection.${part.name}.type" => "integer" },
    { for part in local.folders : "projection.${part.name}.range" => part.range },
    { for part in local.folders : "projection.${part.name}.digits" => part.digits },
  )

  dynamic "partition_keys" {
    for_each = local.folders

    content {
      name = partition_keys.value.name
      type = "string"
    }
  }

  storage_descriptor {
    location      = local.flow_logs
    input_format  = local.makes_text_table ? "org.apache.hadoop.mapred.TextInputFormat" : "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format = local.makes_text_table ? "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat" : "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

    ser_de_info {
      serialization_library = local.makes_text_table ? "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe" : "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
      parameters            = local.makes_text_table ? { "field.delim" = " ", "serialization.format" = " " } : { "serialization.format" = "1" }
    }

    dynamic "columns" {
      for_each = slice(local.columns, 0, local.makes_text_table ? 14 : length(local.columns))

      content {
        name = columns.value.name
        type = columns.value.type
      }
    }
  }
}

resource "aws_athena_workgroup" "triage" {
  count         = local.makes_athena ? 1 : 0
  name          = var.name
  description   = "What ${var.name} asks Athena"
  state         = "ENABLED"
  force_destroy = true

  configuration {
    enforce_workgroup_configuration = true
    bytes_scanned_cutoff_per_query  = var.athena_limit_bytes

    engine_version {
      selected_engine_version = "Athena engine version 3"
    }

    result_configuration {
      output_location = "s3://${aws_s3_bucket.query_results[0].id}/"

      encryption_configuration {
        encryption_option = "SSE_S3"
      }
    }
  }
}

resource "aws_s3_bucket" "query_results" {
  count         = local.makes_athena ? 1 : 0
  bucket_prefix = "${var.name}-"
}

resource "aws_s3_bucket_public_access_block" "query_results" {
  count                   = local.makes_athena ? 1 : 0
  bucket                  = aws_s3_bucket.query_results[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "query_results" {
  count  = local.makes_athena ? 1 : 0
  bucket = aws_s3_bucket.query_results[0].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "query_results" {
  count  = local.makes_athena ? 1 : 0
  bucket = aws_s3_bucket.query_results[0].id

  rule {
    id     = "forget"
    status = "Enabled"

    filter {}

    expiration {
      days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

data "aws_iam_policy_document" "query_results_only_by_tls" {
  count = local.makes_athena ? 1 : 0

  statement {
    sid       = "OnlyByTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.query_results[0].arn, "${aws_s3_bucket.query_results[0].arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "query_results" {
  count  = local.makes_athena ? 1 : 0
  bucket = aws_s3_bucket.query_results[0].id
  policy = data.aws_iam_policy_document.query_results_only_by_tls[0].json
}
