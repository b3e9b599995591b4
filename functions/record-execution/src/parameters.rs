//! What a task's recorded parameters say: the `traceparent` and the tenant that the state
//! machine put into the payload. And what must not be kept of them: the task token.

use serde_json::Value;
use trace_model::{
    ExecutionArn, InvalidTenantId, InvalidTraceparent, TenantId, Traceparent, names_a_task_token,
    task_payloads,
};

use crate::tenant::Tracing;

/// Stands where a task token was: whoever holds one can answer for the task.
const REMOVED_TOKEN: &str = "[task token removed]";

/// Task tokens are some hundreds of characters of base64; nothing that short is one.
const SHORTEST_TOKEN: usize = 100;

/// One attempt's parameters, read once.
#[derive(Debug)]
pub(crate) struct Parameters {
    pub traceparent: Option<Result<Traceparent, InvalidTraceparent>>,
    pub tenant: Option<Result<TenantId, InvalidTenantId>>,
    pub tracing: Tracing,
    /// The text to keep, without task tokens; `None` where a token could not be looked for.
    pub kept: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenUse {
    /// The resource ends in `.waitForTaskToken`: there is a token, under whatever key.
    Expected,
    Unlikely,
}

impl Parameters {
    pub(crate) fn read(text: &str, token_use: TokenUse) -> Self {
        let Ok(mut value) = serde_json::from_str::<Value>(text) else {
            return Self {
                kept: (token_use == TokenUse::Unlikely).then(|| text.to_owned()),
                ..Self::none()
            };
        };
        let payloads = task_payloads(&value);
        let traceparent = payloads
            .iter()
            .find_map(|payload| payload.pointer("/headers/traceparent")?.as_str())
            .map(Traceparent::parse);
        let tenant = payloads.iter().find_map(tenant_of);
        let names_execution = |payload: &Value| payload.pointer("/stepscope/execution").is_some();
        let joins = matches!(traceparent, Some(Ok(_))) || payloads.iter().any(names_execution);
        let tracing = if joins {
            Tracing::Joins
        } else {
            Tracing::Apart
        };
        let kept = if remove_tokens(&mut value, token_use) {
            value.to_string()
        } else {
            text.to_owned()
        };
        Self {
            traceparent,
            tenant,
            tracing,
            kept: Some(kept),
        }
    }

    pub(crate) const fn none() -> Self {
        Self {
            traceparent: None,
            tenant: None,
            tracing: Tracing::Apart,
            kept: None,
        }
    }
}

/// The tenant in `stepscope.tenant` of an execution's input or a task's payload.
pub(crate) fn tenant_of(payload: &Value) -> Option<Result<TenantId, InvalidTenantId>> {
    match payload.pointer("/stepscope/tenant")? {
        Value::Null => None,
        Value::String(text) => Some(TenantId::parse(text)),
        // Refused as the tracer refuses it, and not read as text: the number 7 is no tenant.
        other => Some(TenantId::parse(&format!("{other} (not a string)"))),
    }
}

/// The execution that started this one, where it said so in the input: AWS documents the member
/// for its console to link the two.
pub(crate) fn started_by(input: &Value) -> Option<ExecutionArn> {
    let arn = input.get("AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID")?;
    ExecutionArn::parse(arn.as_str()?).ok()
}

/// Whether anything was removed.
fn remove_tokens(value: &mut Value, token_use: TokenUse) -> bool {
    match value {
        Value::Object(members) => {
            let mut removed = false;
            for (key, member) in members {
                if names_a_task_token(key) && member.is_string() {
                    *member = Value::String(REMOVED_TOKEN.to_owned());
                    removed = true;
                } else {
                    removed |= remove_tokens(member, token_use);
                }
            }
            removed
        }
        Value::Array(items) => {
            let mut removed = false;
            for item in items {
                removed |= remove_tokens(item, token_use);
            }
            removed
        }
        Value::String(text) => remove_token_in_text(text, token_use),
        _ => false,
    }
}

fn remove_token_in_text(text: &mut String, token_use: TokenUse) -> bool {
    if token_use == TokenUse::Expected && looks_like_a_token(text) {
        REMOVED_TOKEN.clone_into(text);
        return true;
    }
    let is_json = text.trim_start().starts_with(['{', '[']);
    if let Some(mut inner) = is_json
        .then(|| serde_json::from_str::<Value>(text).ok())
        .flatten()
        && remove_tokens(&mut inner, token_use)
    {
        *text = inner.to_string();
        return true;
    }
    false
}

fn looks_like_a_token(text: &str) -> bool {
    text.len() >= SHORTEST_TOKEN
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn check(parameters: &str, traceparent: Option<&str>, tenant: Option<&str>) {
        let read = Parameters::read(parameters, TokenUse::Unlikely);
        let found = read.traceparent.map(|found| found.unwrap().to_string());
        assert_eq!(found.as_deref(), traceparent, "{parameters}");
        let found = read.tenant.map(|found| found.unwrap().to_string());
        assert_eq!(found.as_deref(), tenant, "{parameters}");
        assert_eq!(read.kept.as_deref(), Some(parameters));
    }

    #[test]
    fn traceparent_and_tenant_are_found_where_integrations_put_the_payload() {
        let payload = format!(
            r#"{{"headers":{{"traceparent":"{TRACEPARENT}"}},"stepscope":{{"tenant":"acme"}}}}"#
        );
        let found = (Some(TRACEPARENT), Some("acme"));
        check(&payload, found.0, found.1);
        check(
            &format!(r#"{{"FunctionName":"f","Payload":{payload}}}"#),
            found.0,
            found.1,
        );
        check(
            &format!(r#"{{"StateMachineArn":"a","Input":{payload}}}"#),
            found.0,
            found.1,
        );
        let quoted = serde_json::to_string(&payload).unwrap();
        check(
            &format!(r#"{{"QueueUrl":"q","MessageBody":{quoted}}}"#),
            found.0,
            found.1,
        );
        check(r#"{"Payload":"text"}"#, None, None);
        check("[1,2]", None, None);
        check("not JSON", None, None);
    }

    #[test]
    fn what_is_no_tenant_or_traceparent_is_an_error_not_a_guess() {
        let read = Parameters::read(
            r#"{"headers":{"traceparent":"yes"},"stepscope":{"tenant":"ACME"}}"#,
            TokenUse::Unlikely,
        );
        assert!(read.traceparent.unwrap().is_err());
        assert!(read.tenant.unwrap().is_err());
        for tenant in ["7", "true", r#"["a"]"#] {
            let text = format!(r#"{{"stepscope":{{"tenant":{tenant}}}}}"#);
            let read = Parameters::read(&text, TokenUse::Unlikely);
            assert!(read.tenant.unwrap().is_err(), "{text}");
        }
        let read = Parameters::read(r#"{"stepscope":{"tenant":null}}"#, TokenUse::Unlikely);
        assert_eq!(read.tenant, None);
    }

    #[track_caller]
    fn check_token(parameters: &str, token_use: TokenUse, expected: Option<&str>) {
        let kept = Parameters::read(parameters, token_use).kept;
        assert_eq!(kept.as_deref(), expected);
    }

    #[test]
    fn task_tokens_are_not_kept() {
        let token = "AQCAAAAqAAAAAg".repeat(10);
        for key in ["TaskToken", "task_token", "myTaskToken"] {
            check_token(
                &format!(r#"{{"Payload":{{"{key}":"short","x":1}}}}"#),
                TokenUse::Unlikely,
                Some(&format!(
                    r#"{{"Payload":{{"{key}":"{REMOVED_TOKEN}","x":1}}}}"#
                )),
            );
        }
        let hidden = format!(r#"{{"MessageBody":"{{\"reply\":[\"{token}\"]}}"}}"#);
        check_token(
            &hidden,
            TokenUse::Expected,
            Some(&format!(
                r#"{{"MessageBody":"{{\"reply\":[\"{REMOVED_TOKEN}\"]}}"}}"#
            )),
        );
        check_token(&hidden, TokenUse::Unlikely, Some(&hidden));
        check_token(&format!("cut off {token}"), TokenUse::Expected, None);
    }
}
