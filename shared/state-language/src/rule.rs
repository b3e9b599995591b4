//! The rules a definition is checked against, each with a name that stays.

/// What a broken rule means for the definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Step Functions refuses the definition, or what it says cannot work: it is not run.
    Error,
    /// It runs, and may go wrong.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

macro_rules! rules {
    ($($variant:ident $name:literal $severity:ident $group:literal $sentence:literal)*) => {
        /// One rule. Its name is stable, and so is its severity.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = $sentence] $variant,)*
        }

        impl Rule {
            /// In the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As it is written behind a problem, such as `undefined-variable`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$variant => Severity::$severity,)*
                }
            }

            /// What the rule is about, for grouping.
            pub fn group(self) -> &'static str {
                match self {
                    $(Self::$variant => $group,)*
                }
            }

            /// The rule in one sentence.
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$variant => $sentence,)*
                }
            }
        }
    };
}

rules! {
    NotJson "not-json" Error "Text" "A definition is one JSON object."
    DefinitionTooLarge "definition-too-large" Error "Text" "A definition has at most 1 MiB."
    DuplicateKey "duplicate-key" Error "Text" "An object has each key once: of two, readers of JSON silently drop one."

    MissingField "missing-field" Error "Fields" "Required fields are there."
    UnknownField "unknown-field" Error "Fields" "There are no fields but those the language has, each where it belongs."
    JsonPathField "jsonpath-field" Error "Fields" "What belongs to JSONPath has no place in a JSONata state."
    WrongType "wrong-type" Error "Fields" "A field has a value of its type."
    OutOfRange "out-of-range" Error "Fields" "A number is within the bounds of its field."
    EmptyList "empty-list" Error "Fields" "A list that is there has an entry."
    QueryLanguage "query-language" Error "Fields" "Every state is JSONata."
    UnknownStateType "unknown-state-type" Error "Fields" "A state has one of the eight types."
    UnknownVersion "unknown-version" Warning "Fields" "The language has one version, 1.0."

    StateName "state-name" Error "States and ways" "A state's name has 1 to 80 characters."
    DuplicateStateName "duplicate-state-name" Error "States and ways" "A state's name is unique in the whole machine, branches and item processors included."
    NextOrEnd "next-or-end" Error "States and ways" "A state that goes on by itself has either Next or End."
    UnknownState "unknown-state" Error "States and ways" "`StartAt`, Next and Default name a state that exists."
    TransitionOutOfScope "transition-out-of-scope" Error "States and ways" "No way leads into or out of a branch or an item processor."
    UnreachableState "unreachable-state" Error "States and ways" "Every state can be reached from `StartAt`."
    NoTerminalState "no-terminal-state" Error "States and ways" "A machine, branch or item processor has a state that ends it, and a way there."
    EndlessLoop "endless-loop" Warning "States and ways" "From every state a way leads to an end."

    InvalidResource "invalid-resource" Error "Tasks" "Resource is the ARN of a service integration, a Lambda function or an activity."
    UnresolvedSubstitution "unresolved-substitution" Error "Tasks" "When a definition is deployed, each `${Name}` has its value."
    UnknownIntegration "unknown-integration" Warning "Tasks" "An optimized integration is one that AWS documents."
    IntegrationPattern "integration-pattern" Error "Tasks" "`.sync`, `.sync:2` and `.waitForTaskToken` stand where the service has them."
    MissingArgument "missing-argument" Error "Tasks" "Arguments that are written out have those that the service requires."
    UnknownArgument "unknown-argument" Error "Tasks" "Arguments that are written out are ones that the service takes."
    TaskTokenUnused "task-token-unused" Warning "Tasks" "A task that waits for its token hands the token on."
    HeartbeatNotUnderTimeout "heartbeat-not-under-timeout" Error "Tasks" "`HeartbeatSeconds` is smaller than `TimeoutSeconds`."

    WaitDuration "wait-duration" Error "Other states" "A Wait has either Seconds or Timestamp."
    InvalidTimestamp "invalid-timestamp" Error "Other states" "A timestamp is RFC 3339 with an upper-case T and Z or an offset."
    DistributedOnly "distributed-only" Error "Other states" "`ItemReader`, `ItemBatcher`, `ResultWriter` and Label belong to a distributed Map."
    MapLabel "map-label" Error "Other states" "A Map's Label has at most 40 characters, and none that is special."

    UnknownErrorName "unknown-error-name" Error "Retry and Catch" "An error name that begins with `States.` is one of those that Step Functions has."
    StatesAllNotAlone "states-all-not-alone" Error "Retry and Catch" "`States.ALL` stands alone in its `ErrorEquals`."
    StatesAllNotLast "states-all-not-last" Error "Retry and Catch" "`States.ALL` stands in the last entry."
    MaxDelayTooShort "max-delay-too-short" Error "Retry and Catch" "`MaxDelaySeconds` is greater than `IntervalSeconds`."
    NeverMatched "never-matched" Warning "Retry and Catch" "`States.Runtime` ends the execution: no retrier or catcher gets to see it."
    DuplicateErrorName "duplicate-error-name" Warning "Retry and Catch" "An `ErrorEquals` has each name once."
    UnreachableEntry "unreachable-entry" Warning "Retry and Catch" "A retrier or catcher matches an error that none before it matches."

    ExpressionDelimiters "expression-delimiters" Error "Expressions" "An expression is all of a string, from `{%` to `%}`."
    JsonataSyntax "jsonata-syntax" Error "Expressions" "An expression is JSONata."
    UnknownFunction "unknown-function" Error "Expressions" "A function that is called is JSONata's, Step Functions' or the expression's own."
    WrongArguments "wrong-arguments" Error "Expressions" "A function is called with as many arguments as it takes."
    EvalFunction "eval-function" Error "Expressions" "Step Functions has no `$eval`."
    NoContextValue "no-context-value" Error "Expressions" "Outside of a path, a filter or a function there is no context value: `$`, `$$` and bare field names stand for nothing."
    ReservedVariable "reserved-variable" Error "Expressions" "`$states` belongs to Step Functions."
    UnknownStatesMember "unknown-states-member" Error "Expressions" "`$states` has input, result, errorOutput and context."
    NoResultHere "no-result-here" Error "Expressions" "`$states.result` is there in Output and Assign of a Task, Parallel or Map."
    NoErrorOutputHere "no-error-output-here" Error "Expressions" "`$states.errorOutput` is there in Output and Assign of a catcher."
    NoTaskTokenHere "no-task-token-here" Error "Expressions" "`$states.context.Task` is there in a task with `.waitForTaskToken`."
    NoMapItemHere "no-map-item-here" Error "Expressions" "`$states.context.Map` is there in `ItemSelector`, and in the states of an item processor."
    UnknownContextMember "unknown-context-member" Warning "Expressions" "The context object has the fields that AWS documents."

    VariableName "variable-name" Error "Variables" "A variable's name is a Unicode identifier of at most 80 characters, and not `states`."
    UndefinedVariable "undefined-variable" Error "Variables" "A variable that is read has been assigned on some way to the state."
    MaybeUndefinedVariable "maybe-undefined-variable" Warning "Variables" "A variable that is read has been assigned on every way to the state."
    ShadowedVariable "shadowed-variable" Error "Variables" "A branch or item processor assigns no variable that is assigned outside it."
    DistributedVariable "distributed-variable" Error "Variables" "The states of a distributed Map's item processor read no variables from outside it."

    NotServedHere "not-served-here" Warning "This machine" "What the local cloud cannot serve runs on AWS only."
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_kebab_case() {
        let names: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(names.len(), Rule::ALL.len());
        for name in names {
            let letters =
                |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
            assert!(name.split('-').all(letters), "{name}");
        }
    }
}
