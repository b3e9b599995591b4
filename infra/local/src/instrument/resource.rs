//! Which tasks call a Lambda function, told from a `Resource` that may hold substitutions.

use state_language::IntegrationPattern::{RequestResponse, WaitForTaskToken};
use state_language::Resource;

use super::Left;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `lambda:invoke`: the payload is one of the arguments.
    Integration,
    /// A function's own ARN: the arguments are the payload.
    Function,
    /// Nothing that takes a payload of ours.
    Other,
    Unknown(Left),
}

impl Call {
    pub(crate) fn of(resource: &str) -> Self {
        if let Some((name, "")) = substitution(resource) {
            return Self::of_substitution(name);
        }
        match Resource::parse(&without_substitutions(resource)) {
            Ok(Resource::Function { .. }) => Self::Function,
            Ok(Resource::Integration {
                service,
                api,
                pattern: RequestResponse | WaitForTaskToken,
                ..
            }) if ["lambda", "aws-sdk:lambda"].contains(&service.as_str()) && api == "invoke" => {
                Self::Integration
            }
            Ok(_) => Self::Other,
            // A function's ARN from the deployment, with a version or an alias behind it.
            Err(_) => match substitution(resource) {
                Some((name, rest)) if rest.starts_with(':') => Self::of_substitution(name),
                _ => Self::Other,
            },
        }
    }

    /// Only the name says what the deployment puts there.
    fn of_substitution(name: &str) -> Self {
        let lower = name.to_lowercase();
        if lower.contains("activity") {
            Self::Other
        } else if lower.contains("function") || lower.contains("lambda") {
            Self::Function
        } else {
            Self::Unknown(Left::new(
                format!("nothing says whether ${{{name}}} is a Lambda function"),
                format!("if it is one, name it so, as in ${{{name}FunctionArn}}"),
            ))
        }
    }
}

/// The name of the `${…}` that the text begins with, and what follows.
fn substitution(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("${")?.split_once('}')
}

/// With something in place of each `${…}` that can be part of an ARN.
fn without_substitutions(text: &str) -> String {
    let mut parts = text.split("${");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}') {
            Some((_, rest)) => {
                whole.push_str("aws");
                whole.push_str(rest);
            }
            None => whole.push_str(part),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(resource: &str, expected: &Call) {
        assert_eq!(&Call::of(resource), expected, "{resource}");
    }

    #[test]
    fn lambda_is_found_however_it_is_called() {
        for resource in [
            "arn:aws:states:::lambda:invoke",
            "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "arn:aws-us-gov:states:::lambda:invoke",
            "arn:aws-cn:states:::aws-sdk:lambda:invoke",
            "arn:${AWS::Partition}:states:::lambda:invoke",
        ] {
            check(resource, &Call::Integration);
        }
        for resource in [
            "arn:aws:lambda:eu-west-1:123456789012:function:classify",
            "arn:aws:lambda:eu-west-1:123456789012:function:classify:live",
            "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${Name}",
            "${ClassifyFunctionArn}",
            "${ClassifyLambda}:live",
            "${StockCheckerFunction.Arn}",
        ] {
            check(resource, &Call::Function);
        }
        for resource in [
            "arn:aws:states:::sqs:sendMessage",
            "arn:aws:states:::states:startExecution.sync:2",
            "arn:aws:states:::aws-sdk:lambda:listFunctions",
            "arn:aws:states:eu-west-1:123456789012:activity:review",
            "${ReviewActivityArn}",
            "something else",
        ] {
            check(resource, &Call::Other);
        }
        assert!(matches!(Call::of("${Worker}"), Call::Unknown(_)));
    }
}
