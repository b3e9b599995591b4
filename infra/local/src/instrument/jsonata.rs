//! What a JSONata state computes: the same expressions that the workflows of `infra/workflows`
//! have, and guards around payloads that are an expression themselves.

use state_language::Expression;
use trace_model::TenantId;

/// What `headers.traceparent` is, without delimiters.
pub(crate) const TRACEPARENT: &str = "'00-' & $hash($states.context.Execution.Id, 'MD5') & '-' & \
     $substring($replace($uuid(), '-', ''), 0, 16) & '-01'";

const PAYLOAD: &str = "$stepscope_payload";
const ARGUMENTS: &str = "$stepscope_arguments";
const HEADERS: &str = "$stepscope_headers";

/// What goes before and behind an expression. It stays as it is, and is evaluated once.
pub(crate) struct Guard {
    pub before: String,
    pub after: String,
}

/// What an expression is to this command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// One that can be put inside a guard.
    Free,
    /// It is inside one already.
    Guarded,
    /// It speaks of `traceparent` itself.
    ByHand,
    /// No expression; why.
    Unreadable(String),
}

/// As a string of the definition.
pub(crate) fn delimited(expression: &str) -> String {
    format!("{{% {expression} %}}")
}

/// Of a string of the definition, as it is written and as it reads.
pub(crate) fn examine(raw: &str, value: &str) -> Found {
    if !(raw.starts_with("\"{%") && raw.ends_with("%}\"") && raw.len() >= "\"{%%}\"".len()) {
        return Found::Unreadable("its delimiters {% and %} are written as escapes".to_owned());
    }
    let source = value[2..value.len() - 2].trim();
    if let Err(error) = Expression::parse(source) {
        return Found::Unreadable(format!("its expression cannot be read: {error}"));
    }
    let is_ours = |name: &str| source.starts_with(&format!("( {name} := ("));
    if [PAYLOAD, ARGUMENTS, HEADERS].into_iter().any(is_ours) {
        return Found::Guarded;
    }
    if source.contains("traceparent") {
        return Found::ByHand;
    }
    Found::Free
}

pub(crate) fn is_expression(value: &str) -> bool {
    value.len() >= 4 && value.starts_with("{%") && value.ends_with("%}")
}

/// The members of `stepscope`, as expressions without delimiters.
pub(crate) fn stepscope(tenant: Option<&TenantId>) -> [(&'static str, String); 5] {
    let text = |expression: &str| expression.to_owned();
    [
        ("execution", text("$states.context.Execution.Id")),
        ("tenant", tenant_expression(tenant)),
        ("state", text("$states.context.State.Name")),
        ("attempt", text("$states.context.State.RetryCount")),
        ("entered", text("$states.context.State.EnteredTime")),
    ]
}

/// Around an expression for a payload: an object gets the fields, anything else goes through.
pub(crate) fn payload_guard(tenant: Option<&TenantId>) -> Guard {
    Guard {
        before: format!(" ( {PAYLOAD} := ("),
        after: format!(
            "); $type({PAYLOAD}) = 'object' ? {} : {PAYLOAD} ) ",
            extended_payload(tenant)
        ),
    }
}

/// Around an expression for the arguments of `lambda:invoke`, of which `Payload` is one.
pub(crate) fn arguments_guard(tenant: Option<&TenantId>) -> Guard {
    Guard {
        before: format!(" ( {ARGUMENTS} := ("),
        after: format!(
            "); {PAYLOAD} := {ARGUMENTS}.Payload; $type({PAYLOAD}) = 'object' ? \
             $merge([{ARGUMENTS}, {{'Payload': {}}}]) : {ARGUMENTS} ) ",
            extended_payload(tenant)
        ),
    }
}

/// Around an expression for `headers`.
pub(crate) fn headers_guard() -> Guard {
    Guard {
        before: format!(" ( {HEADERS} := ("),
        after: format!("); {} ) ", extended_headers()),
    }
}

/// The payload with the fields; headers it has are kept, `stepscope` is a name of ours.
fn extended_payload(tenant: Option<&TenantId>) -> String {
    let members = stepscope(tenant).map(|(name, expression)| format!("'{name}': {expression}"));
    format!(
        "( {HEADERS} := $exists({PAYLOAD}.headers) ? {PAYLOAD}.headers : {{}}; \
         $merge([{PAYLOAD}, {{'headers': {}, 'stepscope': {{{}}}}}]) )",
        extended_headers(),
        members.join(", ")
    )
}

fn extended_headers() -> String {
    format!(
        "$type({HEADERS}) = 'object' ? $merge([{HEADERS}, {{'traceparent': {TRACEPARENT}}}]) : {HEADERS}"
    )
}

fn tenant_expression(tenant: Option<&TenantId>) -> String {
    match tenant {
        // A tenant's characters need no escape.
        Some(tenant) => format!("'{tenant}'"),
        None => "$exists($states.context.Execution.Input.stepscope.tenant) ? \
                 $states.context.Execution.Input.stepscope.tenant : 'default'"
            .to_owned(),
    }
}
