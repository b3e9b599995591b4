//! Names and ARNs of state machines, executions and functions.

use crate::AwsError;

/// Longest name of a state machine or an execution, from the API reference of `CreateStateMachine`.
const NAME_LIMIT: usize = 80;

/// Where this Step Functions says it is. Both go into every ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub region: String,
    pub account: String,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
        }
    }
}

impl Place {
    pub fn state_machine_arn(&self, name: &str) -> String {
        format!("{}:stateMachine:{name}", self.states())
    }

    pub fn execution_arn(&self, machine: &str, name: &str) -> String {
        format!("{}:execution:{machine}:{name}", self.states())
    }

    pub fn function_arn(&self, name: &str) -> String {
        let Self { region, account } = self;
        format!("arn:aws:lambda:{region}:{account}:function:{name}")
    }

    fn states(&self) -> String {
        let Self { region, account } = self;
        format!("arn:aws:states:{region}:{account}")
    }
}

/// The name in a state machine ARN; versions and aliases (`…:NAME:1`) are not kept here.
pub(crate) fn machine_name(arn: &str) -> Result<&str, AwsError> {
    match states_resource(arn)?.as_slice() {
        ["stateMachine", name] => Ok(name),
        ["stateMachine", _, _] => Err(AwsError::no_state_machine(arn)),
        _ => Err(AwsError::invalid_arn(arn)),
    }
}

/// Checks the form of an execution ARN.
pub(crate) fn check_execution_arn(arn: &str) -> Result<(), AwsError> {
    match states_resource(arn)?.as_slice() {
        ["execution", _, _] => Ok(()),
        _ => Err(AwsError::invalid_arn(arn)),
    }
}

/// The bare function name in what `FunctionName` accepts: a name, a partial or a whole ARN,
/// each with or without a qualifier.
pub(crate) fn function_name(name_or_arn: &str) -> &str {
    let after = match name_or_arn.split_once("function:") {
        Some((_, rest)) => rest,
        None => name_or_arn,
    };
    after.split(':').next().unwrap_or(after)
}

pub(crate) fn check_name(name: &str) -> Result<(), AwsError> {
    let allowed = |letter: char| {
        !letter.is_control()
            && !['\u{FFFE}', '\u{FFFF}', '\u{10FFFF}'].contains(&letter)
            && !letter.is_whitespace()
            && !"<>{}[]?*\"#%\\^|~`$&,;:/".contains(letter)
    };
    if name.is_empty() || name.chars().count() > NAME_LIMIT || !name.chars().all(allowed) {
        return Err(AwsError::new(
            "InvalidName",
            format!(
                "Invalid Name: '{name}': use 1 to {NAME_LIMIT} letters, digits, '-' or '_', no white space and none of <>{{}}[]?*\"#%\\^|~`$&,;:/"
            ),
        ));
    }
    Ok(())
}

fn states_resource(arn: &str) -> Result<Vec<&str>, AwsError> {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts.as_slice() {
        ["arn", partition, "states", _, _, rest @ ..] if partition.starts_with("aws") => {
            Ok(rest.to_vec())
        }
        _ => Err(AwsError::invalid_arn(arn)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_function_is_found_in_each_form() {
        for (text, expected) in [
            ("classify", "classify"),
            ("classify:live", "classify"),
            ("000000000000:function:classify", "classify"),
            ("arn:aws:lambda:eu-west-1:1:function:classify", "classify"),
            ("arn:aws:lambda:eu-west-1:1:function:classify:7", "classify"),
        ] {
            assert_eq!(function_name(text), expected, "{text}");
        }
    }

    #[test]
    fn arns_are_read_back() {
        let place = Place::default();
        assert_eq!(
            machine_name(&place.state_machine_arn("triage")),
            Ok("triage")
        );
        assert_eq!(
            check_execution_arn(&place.execution_arn("triage", "a")),
            Ok(())
        );
        for wrong in [
            "triage",
            "arn:aws:states:r:a:execution:x",
            "arn:aws:lambda:r:a:function:x",
        ] {
            assert_eq!(
                machine_name(wrong).unwrap_err().code,
                "InvalidArn",
                "{wrong}"
            );
            assert_eq!(
                check_execution_arn(wrong).unwrap_err().code,
                "InvalidArn",
                "{wrong}"
            );
        }
    }

    #[test]
    fn names_follow_the_rules() {
        for name in ["a", "support-triage", "straße", &"x".repeat(80)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "a b", "a:b", "a/b", "new\nline", &"x".repeat(81)] {
            assert_eq!(check_name(name).unwrap_err().code, "InvalidName", "{name}");
        }
    }
}
