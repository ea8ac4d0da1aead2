# The stack of template.yaml as a module: what each part is for is said there. tools/checks/terraform holds both
# to the one list of actions, and to the same alarms.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_caller_identity" "here" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  account       = data.aws_caller_identity.here.account_id
  partition     = data.aws_partition.here.partition
  region        = data.aws_region.here.name
  makes_topic   = var.existing_topic_arn == ""
  topic_arn     = local.makes_topic ? aws_sns_topic.reports[0].arn : var.existing_topic_arn
  failure_email = var.failure_email == "" ? var.email : var.failure_email
  makes_bucket  = var.keep_reports && var.existing_report_bucket == ""
  bucket        = !var.keep_reports ? "" : local.makes_bucket ? aws_s3_bucket.reports[0].id : var.existing_report_bucket
  bucket_arn    = "arn:${local.partition}:s3:::${local.bucket}"
  keys          = compact([var.topic_key_arn, var.keep_reports ? var.bucket_key_arn : ""])
  log_groups    = concat(var.log_groups, compact([var.flow_log_group]))
  log_group_arn = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group"
  alarm_actions = [aws_lambda_function.triage.arn]

  queries = {
    zonal-gateways    = "SELECT SUM(ErrorPortAllocation) FROM SCHEMA(\"AWS/NATGateway\", NatGatewayId) GROUP BY NatGatewayId"
    regional-gateways = "SELECT SUM(ErrorPortAllocation) FROM SCHEMA(\"AWS/NATGateway\", AvailabilityZone, NatGatewayId) GROUP BY NatGatewayId, AvailabilityZone"
  }

  # What the function is asked without an alarm: on Monday mornings in UTC, and every five minutes. An event that is older
  # than these seconds is not sent again; 0 is what EventBridge does by itself.
  schedules = {
    check-up = {
      wanted      = var.weekly_check_up
      description = "Asks nat-triage whether an alarm tonight would get its diagnosis"
      expression  = "cron(0 7 ? * MON *)"
      event       = "{\"doctor\": true, \"tell\": \"changes\"}"
      seconds     = 0
    }
    watch = {
      wanted      = var.early_warning
      description = "Asks nat-triage how full each NAT gateway is"
      expression  = "rate(5 minutes)"
      event       = "{\"watch\": true}"
      seconds     = 240
    }
    fleet = {
      wanted      = var.early_warning
      description = "Asks nat-triage for the page of the NAT gateways, week on week"
      expression  = "cron(0 8 ? * MON *)"
      event       = "{\"watch\": \"weekly\"}"
      seconds     = 0
    }
  }

  environment = {
    NAT_TRIAGE_TOPIC_ARN           = local.topic_arn
    NAT_TRIAGE_MAX_SCAN_GIB        = tostring(var.max_scan_gib)
    NAT_TRIAGE_WATCH_PERCENT       = tostring(var.warn_at_percent)
    NAT_TRIAGE_WATCH_OVER_PERCENT  = var.warning_over_at_percent
    NAT_TRIAGE_WATCH_GIB_PER_DAY   = tostring(var.watch_gib_per_day)
    NAT_TRIAGE_NOTIFY_OK           = tostring(var.notify_ok)
    NAT_TRIAGE_HTTPS               = var.https_readers
    NAT_TRIAGE_REVERSE_DNS         = var.reverse_dns
    NAT_TRIAGE_LOOK_UP_CHANGES     = tostring(var.look_up_changes)
    NAT_TRIAGE_COMPARE_EARLIER     = tostring(var.compare_earlier)
    NAT_TRIAGE_REPEAT_MINUTES      = tostring(var.repeat_minutes)
    NAT_TRIAGE_EVENT_BUS           = var.event_bus
    NAT_TRIAGE_REPORT_BUCKET       = local.bucket
    NAT_TRIAGE_REPORT_BUCKET_OWNER = var.keep_reports ? local.account : ""
    NAT_TRIAGE_LOG_GROUPS          = join(",", concat(compact([var.flow_log_group]), var.linked_log_groups))
    NAT_TRIAGE_NAT_IPS             = join(",", var.gateway_addresses)
    NAT_TRIAGE_LOG_FORMAT          = var.flow_log_format
    NAT_TRIAGE_ATHENA_TABLE        = local.athena_table
    NAT_TRIAGE_ATHENA_WORKGROUP    = local.asks_athena ? local.athena_workgroup : ""
  }
}

resource "aws_lambda_function" "triage" {
  function_name    = var.name
  description      = "Diagnoses port exhaustion of NAT gateways"
  filename         = var.zip
  source_code_hash = filebase64sha256(var.zip)
  handler          = "bootstrap"
  runtime          = "provided.al2023"
  architectures    = [var.architecture]
  timeout          = 900
  memory_size      = 512
  role             = aws_iam_role.triage.arn
  # -1 sets nothing aside.
  reserved_concurrent_executions = var.reserved_concurrency == 0 ? -1 : var.reserved_concurrency

  environment {
    # The program takes an empty variable as one that is not set; Lambda does not take one.
    variables = { for name, value in local.environment : name => value if value != "" }
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.triage.name
  }

  lifecycle {
    precondition {
      condition     = var.email != "" || var.existing_topic_arn != ""
      error_message = "Give email or existing_topic_arn, so that the reports reach somebody."
    }
    precondition {
      condition     = var.flow_log_format == "" || var.flow_log_group != "" || length(var.linked_log_groups) > 0
      error_message = "flow_log_format is the format of flow_log_group or of linked_log_groups, so give one of them too."
    }
    precondition {
      condition     = length(var.linked_log_groups) == 0 || (var.flow_log_format != "" && length(var.gateway_addresses) > 0)
      error_message = "Nobody can look up a linked account's gateway and flow log, so give flow_log_format and gateway_addresses."
    }
    precondition {
      condition     = (var.make_athena_table == "no" && var.athena_table == "") || length(var.flow_log_buckets) > 0
      error_message = "Athena reads flow logs in S3, so give flow_log_buckets."
    }
  }

  depends_on = [aws_iam_role_policy.triage]
}

resource "aws_lambda_function_event_invoke_config" "triage" {
  function_name                = aws_lambda_function.triage.function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = 1800

  destination_config {
    on_failure {
      destination = aws_sqs_queue.failed.arn
    }
  }
}

data "aws_iam_policy_document" "assumed" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "triage" {
  name_prefix          = "${var.name}-"
  description          = "What nat-triage may ask, and the one topic it may publish to"
  assume_role_policy   = data.aws_iam_policy_document.assumed.json
  permissions_boundary = var.permissions_boundary == "" ? null : var.permissions_boundary
}

data "aws_iam_policy_document" "triage" {
  statement {
    sid       = "QueryTheFlowLogs"
    actions   = ["logs:StartQuery"]
    resources = flatten([for group in local.log_groups : ["${local.log_group_arn}:${group}", "${local.log_group_arn}:${group}:*"]])
  }

  statement {
    sid = "FollowQueriesAndLookAround"
    actions = [
      "cloudwatch:DescribeAlarms",
      "cloudwatch:GetMetricData",
      "ec2:DescribeAddresses",
      "ec2:DescribeFlowLogs",
      "ec2:DescribeInstances",
      "ec2:DescribeNatGateways",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribePrefixLists",
      "ec2:DescribeRouteTables",
      "ec2:DescribeSubnets",
      "ec2:DescribeVpcEndpointServices",
      "ec2:DescribeVpcEndpoints",
      "ec2:DescribeVpcs",
      "logs:DescribeLogGroups",
      "logs:GetQueryResults",
      "logs:StopQuery",
      "route53resolver:GetResolverQueryLogConfig",
      "route53resolver:ListResolverQueryLogConfigAssociations",
      "servicequotas:GetServiceQuota",
    ]
    resources = ["*"]
  }

  dynamic "statement" {
    for_each = length(var.linked_log_groups) > 0 ? ["groups"] : []

    content {
      sid       = "QueryFlowLogsOfLinkedAccounts"
      actions   = ["logs:StartQuery"]
      resources = flatten([for group in var.linked_log_groups : [group, "${group}:*"]])
    }
  }

  dynamic "statement" {
    for_each = var.look_up_changes ? ["changes"] : []

    content {
      sid       = "LookUpChanges"
      actions   = ["cloudtrail:LookupEvents"]
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = var.event_bus != "" ? ["bus"] : []

    content {
      sid       = "PutEvents"
      actions   = ["events:PutEvents"]
      resources = ["arn:${local.partition}:events:${local.region}:${local.account}:event-bus/${var.event_bus}"]
    }
  }

  dynamic "statement" {
    for_each = length(var.flow_log_buckets) > 0 ? ["buckets"] : []

    content {
      sid       = "FindFlowLogsInS3"
      actions   = ["s3:ListBucket"]
      resources = var.flow_log_buckets
    }
  }

  # Whatever folder stands before AWSLogs.
  dynamic "statement" {
    for_each = length(var.flow_log_buckets) > 0 ? ["buckets"] : []

    content {
      sid       = "ReadFlowLogsInS3"
      actions   = ["s3:GetObject"]
      resources = [for bucket in var.flow_log_buckets : "${bucket}/*AWSLogs/*"]
    }
  }

  dynamic "statement" {
    for_each = local.asks_athena ? ["athena"] : []

    content {
      sid = "AskAthena"
      actions = [
        "athena:GetQueryExecution",
        "athena:GetQueryResults",
        "athena:StartQueryExecution",
        "athena:StopQueryExecution",
      ]
      resources = ["arn:${local.partition}:athena:${local.region}:${local.account}:workgroup/${local.athena_workgroup}"]
    }
  }

  dynamic "statement" {
    for_each = local.asks_athena ? ["athena"] : []

    content {
      sid     = "FindTheTable"
      actions = ["athena:ListTableMetadata"]
      resources = [
        "arn:${local.partition}:athena:${local.region}:${local.account}:datacatalog/AwsDataCatalog",
        "arn:${local.partition}:athena:${local.region}:${local.account}:workgroup/${local.athena_workgroup}",
      ]
    }
  }

  # Athena makes these calls in the role's name.
  dynamic "statement" {
    for_each = local.asks_athena ? ["athena"] : []

    content {
      sid     = "LetAthenaReadTheCatalog"
      actions = ["glue:GetDatabase", "glue:GetPartitions", "glue:GetTable", "glue:GetTables"]
      resources = [
        "arn:${local.partition}:glue:${local.region}:${local.account}:catalog",
        "arn:${local.partition}:glue:${local.region}:${local.account}:database/${local.athena_database}",
        "arn:${local.partition}:glue:${local.region}:${local.account}:table/${local.athena_database}/*",
      ]
    }
  }

  dynamic "statement" {
    for_each = local.asks_athena && length(var.flow_log_buckets) > 0 ? ["buckets"] : []

    content {
      sid       = "LetAthenaFindTheBuckets"
      actions   = ["s3:GetBucketLocation"]
      resources = var.flow_log_buckets
    }
  }

  dynamic "statement" {
    for_each = local.has_results ? ["results"] : []

    content {
      sid = "LetAthenaKeepResults"
      actions = [
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
      ]
      resources = ["arn:${local.partition}:s3:::${local.athena_results}/*"]
    }
  }

  dynamic "statement" {
    for_each = local.has_results ? ["results"] : []

    content {
      sid       = "LetAthenaFindTheResults"
      actions   = ["s3:GetBucketLocation", "s3:ListBucket"]
      resources = ["arn:${local.partition}:s3:::${split("/", local.athena_results)[0]}"]
    }
  }

  statement {
    sid       = "PublishTheReport"
    actions   = ["sns:GetTopicAttributes", "sns:Publish"]
    resources = [local.topic_arn]
  }

  statement {
    sid       = "KeepFailedInvocations"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.failed.arn]
  }

  # Spelt from its name, for the function waits for this policy.
  statement {
    sid       = "GoOnAndCheckUp"
    actions   = ["lambda:GetPolicy", "lambda:InvokeFunction"]
    resources = ["arn:${local.partition}:lambda:${local.region}:${local.account}:function:${var.name}"]
  }

  statement {
    sid       = "WriteItsLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.triage.arn}:*"]
  }

  dynamic "statement" {
    for_each = var.keep_reports ? ["bucket"] : []

    content {
      sid       = "KeepWhatReportsRestOn"
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = ["${local.bucket_arn}/nat-triage/*"]
    }
  }

  dynamic "statement" {
    for_each = var.keep_reports ? ["bucket"] : []

    content {
      sid       = "TellMissingFromForbidden"
      actions   = ["s3:ListBucket"]
      resources = [local.bucket_arn]
    }
  }

  dynamic "statement" {
    for_each = length(local.keys) > 0 ? ["keys"] : []

    content {
      sid       = "UseTheKeys"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
      resources = local.keys
    }
  }
}

resource "aws_iam_role_policy" "triage" {
  name   = "triage"
  role   = aws_iam_role.triage.id
  policy = data.aws_iam_policy_document.triage.json
}

resource "aws_cloudwatch_log_group" "triage" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_sns_topic" "reports" {
  count             = local.makes_topic ? 1 : 0
  name              = var.name
  display_name      = "nat-triage"
  kms_master_key_id = var.topic_key_arn == "" ? null : var.topic_key_arn
}

resource "aws_sns_topic_subscription" "reports" {
  count     = local.makes_topic && var.email != "" ? 1 : 0
  topic_arn = aws_sns_topic.reports[0].arn
  protocol  = "email"
  endpoint  = var.email
}

# Beside the topic of the reports, and without a key: what broke the one must not silence the other.
resource "aws_sns_topic" "failures" {
  name         = "${var.name}-failures"
  display_name = "nat-triage failed"
}

resource "aws_sns_topic_subscription" "failures" {
  count     = local.failure_email != "" ? 1 : 0
  topic_arn = aws_sns_topic.failures.arn
  protocol  = "email"
  endpoint  = local.failure_email
}

resource "aws_s3_bucket" "reports" {
  count         = local.makes_bucket ? 1 : 0
  bucket_prefix = "${var.name}-"
}

resource "aws_s3_bucket_public_access_block" "reports" {
  count                   = local.makes_bucket ? 1 : 0
  bucket                  = aws_s3_bucket.reports[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "reports" {
  count  = local.makes_bucket ? 1 : 0
  bucket = aws_s3_bucket.reports[0].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "reports" {
  count  = local.makes_bucket ? 1 : 0
  bucket = aws_s3_bucket.reports[0].id

  rule {
    id     = "forget"
    status = "Enabled"

    filter {}

    expiration {
      days = var.report_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

data "aws_iam_policy_document" "only_by_tls" {
  count = local.makes_bucket ? 1 : 0

  statement {
    sid       = "OnlyByTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.reports[0].arn, "${aws_s3_bucket.reports[0].arn}/*"]

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

resource "aws_s3_bucket_policy" "reports" {
  count  = local.makes_bucket ? 1 : 0
  bucket = aws_s3_bucket.reports[0].id
  policy = data.aws_iam_policy_document.only_by_tls[0].json
}

resource "aws_sqs_queue" "failed" {
  name                      = "${var.name}-failed"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_cloudwatch_metric_alarm" "gateways" {
  for_each            = local.queries
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "A NAT gateway could not allocate source ports. nat-triage reports which destination is full."
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 3
  datapoints_to_alarm = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = var.notify_ok ? local.alarm_actions : []

  metric_query {
    id          = "errors"
    expression  = each.value
    period      = 60
    return_data = true
  }

  depends_on = [aws_lambda_permission.alarms]
}

resource "aws_lambda_permission" "alarms" {
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.triage.function_name
  principal      = "lambda.alarms.cloudwatch.amazonaws.com"
  source_account = local.account
  source_arn     = "arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:${var.name}-*"
}

resource "aws_cloudwatch_event_rule" "schedules" {
  for_each            = { for name, schedule in local.schedules : name => schedule if schedule.wanted }
  name                = "${var.name}-${each.key}"
  description         = each.value.description
  schedule_expression = each.value.expression
}

resource "aws_cloudwatch_event_target" "schedules" {
  for_each = aws_cloudwatch_event_rule.schedules
  rule     = each.value.name
  arn      = aws_lambda_function.triage.arn
  input    = local.schedules[each.key].event

  dynamic "retry_policy" {
    for_each = local.schedules[each.key].seconds == 0 ? [] : [local.schedules[each.key].seconds]

    content {
      maximum_event_age_in_seconds = retry_policy.value
    }
  }
}

resource "aws_lambda_permission" "schedules" {
  for_each      = aws_cloudwatch_event_rule.schedules
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.triage.function_name
  principal     = "events.amazonaws.com"
  source_arn    = each.value.arn
}

resource "aws_cloudwatch_dashboard" "overview" {
  count          = var.dashboard ? 1 : 0
  dashboard_name = var.name
  dashboard_body = templatefile("${path.module}/dashboard.json", { region = local.region, function = aws_lambda_function.triage.function_name })
}

resource "aws_cloudwatch_metric_alarm" "failed" {
  alarm_name          = "${var.name}-failed"
  alarm_description   = "nat-triage failed on an alarm, retries included. The event and the error are in the queue ${aws_sqs_queue.failed.name}, the details in the log group ${aws_cloudwatch_log_group.triage.name}."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.failed.name }
  statistic           = "Maximum"
  period              = 60
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.failures.arn]
}
