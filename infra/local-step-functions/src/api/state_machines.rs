//! Operations on state machines.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use state_language::{Problem, Rule, StateMachine, Substitutions};

use super::{page_size, set_next_token};
use crate::arn::{check_name, machine_name};
use crate::capabilities::{check, unserved};
use crate::engine::Request;
use crate::history::epoch_seconds;
use crate::store::{Machine, Revision};
use crate::{AwsError, Error, LocalStepFunctions};

/// Configuration that is kept and described, and has no effect here.
const SETTINGS: [&str; 3] = [
    "loggingConfiguration",
    "tracingConfiguration",
    "encryptionConfiguration",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateStateMachine {
    name: String,
    definition: String,
    role_arn: Option<String>,
    #[serde(rename = "type")]
    machine_type: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateStateMachine {
    state_machine_arn: String,
    definition: Option<String>,
    role_arn: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StateMachineArn {
    state_machine_arn: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListStateMachines {
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ValidateStateMachineDefinition {
    definition: String,
    /// The least that is told: `ERROR`, which is the default, or `WARNING`.
    severity: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TagResource {
    resource_arn: String,
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UntagResource {
    resource_arn: String,
    tag_keys: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListTagsForResource {
    resource_arn: String,
}

#[derive(Debug, Deserialize)]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

impl LocalStepFunctions {
    pub(super) async fn create_state_machine(
        &self,
        request: CreateStateMachine,
    ) -> Result<Value, AwsError> {
        check_name(&request.name)?;
        if request
            .machine_type
            .as_deref()
            .is_some_and(|named| named != "STANDARD")
        {
            return Err(AwsError::new(
                "StateMachineTypeNotSupported",
                "State Machine Type is not supported: only STANDARD runs locally",
            ));
        }
        let (definition, machine) = checked(request.definition).await?;
        let account = &self.place.account;
        let role_arn = request
            .role_arn
            .unwrap_or_else(|| format!("arn:aws:iam::{account}:role/local"));
        self.request(Request::CreateStateMachine {
            name: request.name,
            definition,
            machine,
            role_arn,
            tags: tags_object(request.tags),
            settings: settings_of(request.rest),
        })
        .await
    }

    pub(super) async fn update_state_machine(
        &self,
        request: UpdateStateMachine,
    ) -> Result<Value, AwsError> {
        let definition = match request.definition {
            Some(text) => Some(checked(text).await?),
            None => None,
        };
        let settings = settings_of(request.rest);
        let is_empty = settings.as_object().is_none_or(Map::is_empty);
        if definition.is_none() && request.role_arn.is_none() && is_empty {
            return Err(AwsError::new(
                "MissingRequiredParameter",
                "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified",
            ));
        }
        self.request(Request::UpdateStateMachine {
            name: machine_name(&request.state_machine_arn)?.to_owned(),
            definition,
            role_arn: request.role_arn,
            settings,
        })
        .await
    }

    pub(super) async fn delete_state_machine(
        &self,
        request: StateMachineArn,
    ) -> Result<Value, AwsError> {
        let name = machine_name(&request.state_machine_arn)?.to_owned();
        self.request(Request::DeleteStateMachine { name }).await
    }

    pub(super) async fn describe_state_machine(
        &self,
        request: StateMachineArn,
    ) -> Result<Value, AwsError> {
        let arn = request.state_machine_arn;
        let machine = self.read_machine(&arn).await?;
        let machine = machine.ok_or_else(|| AwsError::no_state_machine(&arn))?;
        let mut answer = describe(&arn, &machine.revision);
        answer["status"] = json!("ACTIVE");
        answer["type"] = json!("STANDARD");
        answer["creationDate"] = epoch_seconds(machine.created);
        Ok(answer)
    }

    pub(super) async fn list_state_machines(
        &self,
        request: ListStateMachines,
    ) -> Result<Value, AwsError> {
        let limit = page_size(request.max_results)?;
        let after = request.next_token.unwrap_or_default();
        let mut machines = self
            .reader
            .run(move |reading| reading.machines(&after, limit + 1))
            .await?;
        let has_more = machines.len() > limit;
        machines.truncate(limit);
        let last = machines.last().map(|machine| machine.name.clone());
        let listed = machines.iter().map(|machine| {
            json!({
                "stateMachineArn": self.place.state_machine_arn(&machine.name),
                "name": machine.name,
                "type": "STANDARD",
                "creationDate": epoch_seconds(machine.created),
            })
        });
        let mut answer = json!({"stateMachines": listed.collect::<Vec<_>>()});
        set_next_token(&mut answer, last.filter(|_| has_more));
        Ok(answer)
    }

    pub(super) async fn tag_resource(&self, request: TagResource) -> Result<Value, AwsError> {
        let name = machine_name(&request.resource_arn)?.to_owned();
        let tags = tags_object(request.tags);
        self.request(Request::TagResource { name, tags }).await
    }

    pub(super) async fn untag_resource(&self, request: UntagResource) -> Result<Value, AwsError> {
        let name = machine_name(&request.resource_arn)?.to_owned();
        let keys = request.tag_keys;
        self.request(Request::UntagResource { name, keys }).await
    }

    pub(super) async fn list_tags_for_resource(
        &self,
        request: ListTagsForResource,
    ) -> Result<Value, AwsError> {
        let arn = request.resource_arn;
        let machine = self.read_machine(&arn).await?.ok_or_else(|| {
            AwsError::new("ResourceNotFound", format!("Resource not found: '{arn}'"))
        })?;
        let tags = machine.tags.as_object().into_iter().flatten();
        let tags = tags.map(|(key, value)| json!({"key": key, "value": value}));
        Ok(json!({"tags": tags.collect::<Vec<_>>()}))
    }

    async fn read_machine(&self, arn: &str) -> Result<Option<Machine>, AwsError> {
        let name = machine_name(arn)?.to_owned();
        if self.place.state_machine_arn(&name) != arn {
            return Ok(None);
        }
        Ok(self
            .reader
            .run(move |reading| reading.machine(&name))
            .await?)
    }
}

/// What `DescribeStateMachine` and `DescribeStateMachineForExecution` have in common.
pub(super) fn describe(arn: &str, revision: &Revision) -> Value {
    let mut answer = json!({
        "stateMachineArn": arn,
        "name": revision.machine,
        "definition": revision.definition,
        "roleArn": revision.role_arn,
        "revisionId": revision.uuid,
        "loggingConfiguration": {"level": "OFF", "includeExecutionData": false},
        "tracingConfiguration": {"enabled": false},
        "encryptionConfiguration": {"type": "AWS_OWNED_KEY"},
    });
    if let (Some(answer), Some(settings)) = (answer.as_object_mut(), revision.settings.as_object())
    {
        answer.extend(settings.clone());
    }
    answer
}

/// Every problem of a definition with its place, without making anything of it.
pub(super) async fn validate_state_machine_definition(
    request: ValidateStateMachineDefinition,
) -> Result<Value, AwsError> {
    let validate = move || validated(&request);
    Ok(tokio::task::spawn_blocking(validate)
        .await
        .map_err(Error::Thread)?)
}

fn validated(request: &ValidateStateMachineDefinition) -> Value {
    let with_warnings = request.severity.as_deref() == Some("WARNING");
    let problems = check(&request.definition, Substitutions::Done).problems;
    // What cannot be run here is refused here, so it is an error.
    let is_error = |problem: &Problem| problem.is_error() || problem.rule == Rule::NotServedHere;
    let diagnostics: Vec<Value> = problems
        .iter()
        .filter(|problem| with_warnings || is_error(problem))
        .map(|problem| {
            json!({
                "severity": if is_error(problem) { "ERROR" } else { "WARNING" },
                "code": match problem.rule {
                    Rule::NotServedHere => "UNSUPPORTED_LOCALLY",
                    _ => "SCHEMA_VALIDATION_FAILED",
                },
                "message": problem.to_string(),
                "location": format!("/{}", problem.path.replace('.', "/")),
            })
        })
        .collect();
    let result = if problems.iter().any(is_error) {
        "FAIL"
    } else {
        "OK"
    };
    json!({"result": result, "diagnostics": diagnostics, "truncated": false})
}

/// A definition that can be run, with its text. A megabyte of it takes a while to check, and that
/// holds up nobody else.
async fn checked(definition: String) -> Result<(String, Arc<StateMachine>), AwsError> {
    let check = move || runnable(&definition).map(|machine| (definition, machine));
    tokio::task::spawn_blocking(check)
        .await
        .map_err(Error::Thread)?
}

fn runnable(definition: &str) -> Result<Arc<StateMachine>, AwsError> {
    let refused = |problem: &str| {
        AwsError::new(
            "InvalidDefinition",
            format!("Invalid State Machine Definition: '{problem}'"),
        )
    };
    let machine = state_language::parse(definition)
        .map_err(|problems| refused(&format!("SCHEMA_VALIDATION_FAILED: {problems}")))?;
    let unserved = unserved(&machine);
    if !unserved.is_empty() {
        return Err(refused(&unserved.join("; ")));
    }
    Ok(Arc::new(machine))
}

fn tags_object(tags: Vec<Tag>) -> Value {
    tags.into_iter()
        .map(|Tag { key, value }| (key, Value::String(value)))
        .collect()
}

fn settings_of(mut request: Map<String, Value>) -> Value {
    request.retain(|key, value| SETTINGS.contains(&key.as_str()) && !value.is_null());
    Value::Object(request)
}
