//! The AWS actions that the program makes, once, as data. `docs/permissions.json` and
//! `docs/permissions.md` are made from this list; the check of the template reads the first of them.
//!
//! Knows no SDK: an action is the name that a policy has for a call.

use std::fmt::Write as _;

use serde::Serialize;

/// What an action has to be allowed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// Anything: AWS can't narrow the action to a resource.
    Any,
    /// The log groups of flow logs and of resolver queries, with and without `:*` behind their ARN.
    LogGroups,
    /// The topic of the reports.
    Topic,
    /// What stands in the report bucket below `nat-triage/`.
    ReportObjects,
    /// The report bucket itself.
    ReportBucket,
    /// Buckets that flow logs are delivered to.
    FlowLogBuckets,
    /// The flow logs' files in them.
    FlowLogFiles,
    /// The workgroup in which Athena is asked.
    Workgroup,
    /// The catalog in which its tables are, and the workgroup.
    Catalog,
    /// The Glue catalog, the database of the table, and its tables.
    GlueTables,
    /// The folder of the workgroup's query results.
    QueryResults,
    /// The bucket of the workgroup's query results.
    QueryResultsBucket,
    /// The KMS keys of the topic and of the bucket.
    Keys,
    /// The queue of failed invocations.
    FailureQueue,
    /// The event bus.
    EventBus,
    /// The function itself.
    OwnFunction,
    /// The function's own log group.
    OwnLog,
}

impl Resource {
    /// In words, for a person who writes a policy.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Any => "`*` (it can't be narrowed)",
            Self::LogGroups => "the log groups, each as `…:log-group:NAME` and as `…:log-group:NAME:*`",
            Self::Topic => "the topic",
            Self::ReportObjects => "`arn:aws:s3:::BUCKET/nat-triage/*`",
            Self::ReportBucket => "`arn:aws:s3:::BUCKET`",
            Self::FlowLogBuckets => "each bucket that a flow log is delivered to",
            Self::FlowLogFiles => "`…/AWSLogs/*` in each bucket that a flow log is delivered to",
            Self::Workgroup => "the workgroup",
            Self::Catalog => "the data catalog `AwsDataCatalog`, and the workgroup",
            Self::GlueTables => "the Glue catalog, the table's database, and `table/DATABASE/*`",
            Self::QueryResults => "the folder of the workgroup's query results",
            Self::QueryResultsBucket => "the bucket of the workgroup's query results",
            Self::Keys => "the key",
            Self::FailureQueue => "the dead-letter queue",
            Self::EventBus => "the event bus",
            Self::OwnFunction => "the function",
            Self::OwnLog => "the function's log group",
        }
    }
}

/// Who needs an action, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// No diagnosis, or none that anybody gets, is made without it.
    Required,
    /// A report says less without it.
    Helpful,
    /// Only with the report bucket (`NAT_TRIAGE_REPORT_BUCKET`, the parameter `ReportBucket`).
    WithReportBucket,
    /// Only where flow logs are delivered to S3 (the parameter `FlowLogBuckets`).
    WithFlowLogsInS3,
    /// Only where Athena is asked (`NAT_TRIAGE_ATHENA_TABLE`, the parameter `AthenaTable`).
    WithAthena,
    /// No call of ours: Athena makes it in the name of who asks.
    ByAthena,
    /// Only where changes are looked up (`NAT_TRIAGE_LOOK_UP_CHANGES`, the parameter `LookUpChanges`), which is usual.
    WithChanges,
    /// Only with an event bus (`NAT_TRIAGE_EVENT_BUS`, the parameter `EventBus`).
    WithEventBus,
    /// No call of ours: S3 looks for it where an object of the report bucket is not there.
    BesideReportBucket,
    /// No call of ours: SNS and S3 use a key in our name, where the topic or the bucket has one of its own.
    WithKey,
    /// Lambda makes the call in the function's name; the command line does not need it.
    Lambda,
}

impl Need {
    /// In words, as a column of the table.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Required => "always",
            Self::Helpful => "to say more",
            Self::WithReportBucket => "with `NAT_TRIAGE_REPORT_BUCKET`",
            Self::WithFlowLogsInS3 => "where flow logs are delivered to S3, with `FlowLogBuckets`",
            Self::WithAthena => "with `NAT_TRIAGE_ATHENA_TABLE`",
            Self::ByAthena => "by Athena, with `NAT_TRIAGE_ATHENA_TABLE`",
            Self::WithChanges => "to say more, unless `NAT_TRIAGE_LOOK_UP_CHANGES=false`",
            Self::WithEventBus => "with `NAT_TRIAGE_EVENT_BUS`",
            Self::BesideReportBucket => "by S3, with `NAT_TRIAGE_REPORT_BUCKET`",
            Self::WithKey => "by SNS or S3, where the topic or the bucket has a KMS key of its own",
            Self::Lambda => "by Lambda, for the function",
        }
    }

    /// Whether the program itself makes the call.
    #[must_use]
    pub fn is_a_call(self) -> bool {
        match self {
            Self::Required
            | Self::Helpful
            | Self::WithReportBucket
            | Self::WithFlowLogsInS3
            | Self::WithAthena
            | Self::WithChanges
            | Self::WithEventBus => true,
            Self::ByAthena | Self::BesideReportBucket | Self::WithKey | Self::Lambda => false,
        }
    }
}

/// One action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// As a policy names it: `ec2:DescribeNatGateways`.
    pub action: &'static str,
    /// What it has to be allowed on.
    pub resource: Resource,
    /// Who needs it, and when.
    pub need: Need,
    /// What is lost without it.
    pub without: &'static str,
}

const fn any(action: &'static str, need: Need, without: &'static str) -> Permission {
    Permission { action, resource: Resource::Any, need, without }
}

const fn on(resource: Resource, action: &'static str, need: Need, without: &'static str) -> Permission {
    Permission { action, resource, need, without }
}

/// Every action that the program makes, or that Lambda makes in its name, in the order of their names.
pub const PERMISSIONS: &[Permission] = &[
    on(
        Resource::Workgroup,
        "athena:GetQueryExecution",
        Need::WithAthena,
        "Athena's answers can't be waited for: of flow logs in S3 only what can be read in place is.",
    ),
    on(
        Resource::Workgroup,
        "athena:GetQueryResults",
        Need::WithAthena,
        "Athena's answers can't be read: of flow logs in S3 only what can be read in place is.",
    ),
    on(
        Resource::Catalog,
        "athena:ListTableMetadata",
        Need::WithAthena,
        "The table's columns and partitions are not known, so Athena is not asked.",
    ),
    on(
        Resource::Workgroup,
        "athena:StartQueryExecution",
        Need::WithAthena,
        "Athena can't be asked: of flow logs in S3 only what can be read in place is.",
    ),
    on(
        Resource::Workgroup,
        "athena:StopQueryExecution",
        Need::WithAthena,
        "A statement that would cost too much, or that came too late, runs on and is paid for.",
    ),
    any(
        "cloudtrail:LookupEvents",
        Need::WithChanges,
        "The report does not say what was changed before the alarm.",
    ),
    any(
        "cloudwatch:DescribeAlarms",
        Need::Helpful,
        "A composite alarm names no gateway, so its event can't be followed to one.",
    ),
    any(
        "cloudwatch:GetMetricData",
        Need::Helpful,
        "What was counted in the flow logs is not held against what CloudWatch counted.",
    ),
    any(
        "ec2:DescribeAddresses",
        Need::Helpful,
        "The report does not know how many more addresses the account may have.",
    ),
    any(
        "ec2:DescribeFlowLogs",
        Need::Required,
        "The log groups and their format are not found, unless NAT_TRIAGE_LOG_GROUPS names them.",
    ),
    any("ec2:DescribeInstances", Need::Helpful, "Clients that are instances have no name."),
    any(
        "ec2:DescribeNatGateways",
        Need::Required,
        "The gateway's addresses and capacity are not known, unless NAT_TRIAGE_NAT_IPS names the addresses.",
    ),
    any("ec2:DescribeNetworkInterfaces", Need::Helpful, "Clients have addresses only, and no owner."),
    any(
        "ec2:DescribePrefixLists",
        Need::Helpful,
        "A destination is not recognised as S3 or DynamoDB, so no gateway endpoint is proposed.",
    ),
    any("ec2:DescribeRouteTables", Need::Helpful, "The report does not know which subnets use the gateway."),
    any(
        "ec2:DescribeSubnets",
        Need::Helpful,
        "The report does not know which subnet and zone a client is in.",
    ),
    any(
        "ec2:DescribeVpcEndpointServices",
        Need::Helpful,
        "The report does not know which services an interface endpoint would reach.",
    ),
    any("ec2:DescribeVpcEndpoints", Need::Helpful, "The report does not know which endpoints exist already."),
    any(
        "ec2:DescribeVpcs",
        Need::Helpful,
        "The VPC's address ranges are not known, so clients are told from destinations less well.",
    ),
    on(
        Resource::EventBus,
        "events:PutEvents",
        Need::WithEventBus,
        "The bus gets no events; the topic gets each message all the same.",
    ),
    on(Resource::GlueTables, "glue:GetDatabase", Need::ByAthena, "Athena does not find the table."),
    on(
        Resource::GlueTables,
        "glue:GetPartitions",
        Need::ByAthena,
        "Athena does not find the table's partitions.",
    ),
    on(Resource::GlueTables, "glue:GetTable", Need::ByAthena, "Athena does not find the table."),
    on(Resource::GlueTables, "glue:GetTables", Need::ByAthena, "Athena does not find the table."),
    on(Resource::Keys, "kms:Decrypt", Need::WithKey, "Nothing can be written where the key encrypts."),
    on(
        Resource::Keys,
        "kms:GenerateDataKey*",
        Need::WithKey,
        "Nothing can be written where the key encrypts.",
    ),
    on(
        Resource::OwnFunction,
        "lambda:GetPolicy",
        Need::Helpful,
        "nat-triage doctor does not know whether the alarms may invoke the function.",
    ),
    on(
        Resource::OwnFunction,
        "lambda:InvokeFunction",
        Need::Helpful,
        "Where flow logs arrive later than the function may run, the last report is made without them.",
    ),
    on(Resource::OwnLog, "logs:CreateLogStream", Need::Lambda, "The function runs, and its log stays empty."),
    any(
        "logs:DescribeLogGroups",
        Need::Helpful,
        "The report does not know how far back the flow logs reach, nor their log class.",
    ),
    any("logs:GetQueryResults", Need::Required, "The answers of Logs Insights can't be read."),
    on(Resource::OwnLog, "logs:PutLogEvents", Need::Lambda, "The function runs, and its log stays empty."),
    on(Resource::LogGroups, "logs:StartQuery", Need::Required, "The flow logs can't be asked."),
    any(
        "logs:StopQuery",
        Need::Helpful,
        "A query that would cost too much, or that came too late, runs on and is paid for.",
    ),
    any(
        "route53resolver:GetResolverQueryLogConfig",
        Need::Helpful,
        "Destinations are not called by the names that clients asked the VPC's resolver for.",
    ),
    any(
        "route53resolver:ListResolverQueryLogConfigAssociations",
        Need::Helpful,
        "Destinations are not called by the names that clients asked the VPC's resolver for.",
    ),
    on(
        Resource::QueryResults,
        "s3:AbortMultipartUpload",
        Need::ByAthena,
        "Parts of large results stay, and are paid for.",
    ),
    on(
        Resource::FlowLogBuckets,
        "s3:GetBucketLocation",
        Need::ByAthena,
        "Athena does not read the flow logs in S3.",
    ),
    on(
        Resource::QueryResultsBucket,
        "s3:GetBucketLocation",
        Need::ByAthena,
        "Athena has nowhere to keep its results, and answers nothing.",
    ),
    on(
        Resource::QueryResults,
        "s3:GetObject",
        Need::ByAthena,
        "Athena's answers can't be read: of flow logs in S3 only what can be read in place is.",
    ),
    on(
        Resource::ReportObjects,
        "s3:GetObject",
        Need::WithReportBucket,
        "An alarm may be reported twice, and the link to the page does not open.",
    ),
    on(
        Resource::FlowLogFiles,
        "s3:GetObject",
        Need::WithFlowLogsInS3,
        "Flow logs in S3 are not read: a gateway without another one gets no diagnosis.",
    ),
    on(
        Resource::ReportBucket,
        "s3:ListBucket",
        Need::BesideReportBucket,
        "S3 calls a mark forbidden that is not there, so the log can't tell a missing mark from a missing permission.",
    ),
    on(
        Resource::FlowLogBuckets,
        "s3:ListBucket",
        Need::WithFlowLogsInS3,
        "Flow logs in S3 are not found: a gateway without another one gets no diagnosis.",
    ),
    on(Resource::QueryResultsBucket, "s3:ListBucket", Need::ByAthena, "Athena may not find its own results."),
    on(
        Resource::QueryResults,
        "s3:ListMultipartUploadParts",
        Need::ByAthena,
        "Athena can't keep large results.",
    ),
    on(
        Resource::QueryResults,
        "s3:PutObject",
        Need::ByAthena,
        "Athena has nowhere to keep its results, and answers nothing.",
    ),
    on(
        Resource::ReportObjects,
        "s3:PutObject",
        Need::WithReportBucket,
        "An alarm may be reported twice; no page and no bundle is kept.",
    ),
    any(
        "servicequotas:GetServiceQuota",
        Need::Helpful,
        "The report does not know how many addresses a gateway may have.",
    ),
    on(
        Resource::Topic,
        "sns:GetTopicAttributes",
        Need::Helpful,
        "nat-triage doctor does not know whether anybody is subscribed to the topic.",
    ),
    on(Resource::Topic, "sns:Publish", Need::Required, "Nobody gets the report."),
    on(
        Resource::FailureQueue,
        "sqs:SendMessage",
        Need::Lambda,
        "An alarm on which the function failed is lost.",
    ),
];

/// The list for programs, such as the checks of templates: `docs/permissions.json`.
///
/// # Panics
///
/// Never: the list holds nothing that JSON cannot.
#[must_use]
pub fn as_json() -> String {
    serde_json::to_string_pretty(PERMISSIONS).expect("holds nothing that JSON cannot") + "\n"
}

/// The list for people: `docs/permissions.md`.
#[must_use]
pub fn as_markdown() -> String {
    let mut page = String::from(
        "# Permissions\n\n\
         These are the AWS actions that nat-triage makes, and no others. None of them changes the network. The\n\
         template grants each of them. A permission that is missing is a gap in the report, which names it.\n\n\
         Made from `src/permissions.rs`: `UPDATE_DOCS=1 cargo test --no-default-features --test promises permissions`.\n\n\
         | action | on | needed | without it |\n|---|---|---|---|\n",
    );
    for Permission { action, resource, need, without } in PERMISSIONS {
        writeln!(page, "| `{action}` | {} | {} | {without} |", resource.words(), need.words())
            .expect("a string takes all");
    }
    page
}
