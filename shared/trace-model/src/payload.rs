//! What Step Functions records of a task's parameters, as far as a trace is found by it.

use serde_json::Value;

/// Members of an integration's parameters that carry the payload: `lambda:invoke`,
/// `states:startExecution`, `sqs:sendMessage`, `sns:publish`.
const PAYLOAD_MEMBERS: [&str; 4] = ["Payload", "Input", "MessageBody", "Message"];

/// Where the payload may be, most likely first, and at last the parameters themselves, as a
/// function named by its ARN and others have it. A payload may be JSON in a string.
pub fn task_payloads(parameters: &Value) -> Vec<Value> {
    let mut found: Vec<Value> = PAYLOAD_MEMBERS
        .iter()
        .filter_map(|member| match parameters.get(member)? {
            Value::String(text) => serde_json::from_str(text).ok(),
            other => Some(other.clone()),
        })
        .collect();
    found.push(parameters.clone());
    found
}

/// Whether a member of that name holds a task token, however it is written: `TaskToken`,
/// `task_token`, `myTaskToken.$`.
pub fn names_a_task_token(member: &str) -> bool {
    let letters: String = member
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    letters.contains("tasktoken")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn payloads_come_before_the_parameters_around_them() {
        let parameters = json!({"QueueUrl": "q", "MessageBody": "{\"headers\": {}}"});
        let expected = [json!({"headers": {}}), parameters.clone()];
        assert_eq!(task_payloads(&parameters), expected);
        assert_eq!(task_payloads(&json!("text")), [json!("text")]);
    }

    #[test]
    fn a_token_is_known_by_its_members_name() {
        for name in ["TaskToken", "task_token", "taskToken", "MyTaskToken.$"] {
            assert!(names_a_task_token(name), "{name}");
        }
        for name in ["token", "task", "tokens_used", "task_id"] {
            assert!(!names_a_task_token(name), "{name}");
        }
    }
}
