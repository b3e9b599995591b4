//! The Task state: its resource, and what AWS documents of the one it names.

use serde_json::Value;

use crate::expression::OPENING;
use crate::integrations;
use crate::layout::member;
use crate::spelling::nearest;
use crate::substitution::first_substitution;
use crate::{IntegrationPattern, Resource, Rule, TaskState, Template, ValueOrExpression};

use super::expressions::Moment;
use super::map::has_delimiter;
use super::reader::{Object, Reader};
use super::states::MAX_SECONDS;

impl Reader {
    pub(super) fn task(&mut self, object: &Object<'_>) -> Option<TaskState> {
        let resource = self.resource(object);
        let outside = self.surroundings;
        // What the resource was meant to be is not known while it cannot be read.
        self.surroundings.has_task_token = resource.as_ref().is_none_or(waits_for_token);
        let timeout_seconds = self.integer_or_expression(object, "TimeoutSeconds", 1..=MAX_SECONDS);
        let heartbeat_seconds =
            self.integer_or_expression(object, "HeartbeatSeconds", 1..=MAX_SECONDS);
        if let (Some(ValueOrExpression::Value(timeout)), Some(ValueOrExpression::Value(heartbeat))) =
            (&timeout_seconds, &heartbeat_seconds)
            && heartbeat >= timeout
        {
            let message =
                format!("a heartbeat every {heartbeat} s is not within the timeout of {timeout} s");
            self.problem(
                Rule::HeartbeatNotUnderTimeout,
                &object.member("HeartbeatSeconds"),
                &message,
                "make it smaller than TimeoutSeconds",
            );
        }
        let comment = self.text(object, "Comment");
        let arguments = self.template_field(object, "Arguments", Moment::Entered);
        let credentials = self.template_field(object, "Credentials", Moment::Entered);
        let output = self.template_field(object, "Output", Moment::Finished);
        let assign = self.assign(object, Moment::Finished);
        let transition = self.transition(object);
        let retry = self.retry(object);
        let catch = self.catch(object);
        self.surroundings = outside;
        if let Some(resource) = &resource {
            self.check_arguments(object, resource, arguments.as_ref());
        }
        Some(TaskState {
            comment,
            resource: resource?,
            arguments,
            output,
            assign,
            transition: transition?,
            retry,
            catch,
            timeout_seconds,
            heartbeat_seconds,
            credentials,
        })
    }

    fn resource(&mut self, object: &Object<'_>) -> Option<Resource> {
        const WHAT: &str = "an ARN, such as \"arn:aws:states:::lambda:invoke\"";
        let arn = self.required_text(object, "Resource", WHAT)?;
        let path = object.member("Resource");
        if self.is_open(&Value::from(arn.as_str())) {
            // Most often the ARN of a function; nobody runs it.
            return Some(Resource::Function { arn });
        }
        if let Some(name) = first_substitution(&arn) {
            self.problem(
                Rule::UnresolvedSubstitution,
                &path,
                &format!("nothing has been put in the place of ${{{name}}}"),
                "give its value among the definition substitutions",
            );
            return None;
        }
        if arn.starts_with(OPENING) {
            self.problem(
                Rule::InvalidResource,
                &path,
                "a Resource cannot be computed",
                &format!("write {WHAT}, and compute its Arguments"),
            );
            return None;
        }
        match Resource::parse(&arn) {
            Ok(resource) => {
                self.check_integration(&path, &resource);
                Some(resource)
            }
            Err(message) => {
                let advice = format!("write {WHAT}");
                self.problem(Rule::InvalidResource, &path, &message, &advice);
                None
            }
        }
    }

    fn check_integration(&mut self, path: &str, resource: &Resource) {
        let Resource::Integration {
            service,
            api,
            pattern,
            ..
        } = resource
        else {
            return;
        };
        if let Some(sdk_service) = service.strip_prefix("aws-sdk:") {
            self.check_sdk_integration(path, sdk_service, api, *pattern);
            return;
        }
        let Some(known) = integrations::service_named(service) else {
            let advice = match nearest(service, integrations::service_names()) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!(
                    "an API of any service is called as arn:aws:states:::aws-sdk:{service}:{api}"
                ),
            };
            self.problem(
                Rule::UnknownIntegration,
                path,
                &format!("there is no known optimized integration {service:?}"),
                &advice,
            );
            return;
        };
        if !known.apis.contains(&api.as_str()) {
            let advice = match nearest(api, known.apis.iter().copied()) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!(
                    "{service} has {}; others are called as arn:aws:states:::aws-sdk:{service}:{api}",
                    known.apis.join(", ")
                ),
            };
            self.problem(
                Rule::UnknownIntegration,
                path,
                &format!("the integration {service} has no known API {api:?}"),
                &advice,
            );
        }
        if !known.patterns.contains(pattern) {
            let has: Vec<&str> = known
                .patterns
                .iter()
                .map(|pattern| pattern.suffix())
                .filter(|suffix| !suffix.is_empty())
                .collect();
            let advice = if has.is_empty() {
                "remove it".to_owned()
            } else {
                format!("remove it, or use {}", has.join(" or "))
            };
            let message = format!("{service}:{api} has no {}", pattern.suffix());
            self.problem(Rule::IntegrationPattern, path, &message, &advice);
        }
    }

    fn check_sdk_integration(
        &mut self,
        path: &str,
        service: &str,
        api: &str,
        pattern: IntegrationPattern,
    ) {
        if matches!(
            pattern,
            IntegrationPattern::Sync | IntegrationPattern::SyncJson
        ) {
            self.problem(
                Rule::IntegrationPattern,
                path,
                &format!("an SDK integration has no {}", pattern.suffix()),
                "remove it and ask for the result, or use the optimized integration",
            );
        }
        if api.starts_with(|first: char| first.is_uppercase()) {
            let (first, rest) = api.split_at(1);
            let meant = format!("aws-sdk:{service}:{}{rest}", first.to_lowercase());
            self.problem(
                Rule::UnknownIntegration,
                path,
                &format!("the API {api:?} begins with a capital letter"),
                &format!("write it in camel case: arn:aws:states:::{meant}"),
            );
        }
    }

    /// What is written out in Arguments against what the API takes.
    fn check_arguments(
        &mut self,
        object: &Object<'_>,
        resource: &Resource,
        arguments: Option<&Template>,
    ) {
        let path = object.member("Arguments");
        if waits_for_token(resource)
            && arguments.is_some_and(|arguments| !hands_on_token(arguments))
        {
            self.problem(
                Rule::TaskTokenUnused,
                &path,
                "the task waits for its token, and nothing hands the token on",
                "put \"{% $states.context.Task.Token %}\" into what is sent",
            );
        }
        let Resource::Integration { service, api, .. } = resource else {
            return;
        };
        if let (Some(Template::Literal(_)), Some(value)) =
            (arguments, object.fields.get("Arguments"))
            && !value.is_object()
            && !has_delimiter(value)
        {
            self.wrong_type(&path, value, "an object, or an expression {% … %}");
        }
        let (Some(expected), Some(Value::Object(given))) = (
            integrations::arguments_of(service, api),
            object.fields.get("Arguments"),
        ) else {
            return;
        };
        let known = || {
            let optional = expected.optional.into_iter().flatten();
            expected.required.iter().chain(optional).copied()
        };
        let is_known = |field: &str| known().any(|name| name == field);
        // Left out because it is misspelt: that is told instead.
        let mut misspelt = Vec::new();
        if expected.optional.is_some() {
            for field in given
                .keys()
                .filter(|field| !is_known(field) && !field.ends_with(".$"))
            {
                let meant = nearest(field, known());
                misspelt.extend(meant);
                let advice = match meant {
                    Some(meant) => format!("did you mean {meant:?}?"),
                    None => format!("it takes {}", known().collect::<Vec<_>>().join(", ")),
                };
                self.problem(
                    Rule::UnknownArgument,
                    &member(&path, field),
                    &format!("{service}:{api} takes no {field:?}"),
                    &advice,
                );
            }
        }
        for required in expected.required {
            let is_given = given
                .keys()
                .any(|field| field == required || field.strip_suffix(".$") == Some(*required));
            if !is_given && !misspelt.contains(required) {
                self.problem(
                    Rule::MissingArgument,
                    &path,
                    &format!("{service}:{api} needs {required}"),
                    &format!("add {required} to Arguments"),
                );
            }
        }
    }
}

fn waits_for_token(resource: &Resource) -> bool {
    matches!(
        resource,
        Resource::Integration {
            pattern: IntegrationPattern::WaitForTaskToken,
            ..
        }
    )
}

/// Whether an expression reads the token, or something that holds it.
fn hands_on_token(arguments: &Template) -> bool {
    let mut hands_on = false;
    arguments.walk("", &mut |_, expression| {
        let states = expression.inspection().reads.get("states");
        hands_on |= states.is_some_and(|states| {
            let context = states.fields.get("context");
            states.whole
                || context
                    .is_some_and(|context| context.whole || context.fields.contains_key("Task"))
        });
    });
    hands_on
}
