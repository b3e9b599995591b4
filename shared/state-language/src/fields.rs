//! Which fields there are, and what to write instead of those of JSONPath.

pub(crate) const MACHINE: &[&str] = &[
    "Comment",
    "StartAt",
    "States",
    "TimeoutSeconds",
    "QueryLanguage",
    "Version",
];
pub(crate) const BRANCH: &[&str] = &["Comment", "StartAt", "States"];
pub(crate) const ITEM_PROCESSOR: &[&str] = &["Comment", "StartAt", "States", "ProcessorConfig"];
pub(crate) const PROCESSOR_CONFIG: &[&str] = &["Mode", "ExecutionType"];
pub(crate) const CHOICE_RULE: &[&str] = &["Comment", "Condition", "Next", "Assign", "Output"];
pub(crate) const RETRIER: &[&str] = &[
    "Comment",
    "ErrorEquals",
    "IntervalSeconds",
    "MaxAttempts",
    "BackoffRate",
    "MaxDelaySeconds",
    "JitterStrategy",
];
pub(crate) const CATCHER: &[&str] = &["Comment", "ErrorEquals", "Next", "Output", "Assign"];

/// Type names with their own fields; [`COMMON`] are every state's.
pub(crate) const STATES: &[(&str, &[&str])] = &[
    (
        "Task",
        &[
            "Resource",
            "Arguments",
            "Output",
            "Assign",
            "Next",
            "End",
            "Retry",
            "Catch",
            "TimeoutSeconds",
            "HeartbeatSeconds",
            "Credentials",
        ],
    ),
    ("Pass", &["Output", "Assign", "Next", "End"]),
    ("Choice", &["Choices", "Default", "Output", "Assign"]),
    (
        "Wait",
        &["Seconds", "Timestamp", "Output", "Assign", "Next", "End"],
    ),
    ("Succeed", &["Output"]),
    ("Fail", &["Error", "Cause"]),
    (
        "Parallel",
        &[
            "Branches",
            "Arguments",
            "Output",
            "Assign",
            "Next",
            "End",
            "Retry",
            "Catch",
        ],
    ),
    (
        "Map",
        &[
            "Items",
            "ItemSelector",
            "ItemProcessor",
            "ItemReader",
            "ItemBatcher",
            "ResultWriter",
            "MaxConcurrency",
            "ToleratedFailureCount",
            "ToleratedFailurePercentage",
            "Label",
            "Output",
            "Assign",
            "Next",
            "End",
            "Retry",
            "Catch",
        ],
    ),
];
pub(crate) const COMMON: &[&str] = &["Type", "Comment", "QueryLanguage"];

/// What a JSONPath field's author writes in JSONata. `holder` is `a Task state`, `a catcher`, ….
pub(crate) fn instead_of(field: &str, holder: &str) -> Option<String> {
    if let Some(name) = field.strip_suffix(".$") {
        return Some(format!("write \"{name}\": \"{{% … %}}\""));
    }
    let advice = match (field, holder) {
        ("InputPath", "a Pass state" | "a Choice state" | "a Wait state" | "a Succeed state") => {
            "select with $states.input in Output"
        }
        ("InputPath", "a Map state") => "select with $states.input in Items and ItemSelector",
        ("InputPath", _) => "select with $states.input in Arguments",
        ("Parameters", "a Pass state") | ("Result" | "OutputPath", _) => "write Output",
        ("Parameters", "a Map state") => "write ItemSelector",
        ("Parameters", _) => "write Arguments",
        ("ResultSelector", _) => "write Output with $states.result",
        ("ResultPath", "a catcher") => {
            "write Output with $states.errorOutput, such as {% $merge([$states.input, {'error': $states.errorOutput}]) %}"
        }
        ("ResultPath", "a Pass state") => {
            "write Output, such as {% $merge([$states.input, {'name': …}]) %}"
        }
        ("ResultPath", _) => {
            "write Output, such as {% $merge([$states.input, {'name': $states.result}]) %}, or keep it with Assign"
        }
        ("ItemsPath", _) => "write Items with an expression",
        ("Iterator", _) => "write ItemProcessor",
        (
            "And" | "Or" | "Not" | "Variable" | "IsPresent" | "IsNull" | "IsString" | "IsNumeric"
            | "IsBoolean" | "IsTimestamp",
            "a choice rule",
        ) => "write Condition with an expression",
        (_, "a choice rule") if is_comparison(field) => "write Condition with an expression",
        _ => {
            let name = field.strip_suffix("Path")?;
            let known = ["Seconds", "Timestamp", "Error", "Cause"].contains(&name)
                || STATES.iter().any(|(_, fields)| fields.contains(&name));
            return known.then(|| format!("write {name} with an expression"));
        }
    };
    Some(advice.to_owned())
}

/// The state types that have a field, for a field that stands on the wrong one.
pub(crate) fn types_with(field: &str) -> Vec<&'static str> {
    STATES
        .iter()
        .filter(|(_, fields)| fields.contains(&field))
        .map(|(name, _)| *name)
        .collect()
}

/// Whether anything, or JSONPath, has the field.
pub(crate) fn is_known(field: &str) -> bool {
    let lists = [
        MACHINE,
        ITEM_PROCESSOR,
        PROCESSOR_CONFIG,
        CHOICE_RULE,
        RETRIER,
        CATCHER,
        COMMON,
    ];
    lists.iter().any(|fields| fields.contains(&field))
        || !types_with(field).is_empty()
        || instead_of(field, "a choice rule").is_some()
}

fn is_comparison(field: &str) -> bool {
    ["String", "Numeric", "Boolean", "Timestamp"]
        .iter()
        .any(|kind| {
            field.strip_prefix(kind).is_some_and(|comparison| {
                ["Equals", "LessThan", "GreaterThan", "Matches"]
                    .iter()
                    .any(|known| comparison.starts_with(known))
            })
        })
}
