//! What this engine can run: the rest is refused when the machine is made,
//! not in the middle of a run.

use state_language::{
    Checked, IntegrationPattern, ProcessorMode, Resource, Rule, State, StateMachine, Substitutions,
};

/// A state that runs on AWS, and not here.
struct Unserved {
    /// Of the field that is why.
    path: String,
    state: String,
    message: String,
    advice: String,
}

/// As [`state_language::check`], with what cannot be run here as warnings beside it.
pub fn check(definition: &str, substitutions: Substitutions) -> Checked {
    let mut checked = state_language::check(definition, substitutions);
    let unserved = checked.machine.as_ref().map(find).unwrap_or_default();
    for Unserved {
        path,
        state,
        message,
        advice,
    } in unserved
    {
        let message = format!("{message}: the state runs on AWS, not here");
        checked.add(
            definition,
            Rule::NotServedHere,
            &path,
            &state,
            message,
            &advice,
        );
    }
    checked
}

/// What `aws-sdk:sfn` serves.
const STEP_FUNCTIONS_APIS: [&str; 6] = [
    "describeExecution",
    "sendTaskFailure",
    "sendTaskHeartbeat",
    "sendTaskSuccess",
    "startExecution",
    "stopExecution",
];

/// Why the machine cannot be run here, one sentence for each state concerned; empty if it can.
pub(crate) fn unserved(machine: &StateMachine) -> Vec<String> {
    let sentence = |unserved: Unserved| {
        let Unserved {
            path,
            message,
            advice,
            ..
        } = unserved;
        format!("{message}: {advice} at /{}", path.replace('.', "/"))
    };
    find(machine).into_iter().map(sentence).collect()
}

fn find(machine: &StateMachine) -> Vec<Unserved> {
    let mut found = Vec::new();
    machine
        .flow
        .walk_places("", &mut |path, name, state| match state {
            State::Task(task) => {
                if let Some(advice) = instead_of(&task.resource) {
                    found.push(Unserved {
                        path: format!("{path}.Resource"),
                        state: name.to_owned(),
                        message: format!(
                            "the resource {} cannot be served locally",
                            task.resource.arn()
                        ),
                        advice,
                    });
                }
            }
            State::Map(map) if map.item_processor.config.mode == ProcessorMode::Distributed => {
                found.push(Unserved {
                    path: format!("{path}.ItemProcessor.ProcessorConfig.Mode"),
                    state: name.to_owned(),
                    message: "a distributed Map cannot be run locally".to_owned(),
                    advice: "set ProcessorConfig.Mode to INLINE".to_owned(),
                });
            }
            _ => {}
        });
    found
}

/// What to use instead of a resource that cannot be served; `None` for one that can.
fn instead_of(resource: &Resource) -> Option<String> {
    use IntegrationPattern::{RequestResponse, Sync, SyncJson, WaitForTaskToken};
    match resource {
        Resource::Function { .. } => None,
        Resource::Integration {
            service,
            api,
            pattern: RequestResponse | WaitForTaskToken,
            ..
        } if service == "lambda" && api == "invoke" => None,
        Resource::Integration {
            service,
            api,
            pattern: RequestResponse | WaitForTaskToken | Sync | SyncJson,
            ..
        } if service == "states" && api == "startExecution" => None,
        Resource::Integration {
            service,
            api,
            pattern: RequestResponse | WaitForTaskToken,
            ..
        } if service == "aws-sdk:sfn" && STEP_FUNCTIONS_APIS.contains(&api.as_str()) => None,
        Resource::Integration { service, .. }
            if service == "states" || service == "aws-sdk:sfn" =>
        {
            Some(format!(
                "of Step Functions there are states:startExecution, with .sync, .sync:2 or .waitForTaskToken, and aws-sdk:sfn with {}",
                STEP_FUNCTIONS_APIS.join(", ")
            ))
        }
        Resource::Activity { .. } | Resource::Integration { .. } => {
            Some("call a Lambda function (arn:aws:states:::lambda:invoke) instead".to_owned())
        }
    }
}
