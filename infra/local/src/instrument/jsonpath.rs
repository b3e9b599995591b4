//! What a JSONPath state computes. Step Functions allows ten intrinsic functions in a field, and
//! the longest of these has just ten: two pieces of a UUID make a span id, 64 random bits.

use std::fmt::Write as _;

use trace_model::TenantId;

use super::InputFields;

/// Twelve digits and four, none of them the UUID's fixed version or variant.
const PIECES_OF_UUIDS: &str = "States.ArrayGetItem(States.StringSplit(States.UUID(), '-'), 4), \
     States.ArrayGetItem(States.StringSplit(States.UUID(), '-'), 1)";

const TRACE_ID: &str = "States.Hash($$.Execution.Id, 'MD5')";

/// How `traceparent` begins in the fields that are merged in; nobody writes it like this by hand.
const MERGED_TRACEPARENT: &str = r#""traceparent":"00-{}-{}{}-01""#;

/// What the value of a field named `….$` is to this command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// `$`, the state's whole input.
    WholeInput,
    /// A path or a variable.
    Path,
    /// The fields are merged in already.
    Merged,
    /// It speaks of `traceparent` itself.
    ByHand,
    /// One or more intrinsic functions.
    Intrinsic,
    Unreadable,
}

pub(crate) fn traceparent() -> String {
    format!("States.Format('00-{{}}-{{}}{{}}-01', {TRACE_ID}, {PIECES_OF_UUIDS})")
}

pub(crate) fn examine(value: &str) -> Found {
    if value.contains(MERGED_TRACEPARENT) {
        return Found::Merged;
    }
    if value.contains("traceparent") {
        return Found::ByHand;
    }
    match value {
        "$" => Found::WholeInput,
        _ if value.starts_with("States.") => Found::Intrinsic,
        _ if value.starts_with('$') => Found::Path,
        _ => Found::Unreadable,
    }
}

/// The members of `stepscope`. A path to what may be missing fails the state, so that the tenant
/// cannot come from the run's input.
pub(crate) fn stepscope(tenant: Option<&TenantId>) -> Vec<(&'static str, String)> {
    let mut members = vec![("execution.$", "$$.Execution.Id".to_owned())];
    members.extend(tenant.map(|tenant| ("tenant", tenant.to_string())));
    members.extend([
        ("state.$", "$$.State.Name".to_owned()),
        ("attempt.$", "$$.State.RetryCount".to_owned()),
        ("entered.$", "$$.State.EnteredTime".to_owned()),
    ]);
    members
}

/// What goes around a path to a payload; neither part is JSON-escaped.
pub(crate) fn payload_merge(
    state: &str,
    tenant: Option<&TenantId>,
    input_fields: InputFields,
) -> (String, String) {
    let mut format =
        format!("{{\"headers\":{{{MERGED_TRACEPARENT}}},\"stepscope\":{{\"execution\":\"{{}}\"");
    let mut arguments = format!("{TRACE_ID}, {PIECES_OF_UUIDS}, $$.Execution.Id");
    if let Some(tenant) = tenant {
        let _ = write!(format, ",\"tenant\":\"{tenant}\"");
    }
    // Inside the text of a JSON string only a name without escapes stays what it is.
    if super::insertions::quoted(state).len() == state.len() + 2 {
        format.push_str(",\"state\":\"{}\"");
        arguments.push_str(", $$.State.Name");
    }
    format.push_str(",\"attempt\":{},\"entered\":\"{}\"}}");
    arguments.push_str(", $$.State.RetryCount, $$.State.EnteredTime");
    merge(&format, &arguments, input_fields)
}

/// What goes around a path to `headers`.
pub(crate) fn headers_merge() -> (String, String) {
    let arguments = format!("{TRACE_ID}, {PIECES_OF_UUIDS}");
    merge(
        &format!("{{{MERGED_TRACEPARENT}}}"),
        &arguments,
        InputFields::Replace,
    )
}

/// Of two objects the second one's fields win.
fn merge(format: &str, arguments: &str, input_fields: InputFields) -> (String, String) {
    let ours = format!(
        "States.StringToJson(States.Format('{}', {arguments}))",
        escaped(format)
    );
    match input_fields {
        InputFields::Keep => (format!("States.JsonMerge({ours}, "), ", false)".to_owned()),
        InputFields::Replace => ("States.JsonMerge(".to_owned(), format!(", {ours}, false)")),
    }
}

/// Braces that are no place for an argument, as an intrinsic function's string writes them.
fn escaped(format: &str) -> String {
    const PLACE: &str = "{}";
    format
        .split(PLACE)
        .map(|text| text.replace('{', "\\{").replace('}', "\\}"))
        .collect::<Vec<_>>()
        .join(PLACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_has_more_intrinsic_functions_than_step_functions_takes() {
        let tenant = TenantId::parse("acme").unwrap();
        let (before, after) = payload_merge("Classify", Some(&tenant), InputFields::Keep);
        let payload = format!("{before}${after}");
        let (before, after) = headers_merge();
        let headers = format!("{before}$.headers{after}");
        for field in [payload, headers, traceparent()] {
            assert!(field.matches("States.").count() <= 10, "{field}");
        }
    }

    #[test]
    fn what_is_merged_is_found_again() {
        for input_fields in [InputFields::Keep, InputFields::Replace] {
            let (before, after) = payload_merge("A", None, input_fields);
            let value = format!("{before}${after}");
            assert_eq!(examine(&value), Found::Merged);
        }
        let (before, after) = headers_merge();
        assert_eq!(examine(&format!("{before}$.h{after}")), Found::Merged);
    }

    #[test]
    fn the_merged_object_is_escaped_as_documented() {
        let (before, after) = payload_merge("A", None, InputFields::Keep);
        assert_eq!(
            format!("{before}${after}"),
            "States.JsonMerge(States.StringToJson(States.Format('\
             \\{\"headers\":\\{\"traceparent\":\"00-{}-{}{}-01\"\\},\
             \"stepscope\":\\{\"execution\":\"{}\",\"state\":\"{}\",\"attempt\":{},\"entered\":\"{}\"\\}\\}', \
             States.Hash($$.Execution.Id, 'MD5'), \
             States.ArrayGetItem(States.StringSplit(States.UUID(), '-'), 4), \
             States.ArrayGetItem(States.StringSplit(States.UUID(), '-'), 1), \
             $$.Execution.Id, $$.State.Name, $$.State.RetryCount, $$.State.EnteredTime)), $, false)"
        );
    }
}
