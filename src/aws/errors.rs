//! What went wrong with an AWS call, in words, and what to do about it. The one place that reads an
//! [`SdkError`], whose own `Display` says no more than "service error".

use std::error::Error;
use std::fmt;
use std::time::Duration;

// The same types in every SDK crate; this one is the smallest.
use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::RequestId as _;

use crate::deadline::Deadline;
use crate::gap::Gap;
use crate::words;

/// Most characters of a service's own message that a report repeats.
const QUOTED: usize = 300;

/// What sort of failure it is: one kind for each thing that can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A policy does not allow the call.
    Denied,
    /// There are no credentials, or AWS does not take them.
    Credentials,
    /// No Region is set, or another setting is of no use.
    Settings,
    /// Too many calls, or too many queries at once.
    Throttled,
    /// What was asked about does not exist.
    NotFound,
    /// The request itself was refused, for any other reason.
    Refused,
    /// The service failed.
    Unavailable,
    /// No answer in time.
    TimedOut,
    /// No connection.
    Unreachable,
    /// An answer that is none of the service's.
    Unreadable,
}

impl Kind {
    /// Whether the same call may succeed later without anything being changed.
    pub(super) fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Unavailable | Self::TimedOut | Self::Unreachable | Self::Unreadable
        )
    }

    /// The kind of a service's error code; `None` where the code does not tell.
    ///
    /// Sources: the "Common errors" pages of the API references of EC2, CloudWatch, CloudWatch Logs
    /// and SNS, and the codes that the SDK itself retries as throttling.
    fn of_code(code: &str) -> Option<Self> {
        Some(match code {
            "UnauthorizedOperation"
            | "AccessDenied"
            | "AccessDeniedException"
            | "AuthorizationError"
            | "AuthorizationErrorException"
            | "NotAuthorized"
            | "UnauthorizedAccess"
            | "KMSAccessDenied" => Self::Denied,
            "AuthFailure"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "IncompleteSignature"
            | "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "InvalidSecurity"
            | "InvalidSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "OptInRequired"
            | "RequestExpired"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException" => Self::Credentials,
            "LimitExceededException"
            | "RequestLimitExceeded"
            | "SlowDown"
            | "TooManyRequestsException"
            | "BandwidthLimitExceeded"
            | "PriorRequestNotComplete" => Self::Throttled,
            "InternalError"
            | "InternalErrorException"
            | "InternalFailure"
            | "InternalServerError"
            | "InternalServiceFault"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
            | "Unavailable"
            | "RequestTimeout"
            | "RequestTimeoutException" => Self::Unavailable,
            _ if code.contains("Throttl") => Self::Throttled,
            _ if code.contains("NotFound") => Self::NotFound,
            _ => return None,
        })
    }
}

/// What to do without credentials that AWS takes.
pub(super) const SUPPLY_CREDENTIALS: &str = "supply credentials that are valid now: in Lambda the function's role does; elsewhere try aws sts get-caller-identity, for a profile with single sign-on aws sso login, and after aws login: eval \"$(aws configure export-credentials --format env)\"";

/// Why there are no credentials, and what supplies them: for a login that ended, the command that renews it.
pub(super) fn without_credentials(error: &dyn Error, profile: Option<&str>) -> String {
    let why = chain(error);
    // The two ways in which the SDK says that nobody is logged in: its cache has no token that is valid, or
    // IAM Identity Center does not take that token.
    let login_ended = why.contains("SSO token") || why.contains("UnauthorizedException");
    let fix = if login_ended {
        let of = profile.map_or(String::new(), |name| format!(" --profile {}", words::argument(name)));
        format!("log in again: aws sso login{of}")
    } else {
        SUPPLY_CREDENTIALS.to_owned()
    };
    format!("{}; {fix}", cleaned(&why))
}

/// A call that brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The call, named as a policy names it: `ec2:DescribeNatGateways`.
    pub(super) action: &'static str,
    /// What sort of failure it is.
    pub(super) kind: Kind,
    /// The service's error code.
    pub(super) code: Option<String>,
    /// The service's message, or what the SDK says, cleaned and cut.
    pub(super) message: String,
    /// By which AWS support finds the call.
    pub(super) request_id: Option<String>,
}

impl Failure {
    /// What an SDK's error says about the call `action`.
    pub(super) fn of<E>(action: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let chain = || chain(error);
        let without_code = |kind, message: String| Self {
            action,
            kind,
            code: None,
            message: cleaned(&message),
            request_id: error.request_id().map(cleaned),
        };
        match error {
            SdkError::ServiceError(service) => {
                let (meta, status) = (service.err().meta(), service.raw().status());
                let kind = meta.code().and_then(Kind::of_code).unwrap_or(match status.as_u16() {
                    401 | 403 => Kind::Denied,
                    404 => Kind::NotFound,
                    429 => Kind::Throttled,
                    500.. => Kind::Unavailable,
                    _ if status.is_success() => Kind::Unreadable,
                    _ => Kind::Refused,
                });
                let unsaid = || format!("HTTP status {}: {}", status.as_u16(), chain());
                let message = meta.message().map_or_else(unsaid, str::to_owned);
                let request_id = error.request_id().or_else(|| meta.request_id());
                Self {
                    action,
                    kind,
                    code: meta.code().map(cleaned),
                    message: cleaned(&message),
                    request_id: request_id.map(cleaned),
                }
            }
            SdkError::TimeoutError(_) => without_code(Kind::TimedOut, chain()),
            SdkError::ResponseError(response) => {
                let status = response.raw().status().as_u16();
                let kind = if status >= 500 { Kind::Unavailable } else { Kind::Unreadable };
                without_code(kind, format!("HTTP status {status}: {}", chain()))
            }
            // What could not even be sent: the SDK finds out here that it has no credentials or no
            // Region, and says so only in the sources of the error.
            _ => {
                let chain = chain();
                let lower = chain.to_lowercase();
                let kind = if lower.contains("credential") || lower.contains("identity") {
                    Kind::Credentials
                } else if lower.contains("region") || lower.contains("endpoint") {
                    Kind::Settings
                } else if matches!(error, SdkError::ConstructionFailure(_)) {
                    Kind::Refused
                } else if matches!(error, SdkError::DispatchFailure(d) if d.is_timeout()) {
                    Kind::TimedOut
                } else {
                    Kind::Unreachable
                };
                without_code(kind, chain)
            }
        }
    }

    /// The call `action` had no answer within the time there was for it.
    pub(super) fn out_of_time(action: &'static str, waited: Duration) -> Self {
        Self {
            action,
            kind: Kind::TimedOut,
            code: None,
            message: format!("no answer after {} s, and the time for this run was up", waited.as_secs()),
            request_id: None,
        }
    }

    /// What to do about it; `on` is what the permission has to be for, as a policy or a person
    /// would name it.
    pub(super) fn fix(&self, on: &str) -> String {
        let action = self.action;
        match self.kind {
            Kind::Denied => format!("allow {action} on {on} to the role or user that nat-triage runs as"),
            Kind::Credentials => SUPPLY_CREDENTIALS.to_owned(),
            Kind::Settings => "set AWS_REGION to the gateway's Region, and check AWS_ENDPOINT_URL where it is set".to_owned(),
            Kind::Throttled => format!("run again in a few minutes: others in this account and Region use up what {action} allows"),
            Kind::NotFound | Kind::Refused if on == "*" => {
                "report this as a bug of nat-triage, with this message".to_owned()
            }
            Kind::NotFound | Kind::Refused => format!("check {on}"),
            Kind::Unavailable | Kind::Unreadable => {
                "run again in a few minutes; the AWS Health Dashboard shows whether the service is impaired".to_owned()
            }
            Kind::TimedOut => "run again; if it lasts, raise the function's timeout, and check that it has a way to AWS's endpoints".to_owned(),
            Kind::Unreachable => {
                "check the way to AWS's endpoints: a function inside a VPC needs a route or interface endpoints; nat-triage needs no VPC"
                    .to_owned()
            }
        }
    }

    /// The gap that it leaves in the report.
    pub(super) fn gap(&self, what: impl Into<String>, on: &str) -> Gap {
        Gap::new(what, self.to_string(), self.fix(on))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, message, .. } = self;
        let outcome = match self.kind {
            Kind::Denied => "was denied",
            Kind::Credentials => "went without valid credentials",
            Kind::Settings => "could not be sent",
            Kind::Throttled => "was throttled",
            Kind::NotFound => "found nothing",
            Kind::Refused => "was refused",
            Kind::Unavailable => "failed at the service",
            Kind::TimedOut => "timed out",
            Kind::Unreachable => "could not reach AWS",
            Kind::Unreadable => "got an answer that is not the service's",
        };
        write!(f, "{action} {outcome}: ")?;
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(message)?;
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl Error for Failure {}

/// Waits for a call until the deadline, and says in the log how long it took.
pub(super) async fn within<T>(
    deadline: Deadline,
    action: &'static str,
    call: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let began = tokio::time::Instant::now();
    let outcome = tokio::time::timeout_at(deadline.instant(), call)
        .await
        .unwrap_or_else(|_| Err(Failure::out_of_time(action, began.elapsed())));
    let duration_ms = milliseconds(began.elapsed());
    match &outcome {
        Ok(_) => tracing::debug!(action, duration_ms, "{action} answered"),
        Err(failure) => tracing::warn!(action, duration_ms, "{failure}"),
    }
    outcome
}

/// All pages of a list, or what could not be seen without it.
pub(super) async fn listed<T, E>(
    deadline: Deadline,
    action: &'static str,
    what: &str,
    pages: impl Future<Output = Result<Vec<T>, SdkError<E, HttpResponse>>>,
) -> Result<Vec<T>, Gap>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let all = within(deadline, action, async { pages.await.map_err(|error| Failure::of(action, &error)) });
    all.await.map_err(|failure| failure.gap(what, "*"))
}

/// A duration as the log has it.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What lies behind an SDK's error, each cause once, for many repeat their source in their own text.
/// The outermost says no more than its kind, and "other" says nothing at all.
fn chain(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(error) = source {
        let words = error.to_string();
        // The list of everything that was tried says less than that nothing was found.
        let words = words.split(" Attempted:").next().unwrap_or(&words).trim_end_matches('.');
        if words != "other" && !text.contains(words) {
            let colon = if text.is_empty() { "" } else { ": " };
            text.push_str(colon);
            text.push_str(words);
        }
        source = error.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}

/// A text from outside on one line, without the encoded part that EC2 adds to a denial (a kilobyte
/// that only sts:DecodeAuthorizationMessage can read), cut where it is long.
pub(super) fn cleaned(text: &str) -> String {
    let text = text.split("Encoded authorization failure message").next().unwrap_or(text);
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let text = words.join(" ");
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use aws_sdk_sns::error::{ConnectorError, ErrorMetadata};
    use aws_sdk_sns::operation::publish::PublishError;

    use super::*;

    /// A response of this status, without a body.
    pub(in super::super) fn response(status: u16) -> HttpResponse {
        HttpResponse::new(status.try_into().expect("a status"), "".into())
    }

    /// An error of this code and message, as the SDK hands it out when it does not know the code.
    pub(in super::super) fn service_error(
        status: u16,
        code: &str,
        message: &str,
    ) -> SdkError<PublishError, HttpResponse> {
        let meta = ErrorMetadata::builder().code(code).message(message).build();
        SdkError::service_error(PublishError::generic(meta), response(status))
    }

    /// What a call comes to that the service refuses so.
    pub(in super::super) fn refused(action: &'static str, code: &str, message: &str) -> Failure {
        Failure::of(action, &service_error(400, code, message))
    }

    fn kind(code: &str) -> Kind {
        refused("ec2:DescribeVpcs", code, "no").kind
    }

    #[test]
    fn a_denial_names_the_permission_without_the_encoded_part() {
        let message = "You are not authorized to perform this operation.\n Encoded authorization failure message: 3xKd0";
        let failure = refused("ec2:DescribeNatGateways", "UnauthorizedOperation", message);
        assert_eq!(
            failure.to_string(),
            "ec2:DescribeNatGateways was denied: UnauthorizedOperation: You are not authorized to perform this operation."
        );
        assert_eq!(
            failure.fix("*"),
            "allow ec2:DescribeNatGateways on * to the role or user that nat-triage runs as"
        );
        assert!(!failure.kind.is_transient());
    }

    #[test]
    fn codes_of_all_services_are_told_apart() {
        for code in ["AccessDenied", "AccessDeniedException", "AuthorizationError", "KMSAccessDenied"] {
            assert_eq!(kind(code), Kind::Denied, "{code}");
        }
        for code in [
            "Throttling",
            "ThrottlingException",
            "RequestLimitExceeded",
            "KMSThrottling",
            "LimitExceededException",
        ] {
            assert_eq!(kind(code), Kind::Throttled, "{code}");
        }
        for code in ["NatGatewayNotFound", "InvalidVpcID.NotFound", "ResourceNotFoundException", "NotFound"] {
            assert_eq!(kind(code), Kind::NotFound, "{code}");
        }
        for code in ["ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"] {
            assert_eq!(kind(code), Kind::Credentials, "{code}");
        }
        assert_eq!(kind("InvalidParameter"), Kind::Refused);
        assert_eq!(kind("InternalError"), Kind::Unavailable);
    }

    #[test]
    fn an_unknown_code_is_judged_by_its_status() {
        let of = |status| Failure::of("sns:Publish", &service_error(status, "NewCode", "no")).kind;
        assert_eq!(
            [of(403), of(404), of(429), of(503), of(400)],
            [Kind::Denied, Kind::NotFound, Kind::Throttled, Kind::Unavailable, Kind::Refused]
        );
    }

    #[test]
    fn an_answer_that_is_not_the_services_is_not_a_refusal() {
        let error = SdkError::service_error(PublishError::unhandled("expected JSON"), response(200));
        let failure = Failure::of("logs:GetQueryResults", &error);
        assert_eq!(failure.kind, Kind::Unreadable);
        assert!(
            failure.message.starts_with("HTTP status 200: ") && failure.message.ends_with("expected JSON"),
            "{failure}"
        );
    }

    #[test]
    fn what_was_never_sent_says_why() {
        let of = |text: &'static str| {
            let error = SdkError::<PublishError, HttpResponse>::dispatch_failure(ConnectorError::other(
                text.into(),
                None,
            ));
            Failure::of("sns:Publish", &error)
        };
        assert_eq!(of("the credential provider was not enabled").kind, Kind::Credentials);
        assert_eq!(of("Invalid Configuration: Missing Region").kind, Kind::Settings);
        let unreachable = of("tcp connect error: Connection refused");
        assert_eq!(unreachable.kind, Kind::Unreachable);
        assert!(unreachable.to_string().contains("Connection refused"), "{unreachable}");
        let timeout = SdkError::<PublishError, HttpResponse>::timeout_error("operation attempt timeout");
        assert_eq!(Failure::of("sns:Publish", &timeout).kind, Kind::TimedOut);
    }

    #[test]
    fn a_message_from_outside_is_one_line_and_short() {
        let long = cleaned(&format!("a\r\n\u{7}b {}", "x".repeat(5000)));
        assert!(long.starts_with("a b xxx") && long.chars().count() == QUOTED + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_ends_with_the_deadline() {
        let deadline = Deadline::after(Duration::from_secs(7));
        let failure =
            within::<()>(deadline, "ec2:DescribeVpcs", std::future::pending()).await.expect_err("no answer");
        assert_eq!(
            failure.to_string(),
            "ec2:DescribeVpcs timed out: no answer after 7 s, and the time for this run was up"
        );
    }
}
