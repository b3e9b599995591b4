use serde_json::Value;
use trace_model::{ExecutionArn, SpanId, TenantId, Timestamp, TraceId, Traceparent};

/// Where a task belongs: what a state machine wrote into the payload, at `headers.traceparent`
/// and `stepscope`.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskContext {
    pub tenant: TenantId,
    pub trace_id: TraceId,
    /// The attempt that this node is the work of.
    pub parent: Option<SpanId>,
    pub execution: Option<ExecutionArn>,
    pub state: Option<String>,
    /// As the machine counts: from 0. The attribute `workflow.attempt` counts from 1.
    pub attempt: Option<i64>,
    /// When the state was entered.
    pub entered: Option<Timestamp>,
    /// A trace of the caller's own, which becomes a link.
    pub caller: Option<Traceparent>,
    /// Why the node could not be put in its place, for a person to act on.
    pub problem: Option<String>,
}

impl TaskContext {
    /// Never fails: work whose context is absent or malformed still runs, in a trace of its
    /// own that says why. It belongs to the tenant that the payload names, and to
    /// `default_tenant` only where that names none, or nothing that is one.
    pub fn from_payload(payload: &Value, default_tenant: &TenantId) -> Self {
        let (tenant, refused) = match read_tenant(payload) {
            Ok(named) => (named.unwrap_or_else(|| default_tenant.clone()), None),
            Err(problem) => (default_tenant.clone(), Some(problem)),
        };
        // The trace of an execution is its tenant's: under another's it would be half a trace.
        let placed = match refused {
            Some(problem) => Err(problem),
            None => Self::read(payload, &tenant),
        };
        placed.unwrap_or_else(|problem| Self::alone(tenant, problem))
    }

    fn read(payload: &Value, tenant: &TenantId) -> Result<Self, String> {
        let traceparent = read_traceparent(payload)?;
        let Some(stepscope) = payload.get("stepscope") else {
            let traceparent =
                traceparent.ok_or("the payload has neither headers.traceparent nor stepscope")?;
            return Ok(Self {
                parent: Some(traceparent.span_id),
                ..Self::of(tenant.clone(), traceparent.trace_id)
            });
        };
        let execution = text(stepscope, "execution")?
            .map(ExecutionArn::parse)
            .transpose()
            .map_err(|error| format!("stepscope.execution: {error}"))?;
        let (trace_id, parent, caller, problem) = place(execution.as_ref(), traceparent)?;
        Ok(Self {
            parent,
            execution,
            state: text(stepscope, "state")?.map(str::to_owned),
            attempt: stepscope.get("attempt").and_then(Value::as_i64),
            entered: text(stepscope, "entered")?.and_then(Timestamp::parse_rfc3339),
            caller,
            problem,
            ..Self::of(tenant.clone(), trace_id)
        })
    }

    fn of(tenant: TenantId, trace_id: TraceId) -> Self {
        Self {
            tenant,
            trace_id,
            parent: None,
            execution: None,
            state: None,
            attempt: None,
            entered: None,
            caller: None,
            problem: None,
        }
    }

    fn alone(tenant: TenantId, problem: String) -> Self {
        Self {
            problem: Some(problem),
            ..Self::of(tenant, TraceId::random())
        }
    }
}

type Place = (TraceId, Option<SpanId>, Option<Traceparent>, Option<String>);

fn place(
    execution: Option<&ExecutionArn>,
    traceparent: Option<Traceparent>,
) -> Result<Place, String> {
    match (execution.map(TraceId::of_execution), traceparent) {
        (None, None) => Err(
            "the payload has no headers.traceparent, and stepscope names no execution".to_owned(),
        ),
        (None, Some(sent)) => Ok((sent.trace_id, Some(sent.span_id), None, None)),
        (Some(trace_id), None) => Ok((
            trace_id,
            None,
            None,
            Some("the payload has no headers.traceparent: the attempt is unknown".to_owned()),
        )),
        (Some(trace_id), Some(sent)) if sent.trace_id == trace_id => {
            Ok((trace_id, Some(sent.span_id), None, None))
        }
        (Some(trace_id), Some(sent)) => Ok((
            trace_id,
            None,
            Some(sent),
            Some("headers.traceparent is of another trace than the execution's".to_owned()),
        )),
    }
}

/// `None` when the payload names no tenant.
fn read_tenant(payload: &Value) -> Result<Option<TenantId>, String> {
    let Some(stepscope) = payload.get("stepscope") else {
        return Ok(None);
    };
    text(stepscope, "tenant")?
        .map(TenantId::parse)
        .transpose()
        .map_err(|error| format!("stepscope.tenant: {error}"))
}

fn read_traceparent(payload: &Value) -> Result<Option<Traceparent>, String> {
    match payload.pointer("/headers/traceparent") {
        None => Ok(None),
        Some(Value::String(text)) => Traceparent::parse(text)
            .map(Some)
            .map_err(|error| format!("headers.traceparent: {error}")),
        Some(_) => Err("headers.traceparent is not a string".to_owned()),
    }
}

fn text<'a>(stepscope: &'a Value, field: &str) -> Result<Option<&'a str>, String> {
    match stepscope.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("stepscope.{field} is not a string")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:states:us-east-1:000000000000:execution:a:b";
    const TRACE: &str = "49c36d07a1497446181f8426bc79eedd";

    fn context(payload: &Value) -> TaskContext {
        TaskContext::from_payload(payload, &TenantId::parse("ours").unwrap())
    }

    #[test]
    fn a_task_s_payload_says_where_it_belongs() {
        let context = context(&json!({
            "headers": {"traceparent": format!("00-{TRACE}-b7ad6b7169203331-01")},
            "stepscope": {"execution": ARN, "tenant": "acme", "state": "Classify",
                          "attempt": 1, "entered": "2026-01-02T03:04:05.678Z"},
        }));
        assert_eq!(context.tenant.as_str(), "acme");
        assert_eq!(context.trace_id.to_string(), TRACE);
        assert_eq!(context.parent.unwrap().to_string(), "b7ad6b7169203331");
        assert_eq!(context.execution.unwrap().as_str(), ARN);
        assert_eq!(context.state.as_deref(), Some("Classify"));
        assert_eq!(context.attempt, Some(1));
        assert_eq!(
            context.entered.unwrap().to_rfc3339(),
            "2026-01-02T03:04:05.678000000Z"
        );
        assert_eq!(context.problem, None);
    }

    #[test]
    fn a_caller_s_own_trace_becomes_a_link() {
        let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = context(&json!({
            "headers": {"traceparent": sent}, "stepscope": {"execution": ARN},
        }));
        assert_eq!(context.trace_id.to_string(), TRACE);
        assert_eq!(context.parent, None);
        assert_eq!(context.caller.unwrap().to_string(), sent);
    }

    fn check_tenant(payload: &Value, expected: &str) {
        assert_eq!(context(payload).tenant.as_str(), expected, "{payload}");
    }

    /// Hard case 4: whatever else is wrong with a payload, a tenant that it names stays, and
    /// what is none is never made into one.
    #[test]
    fn hard_case_4_a_node_is_of_the_payload_s_tenant_or_the_process_s() {
        let traceparent = format!("00-{TRACE}-b7ad6b7169203331-01");
        for (rest, headers) in [
            (
                json!({"execution": ARN}),
                json!({"traceparent": traceparent}),
            ),
            (json!({"execution": ARN}), json!({})),
            (
                json!({"execution": "x"}),
                json!({"traceparent": traceparent}),
            ),
            (json!({"execution": ARN}), json!({"traceparent": "00-zz"})),
            (json!({"state": 7}), json!({"traceparent": 7})),
        ] {
            for (tenant, expected) in [
                (json!("acme"), "acme"),
                (json!(null), "ours"),
                (json!("A#B"), "ours"),
                (json!(7), "ours"),
            ] {
                let mut stepscope = rest.clone();
                stepscope["tenant"] = tenant;
                check_tenant(
                    &json!({"stepscope": stepscope, "headers": headers}),
                    expected,
                );
            }
            check_tenant(&json!({"stepscope": rest, "headers": headers}), "ours");
        }
        check_tenant(&json!({"headers": {"traceparent": traceparent}}), "ours");
        check_tenant(&json!(null), "ours");
    }

    fn check_problem(payload: &Value, wanted: &str) {
        let context = context(payload);
        let problem = context.problem.unwrap();
        assert!(problem.contains(wanted), "{payload}: {problem}");
        assert_eq!(context.parent, None);
    }

    #[test]
    fn an_absent_or_malformed_context_is_told_and_never_stops_the_work() {
        check_problem(&json!(null), "neither");
        check_problem(&json!({"input": 1}), "neither");
        check_problem(&json!({"headers": {"traceparent": 7}}), "not a string");
        check_problem(
            &json!({"headers": {"traceparent": "00-zz"}}),
            "headers.traceparent: invalid",
        );
        check_problem(
            &json!({"stepscope": {"tenant": "Acme#1"}}),
            "stepscope.tenant",
        );
        check_problem(
            &json!({"stepscope": {"execution": "x"}}),
            "stepscope.execution",
        );
        check_problem(
            &json!({"stepscope": {"execution": ARN}}),
            "attempt is unknown",
        );
        check_problem(
            &json!({"stepscope": {"tenant": 3}}),
            "stepscope.tenant is not",
        );
    }
}
