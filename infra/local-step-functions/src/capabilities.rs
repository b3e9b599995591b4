//! What this engine can run: the rest is refused when the machine is made,
//! not in the middle of a run.

use state_language::{IntegrationPattern, ProcessorMode, Resource, State, StateMachine};

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
    let mut problems = Vec::new();
    machine.flow.walk(&mut |name, state| match state {
        State::Task(task) => {
            if let Some(problem) = unserved_resource(&task.resource) {
                problems.push(format!("{problem} at /States/{name}/Resource"));
            }
        }
        State::Map(map) if map.item_processor.config.mode == ProcessorMode::Distributed => {
            problems.push(format!(
                "the distributed Map cannot be run locally: set ProcessorConfig.Mode to INLINE at /States/{name}/ItemProcessor"
            ));
        }
        _ => {}
    });
    problems
}

fn unserved_resource(resource: &Resource) -> Option<String> {
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
                "the resource {} cannot be served locally: of Step Functions there are states:startExecution, with .sync, .sync:2 or .waitForTaskToken, and aws-sdk:sfn with {}",
                resource.arn(),
                STEP_FUNCTIONS_APIS.join(", ")
            ))
        }
        other => Some(format!(
            "the resource {} cannot be served locally: call a Lambda function (arn:aws:states:::lambda:invoke) instead",
            other.arn()
        )),
    }
}
