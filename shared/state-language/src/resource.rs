//! What a Task's `Resource` names.

use std::fmt;

/// A parsed `Resource`. Whether it can be run is the engine's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// `arn:…:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]`: Lambda without the integration,
    /// whose history events are `LambdaFunction…`.
    Function { arn: String },
    /// `arn:…:states:REGION:ACCOUNT:activity:NAME`.
    Activity { arn: String },
    /// `arn:…:states:::SERVICE:API[.sync | .sync:2 | .waitForTaskToken]`.
    Integration {
        arn: String,
        /// `lambda`, `states`, `http`, …; for SDK integrations `aws-sdk:SERVICE`. It is the
        /// `resourceType` of history events.
        service: String,
        /// `invoke`, `startExecution`, …, without the pattern.
        api: String,
        pattern: IntegrationPattern,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntegrationPattern {
    RequestResponse,
    /// `.sync`: run a job, its output is a string for some services.
    Sync,
    /// `.sync:2`: run a job, its output is JSON.
    SyncJson,
    WaitForTaskToken,
}

impl IntegrationPattern {
    /// What follows the API in the ARN; empty for request-response.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::RequestResponse => "",
            Self::Sync => ".sync",
            Self::SyncJson => ".sync:2",
            Self::WaitForTaskToken => ".waitForTaskToken",
        }
    }
}

impl Resource {
    /// Reads an ARN; the error says what is wrong with it.
    pub fn parse(arn: &str) -> Result<Self, String> {
        let mut parts = arn.splitn(6, ':');
        let (Some("arn"), Some(partition), Some(service), Some(region), Some(account), Some(rest)) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(format!(
                "{arn:?} is not an ARN: it needs arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE"
            ));
        };
        if !partition.starts_with("aws") {
            return Err(format!(
                "{arn:?} has the unknown partition {partition:?}: it is usually aws"
            ));
        }
        match (service, region.is_empty() && account.is_empty()) {
            ("lambda", false) if is_named(rest, "function:") => Ok(Self::Function {
                arn: arn.to_owned(),
            }),
            ("states", false) if is_named(rest, "activity:") => Ok(Self::Activity {
                arn: arn.to_owned(),
            }),
            ("states", true) => Self::parse_integration(arn, rest),
            _ => Err(format!(
                "{arn:?} is no service integration (arn:aws:states:::SERVICE:API), Lambda function or activity"
            )),
        }
    }

    /// The ARN as it was written.
    pub fn arn(&self) -> &str {
        match self {
            Self::Function { arn } | Self::Activity { arn } | Self::Integration { arn, .. } => arn,
        }
    }

    fn parse_integration(arn: &str, rest: &str) -> Result<Self, String> {
        let (rest, pattern) = match rest.split_once('.') {
            None => (rest, IntegrationPattern::RequestResponse),
            Some((rest, "sync")) => (rest, IntegrationPattern::Sync),
            Some((rest, "sync:2")) => (rest, IntegrationPattern::SyncJson),
            Some((rest, "waitForTaskToken")) => (rest, IntegrationPattern::WaitForTaskToken),
            Some((_, other)) => {
                return Err(format!(
                    "{arn:?} ends in the unknown pattern {other:?}: use .sync, .sync:2, .waitForTaskToken or none"
                ));
            }
        };
        match rest.rsplit_once(':') {
            Some((service, api)) if !service.is_empty() && !api.is_empty() => {
                Ok(Self::Integration {
                    arn: arn.to_owned(),
                    service: service.to_owned(),
                    api: api.to_owned(),
                    pattern,
                })
            }
            _ => Err(format!(
                "{arn:?} names no API: it needs arn:aws:states:::SERVICE:API"
            )),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.arn())
    }
}

fn is_named(rest: &str, prefix: &str) -> bool {
    rest.strip_prefix(prefix)
        .is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arn: &str, expected: &Resource) {
        assert_eq!(Resource::parse(arn).as_ref(), Ok(expected));
    }

    fn integration(arn: &str, service: &str, api: &str, pattern: IntegrationPattern) -> Resource {
        Resource::Integration {
            arn: arn.to_owned(),
            service: service.to_owned(),
            api: api.to_owned(),
            pattern,
        }
    }

    #[test]
    fn integrations_are_split_into_service_api_and_pattern() {
        use IntegrationPattern::{RequestResponse, Sync, SyncJson, WaitForTaskToken};
        for (arn, service, api, pattern) in [
            (
                "arn:aws:states:::lambda:invoke",
                "lambda",
                "invoke",
                RequestResponse,
            ),
            (
                "arn:aws:states:::lambda:invoke.waitForTaskToken",
                "lambda",
                "invoke",
                WaitForTaskToken,
            ),
            (
                "arn:aws:states:::states:startExecution.sync:2",
                "states",
                "startExecution",
                SyncJson,
            ),
            (
                "arn:aws-us-gov:states:::glue:startJobRun.sync",
                "glue",
                "startJobRun",
                Sync,
            ),
            (
                "arn:aws:states:::aws-sdk:dynamodb:getItem",
                "aws-sdk:dynamodb",
                "getItem",
                RequestResponse,
            ),
        ] {
            check(arn, &integration(arn, service, api, pattern));
        }
    }

    #[test]
    fn functions_and_activities_are_told_from_integrations() {
        let function = "arn:aws:lambda:eu-west-1:123456789012:function:classify:live";
        check(
            function,
            &Resource::Function {
                arn: function.to_owned(),
            },
        );
        let activity = "arn:aws:states:eu-west-1:123456789012:activity:review";
        check(
            activity,
            &Resource::Activity {
                arn: activity.to_owned(),
            },
        );
    }

    #[test]
    fn what_is_no_resource_is_refused_in_words() {
        for (arn, words) in [
            ("classify", "is not an ARN"),
            ("arn:gcp:states:::lambda:invoke", "unknown partition"),
            ("arn:aws:states:::lambda", "names no API"),
            ("arn:aws:states:::lambda:invoke.later", "unknown pattern"),
            ("arn:aws:s3:::bucket", "no service integration"),
            (
                "arn:aws:lambda:eu-west-1:123456789012:function:",
                "no service integration",
            ),
        ] {
            let message = Resource::parse(arn).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
