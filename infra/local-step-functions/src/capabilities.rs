//! What this engine can run: the rest is refused when the machine is made,
//! not in the middle of a run.

use state_language::{IntegrationPattern, ProcessorMode, Resource, State, StateMachine};

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
    use IntegrationPattern::{RequestResponse, WaitForTaskToken};
    match resource {
        Resource::Function { .. } => None,
        Resource::Integration {
            service,
            api,
            pattern: RequestResponse | WaitForTaskToken,
            ..
        } if service == "lambda" && api == "invoke" => None,
        other => Some(format!(
            "the resource {} cannot be served locally: call a Lambda function (arn:aws:states:::lambda:invoke) instead",
            other.arn()
        )),
    }
}
