output "function_name" {
  description = "The function, to invoke with one of events/ by hand."
  value       = aws_lambda_function.triage.function_name
}

output "topic_arn" {
  description = "Where the reports are published."
  value       = local.topic_arn
}

output "failure_topic_arn" {
  description = "Where it is told that nat-triage failed. Subscribe somebody, where email is empty."
  value       = aws_sns_topic.failures.arn
}

output "report_bucket" {
  description = "Where the reports are kept; empty where they are not."
  value       = local.bucket
}

output "failed_invocations_url" {
  description = "The queue of the alarms on which the function failed, retries included."
  value       = aws_sqs_queue.failed.url
}
