variable "name" {
  description = "What the function is called; alarms whose names begin with it may invoke it."
  type        = string
  default     = "nat-triage"
}

variable "zip" {
  description = "The function's zip, as cargo lambda build --release --output-format zip makes it."
  type        = string
}

variable "architecture" {
  description = "The processor the zip is built for."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "It is arm64 or x86_64."
  }
}

variable "email" {
  description = "Where to send the reports, and word of failures of nat-triage. The address has to confirm both."
  type        = string
  default     = ""
}

variable "existing_topic_arn" {
  description = "A topic of this Region that gets the reports instead of one that the module makes."
  type        = string
  default     = ""
}

variable "failure_email" {
  description = "Where to tell that nat-triage itself failed. Empty, at the address of the reports."
  type        = string
  default     = ""
}

variable "topic_key_arn" {
  description = "The KMS key that encrypts the topic of the reports."
  type        = string
  default     = ""
}

variable "log_groups" {
  description = "Which log groups the function may query, with * for any characters."
  type        = list(string)
  default     = ["*"]
}

variable "flow_log_group" {
  description = "Only where DescribeFlowLogs can't tell: the log group of the flow log."
  type        = string
  default     = ""
}

variable "linked_log_groups" {
  description = "Only in a CloudWatch monitoring account, about a gateway of a linked account: the ARNs of the log groups of its flow log. Give flow_log_format and gateway_addresses too."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for group in var.linked_log_groups : can(regex("^arn:aws[a-z-]*:logs:[a-z0-9-]+:[0-9]{12}:log-group:[A-Za-z0-9_/.#-]{1,512}$", group))])
    error_message = "Each of linked_log_groups is the ARN of a log group, without :* at its end."
  }
}

variable "gateway_addresses" {
  description = "Only where DescribeNatGateways can't tell: the private addresses of the only gateway of the Region. Every diagnosis takes them."
  type        = list(string)
  default     = []
}

variable "flow_log_format" {
  description = "The fields of that flow log, in order."
  type        = string
  default     = ""
}

variable "flow_log_buckets" {
  description = "The ARNs of the buckets that flow logs are delivered to. The function may list and read the flow logs in them."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for bucket in var.flow_log_buckets : can(regex("^arn:aws[a-z-]*:s3:::[a-z0-9.-]{3,63}$", bucket))])
    error_message = "Each of flow_log_buckets is the ARN of a bucket, such as arn:aws:s3:::flow-logs."
  }
}

variable "athena_table" {
  description = "Only for flow logs in S3 that are too large to read in place: the table over them that Athena is asked, as DATABASE.TABLE, or a DATABASE of which the table is found by its location. It needs flow_log_buckets and athena_results as well."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(|[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)?)$", var.athena_table))
    error_message = "athena_table is DATABASE.TABLE, DATABASE, or empty."
  }
}

variable "athena_workgroup" {
  description = "The workgroup in which Athena is asked. It needs a location for the results of its queries."
  type        = string
  default     = "primary"
}

variable "athena_results" {
  description = "The bucket and the folder in which that workgroup keeps the results of its queries, such as results/athena. The function may write and read there."
  type        = string
  default     = ""
}

variable "make_athena_table" {
  description = "Whether the module makes a table for Athena over the flow logs of this account and Region in the first of flow_log_buckets, with a workgroup and a bucket for its results, which forgets them after a day: no, text or parquet. A table over text is for the default format; one over Parquet is for any."
  type        = string
  default     = "no"

  validation {
    condition     = contains(["no", "text", "parquet"], var.make_athena_table)
    error_message = "make_athena_table is no, text or parquet."
  }
}

variable "flow_log_folders" {
  description = "Only with make_athena_table: which folders the flow logs have, as the options of the flow log say: day, hour, hive-day or hive-hour; hive- where they are called year=2026 and the like."
  type        = string
  default     = "day"

  validation {
    condition     = contains(["day", "hour", "hive-day", "hive-hour"], var.flow_log_folders)
    error_message = "flow_log_folders is day, hour, hive-day or hive-hour."
  }
}

variable "flow_log_prefix" {
  description = "Only with make_athena_table. What stands before AWSLogs/ in the keys, with a slash at its end, or nothing."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(|[A-Za-z0-9!_.*'()=/-]+/)$", var.flow_log_prefix))
    error_message = "flow_log_prefix is a folder with a slash at its end, or empty."
  }
}

variable "athena_limit_bytes" {
  description = "Only with make_athena_table. How many bytes one query of its workgroup may read; about half a dollar."
  type        = number
  default     = 107374182400
}

variable "keep_reports" {
  description = "Whether reports leave their page, a mark and what they rest on in a bucket."
  type        = bool
  default     = true
}

variable "report_days" {
  description = "After how many days the module's own bucket forgets a report."
  type        = number
  default     = 90
}

variable "existing_report_bucket" {
  description = "A bucket of this account and Region that takes the reports instead of one that the module makes."
  type        = string
  default     = ""
}

variable "bucket_key_arn" {
  description = "The KMS key that encrypts the existing bucket, where it has one of its own."
  type        = string
  default     = ""
}

variable "max_scan_gib" {
  description = "The most that all queries of one run may scan together, in GiB."
  type        = number
  default     = 100
}

variable "reserved_concurrency" {
  description = "The most alarms that are worked on at once, set aside from the account's concurrency; 0 sets nothing aside."
  type        = number
  default     = 0

  validation {
    condition     = var.reserved_concurrency >= 0 && floor(var.reserved_concurrency) == var.reserved_concurrency
    error_message = "The number of alarms is a whole number, or 0."
  }
}

variable "event_bus" {
  description = "The name of an EventBridge bus of this account and Region that gets each message as an event as well."
  type        = string
  default     = ""
}

variable "notify_ok" {
  description = "Whether to be told when an alarm is over as well, and whether ports are free then."
  type        = bool
  default     = false
}

variable "early_warning" {
  description = "Whether the function looks every five minutes how full the gateways are, and tells of a destination that fills up."
  type        = bool
  default     = true
}

variable "warn_at_percent" {
  description = "The part of its ports, in percent, from which readers are told of a destination."
  type        = number
  default     = 80
}

variable "warning_over_at_percent" {
  description = "The part below which such a destination has room again; less than warn_at_percent. Empty for seven eighths of it."
  type        = string
  default     = ""
}

variable "watch_gib_per_day" {
  description = "The most that early warning may scan in a day, in GiB (20 cost $0.11 in us-east-1)."
  type        = number
  default     = 20
}

variable "weekly_check_up" {
  description = "Whether the function looks every week at what a diagnosis would rest on, and tells of changes."
  type        = bool
  default     = true
}

variable "https_readers" {
  description = "Who is subscribed to the topic by HTTPS: chat or machines."
  type        = string
  default     = "chat"

  validation {
    condition     = contains(["chat", "machines"], var.https_readers)
    error_message = "It is chat or machines."
  }
}

variable "reverse_dns" {
  description = "Whether to ask the DNS for the names of destinations: true, false, or a name server's address."
  type        = string
  default     = "false"
}

variable "look_up_changes" {
  description = "Whether to ask CloudTrail's event history what was changed in the two hours before an alarm."
  type        = bool
  default     = true
}

variable "compare_earlier" {
  description = "Whether to ask about the same minutes an hour earlier too, where a destination was full."
  type        = bool
  default     = true
}

variable "repeat_minutes" {
  description = "Within how many minutes the next alarm about a destination and its greatest holder repeats; 0 for never."
  type        = number
  default     = 30

  validation {
    condition     = var.repeat_minutes >= 0 && var.repeat_minutes <= 1440
    error_message = "It is a number of minutes from 0 to 1440."
  }
}

variable "log_retention_days" {
  description = "How long the function's own log is kept."
  type        = number
  default     = 30
}

variable "dashboard" {
  description = "Whether to make a CloudWatch dashboard; CloudWatch bills each of an account beyond the first three."
  type        = bool
  default     = false
}

variable "permissions_boundary" {
  description = "The policy that bounds every role of this account, where there has to be one."
  type        = string
  default     = ""
}
