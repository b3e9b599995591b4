//! One case or more for each rule: what breaks it, where that is told, and the
//! same put right.

use std::collections::BTreeSet;

use state_language::{MAX_DEFINITION_BYTES, Rule, Substitutions, check};

use super::{lines, problems, text};

/// A definition that breaks one rule, with [`MARK`] before the place where that is told, and one that
/// keeps it. States alone are put into a machine.
pub(crate) struct Case {
    pub(crate) rule: Rule,
    pub(crate) path: &'static str,
    pub(crate) bad: &'static str,
    pub(crate) good: &'static str,
}

const fn case(rule: Rule, path: &'static str, bad: &'static str, good: &'static str) -> Case {
    Case {
        rule,
        path,
        bad,
        good,
    }
}

/// Stands where a problem is, and is taken out.
const MARK: char = '«';

impl Case {
    /// The definition that breaks the rule, and where.
    pub(crate) fn bad(&self) -> (String, (usize, usize)) {
        let text = text(self.bad);
        let before = text.split(MARK).next().unwrap();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        (text.replace(MARK, ""), (line, column))
    }
}

const SUCCEED: &str = r#""A": {"Type": "Succeed"}"#;

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    // Text
    case(Rule::NotJson, "",
        "{\n\"StartAt\": «,\n}", SUCCEED),
    case(Rule::NotJson, "",
        "«[]", SUCCEED),
    case(Rule::NotJson, "",
        "{\"StartAt\": \"é\", «}", SUCCEED),
    case(Rule::DuplicateKey, "States.A",
        "\"A\": {\"Type\": \"Succeed\"},\n«\"A\": {\"Type\": \"Succeed\"}",
        SUCCEED),
    case(Rule::DuplicateKey, "States.A.Output.x",
        r#""A": {"Type": "Succeed", "Output": {"x": 1, «"x": 2}}"#,
        r#""A": {"Type": "Succeed", "Output": {"x": 1, "y": 2}}"#),

    // Fields
    case(Rule::MissingField, "States.A",
        r#"«"A": {"Type": "Task", "End": true}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true}"#),
    case(Rule::MissingField, "",
        r#"«{"QueryLanguage": "JSONata", "States": {"A": {"Type": "Succeed"}}}"#,
        SUCCEED),
    case(Rule::MissingField, "States.A.Choices[0]",
        r#""A": {"Type": "Choice", "Choices": [«{"Next": "B"}]}, "B": {"Type": "Succeed"}"#,
        r#""A": {"Type": "Choice", "Choices": [{"Condition": "{% true %}", "Next": "B"}]}, "B": {"Type": "Succeed"}"#),
    case(Rule::MissingField, "States.A",
        r#"«"A": {"Type": "Parallel", "End": true}"#,
        r#""A": {"Type": "Parallel", "End": true, "Branches": [{"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}]}"#),
    case(Rule::MissingField, "States.A.ItemProcessor.ProcessorConfig",
        "\"A\": {\"Type\": \"Map\", \"End\": true,\n\"ItemProcessor\": {«\"ProcessorConfig\": {\"Mode\": \"DISTRIBUTED\"}, \"StartAt\": \"I\", \"States\": {\"I\": {\"Type\": \"Succeed\"}}}}",
        "\"A\": {\"Type\": \"Map\", \"End\": true,\n\"ItemProcessor\": {\"ProcessorConfig\": {\"Mode\": \"DISTRIBUTED\", \"ExecutionType\": \"STANDARD\"}, \"StartAt\": \"I\", \"States\": {\"I\": {\"Type\": \"Succeed\"}}}}"),
    case(Rule::MissingField, "States.A.Retry[0]",
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true, "Retry": [«{"MaxAttempts": 1}]}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true, "Retry": [{"MaxAttempts": 1, "ErrorEquals": ["E"]}]}"#),
    case(Rule::UnknownField, "States.A.Resorce",
        r#""A": {"Type": "Task", «"Resorce": "arn:aws:states:::lambda:invoke", "End": true}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true}"#),
    case(Rule::UnknownField, "States.A.Nxet",
        "\"A\": {\"Type\": \"Pass\", «\"Nxet\": \"B\"},\n\"B\": {\"Type\": \"Succeed\"}",
        "\"A\": {\"Type\": \"Pass\", \"Next\": \"B\"},\n\"B\": {\"Type\": \"Succeed\"}"),
    case(Rule::UnknownField, "States.A.Retry",
        r#""A": {"Type": "Pass", "End": true, «"Retry": [{"ErrorEquals": ["E"]}]}"#,
        r#""A": {"Type": "Pass", "End": true}"#),
    case(Rule::UnknownField, "States.A.Branches[0].TimeoutSeconds",
        r#""A": {"Type": "Parallel", "End": true, "Branches": [{«"TimeoutSeconds": 1, "StartAt": "I", "States": {"I": {"Type": "Succeed"}}}]}"#,
        r#""A": {"Type": "Parallel", "End": true, "Branches": [{"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}]}"#),
    case(Rule::JsonPathField, "States.A.ResultPath",
        r#""A": {"Type": "Pass", "End": true, «"ResultPath": "$.x"}"#,
        r#""A": {"Type": "Pass", "End": true, "Output": "{% $merge([$states.input, {'x': 1}]) %}"}"#),
    case(Rule::JsonPathField, "States.A.Output[\"x.$\"]",
        r#""A": {"Type": "Succeed", "Output": {«"x.$": "$.y"}}"#,
        r#""A": {"Type": "Succeed", "Output": {"x": "{% $states.input.y %}"}}"#),
    case(Rule::JsonPathField, "States.A.Choices[0].Variable",
        r#""A": {"Type": "Choice", "Choices": [{ «"Variable": "$.x", "NumericEquals": 1, "Next": "B"}]}, "B": {"Type": "Succeed"}"#,
        r#""A": {"Type": "Choice", "Choices": [{"Condition": "{% $states.input.x = 1 %}", "Next": "B"}]}, "B": {"Type": "Succeed"}"#),
    case(Rule::JsonPathField, "States.A.Iterator",
        r#""A": {"Type": "Map", "End": true, «"Iterator": {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}"#,
        r#""A": {"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}"#),
    case(Rule::WrongType, "States.A.Comment",
        r#""A": {"Type": "Succeed", «"Comment": 1}"#,
        r#""A": {"Type": "Succeed", "Comment": "one"}"#),
    case(Rule::WrongType, "States.A.End",
        r#""A": {"Type": "Pass", «"End": false}"#,
        r#""A": {"Type": "Pass", "End": true}"#),
    case(Rule::WrongType, "States.A.Choices[0].Condition",
        r#""A": {"Type": "Choice", "Choices": [{«"Condition": "yes", "Next": "B"}]}, "B": {"Type": "Succeed"}"#,
        r#""A": {"Type": "Choice", "Choices": [{"Condition": true, "Next": "B"}]}, "B": {"Type": "Succeed"}"#),
    case(Rule::WrongType, "States.A.Items",
        r#""A": {"Type": "Map", "End": true, «"Items": "list", "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}"#,
        r#""A": {"Type": "Map", "End": true, "Items": ["{% 1 %}"], "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}"#),
    case(Rule::WrongType, "States.A.Retry[0].JitterStrategy",
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true, "Retry": [{"ErrorEquals": ["E"], «"JitterStrategy": "SOME"}]}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true, "Retry": [{"ErrorEquals": ["E"], "JitterStrategy": "FULL"}]}"#),
    case(Rule::WrongType, "States.A.Error",
        r#""A": {"Type": "Fail", «"Error": 7}"#,
        r#""A": {"Type": "Fail", "Error": "Seven", "Cause": "{% 'why ' & 7 %}"}"#),
    case(Rule::OutOfRange, "States.A.Seconds",
        r#""A": {"Type": "Wait", "End": true, «"Seconds": 100000000}"#,
        r#""A": {"Type": "Wait", "End": true, "Seconds": 99999999}"#),
    case(Rule::OutOfRange, "States.A.Retry[0].BackoffRate",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [\"E\"], «\"BackoffRate\": 0.5}]}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [\"E\"], \"BackoffRate\": 1}]}"),
    case(Rule::OutOfRange, "States.A.Retry[0].MaxAttempts",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [\"E\"], «\"MaxAttempts\": 100000000}]}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [\"E\"], \"MaxAttempts\": 99999999}]}"),
    case(Rule::OutOfRange, "States.A.Retry[0].MaxDelaySeconds",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [\"E\"], «\"MaxDelaySeconds\": 31622400}]}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [\"E\"], \"MaxDelaySeconds\": 31622399}]}"),
    case(Rule::OutOfRange, "States.A.ToleratedFailurePercentage",
        r#""A": {"Type": "Map", "End": true, «"ToleratedFailurePercentage": 101, "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}"#,
        r#""A": {"Type": "Map", "End": true, "ToleratedFailurePercentage": 100, "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}"#),
    case(Rule::EmptyList, "States.A.Branches",
        r#""A": {"Type": "Parallel", "End": true, «"Branches": []}"#,
        r#""A": {"Type": "Parallel", "End": true, "Branches": [{"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}]}"#),
    case(Rule::EmptyList, "States.A.Catch[0].ErrorEquals",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"Next\": \"B\",\n\"Catch\": [{«\"ErrorEquals\": [], \"Next\": \"B\"}]}, \"B\": {\"Type\": \"Succeed\"}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"Next\": \"B\",\n\"Catch\": [{\"ErrorEquals\": [\"E\"], \"Next\": \"B\"}]}, \"B\": {\"Type\": \"Succeed\"}"),
    case(Rule::QueryLanguage, "",
        r#"«{"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": 1, "End": true}}}"#,
        r#"{"StartAt": "A", "QueryLanguage": "JSONata", "States": {"A": {"Type": "Pass", "Output": 1, "End": true}}}"#),
    case(Rule::QueryLanguage, "States.A.QueryLanguage",
        r#""A": {"Type": "Succeed", «"QueryLanguage": "JSONPath"}"#,
        r#""A": {"Type": "Succeed", "QueryLanguage": "JSONata"}"#),
    case(Rule::UnknownStateType, "States.A.Type",
        r#""A": {«"Type": "task", "End": true}"#,
        r#""A": {"Type": "Pass", "End": true}"#),
    case(Rule::UnknownVersion, "Version",
        r#"{"QueryLanguage": "JSONata", «"Version": "2.0", "StartAt": "A", "States": {"A": {"Type": "Succeed"}}}"#,
        r#"{"QueryLanguage": "JSONata", "Version": "1.0", "StartAt": "A", "States": {"A": {"Type": "Succeed"}}}"#),

    // States and ways
    case(Rule::StateName, "States.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        r#"«"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": {"Type": "Succeed"}"#,
        r#""éxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": {"Type": "Succeed"}"#),
    case(Rule::DuplicateStateName, "States.A.Branches[0].States.A",
        "\"A\": {\"Type\": \"Parallel\", \"End\": true,\n\"Branches\": [{\"StartAt\": \"A\", \"States\": { «\"A\": {\"Type\": \"Succeed\"}}}]}",
        "\"A\": {\"Type\": \"Parallel\", \"End\": true,\n\"Branches\": [{\"StartAt\": \"B\", \"States\": { \"B\": {\"Type\": \"Succeed\"}}}]}"),
    case(Rule::NextOrEnd, "States.A",
        r#"«"A": {"Type": "Pass"}"#,
        r#""A": {"Type": "Pass", "End": true}"#),
    case(Rule::NextOrEnd, "States.A.End",
        r#""A": {"Type": "Pass", "Next": "B", «"End": true}, "B": {"Type": "Succeed"}"#,
        r#""A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}"#),
    case(Rule::UnknownState, "StartAt",
        r#"{"QueryLanguage": "JSONata", «"StartAt": "a", "States": {"A": {"Type": "Succeed"}}}"#,
        SUCCEED),
    case(Rule::UnknownState, "States.A.Next",
        r#""A": {"Type": "Pass", «"Next": "Dnoe"}, "Done": {"Type": "Succeed"}"#,
        r#""A": {"Type": "Pass", "Next": "Done"}, "Done": {"Type": "Succeed"}"#),
    case(Rule::TransitionOutOfScope, "States.A.Branches[0].States.I.Next",
        "\"A\": {\"Type\": \"Parallel\", \"Next\": \"B\",\n\"Branches\": [{\"StartAt\": \"I\", \"States\": {\"I\": {\"Type\": \"Pass\", «\"Next\": \"B\"}}}]}, \"B\": {\"Type\": \"Succeed\"}",
        "\"A\": {\"Type\": \"Parallel\", \"Next\": \"B\",\n\"Branches\": [{\"StartAt\": \"I\", \"States\": {\"I\": {\"Type\": \"Pass\", \"End\": true}}}]}, \"B\": {\"Type\": \"Succeed\"}"),
    case(Rule::UnreachableState, "States.C",
        "\"A\": {\"Type\": \"Succeed\"},\n«\"C\": {\"Type\": \"Pass\", \"Next\": \"D\"},\n\"D\": {\"Type\": \"Pass\", \"Next\": \"C\"}",
        "\"A\": {\"Type\": \"Pass\", \"Next\": \"C\"},\n\"C\": {\"Type\": \"Pass\", \"Next\": \"D\"},\n\"D\": {\"Type\": \"Succeed\"}"),
    case(Rule::NoTerminalState, "States",
        r#"{"QueryLanguage": "JSONata", "StartAt": "A", «"States": {"A": {"Type": "Pass", "Next": "A"}}}"#,
        r#""A": {"Type": "Pass", "End": true}"#),
    case(Rule::EndlessLoop, "States.B",
        "\"A\": {\"Type\": \"Choice\", \"Choices\": [{\"Condition\": true, \"Next\": \"B\"}], \"Default\": \"C\"},\n«\"B\": {\"Type\": \"Wait\", \"Seconds\": 1, \"Next\": \"D\"},\n\"D\": {\"Type\": \"Pass\", \"Next\": \"B\"},\n\"C\": {\"Type\": \"Succeed\"}",
        "\"A\": {\"Type\": \"Choice\", \"Choices\": [{\"Condition\": true, \"Next\": \"B\"}], \"Default\": \"C\"},\n\"B\": {\"Type\": \"Wait\", \"Seconds\": 1, \"Next\": \"D\"},\n\"D\": {\"Type\": \"Pass\", \"Next\": \"A\"},\n\"C\": {\"Type\": \"Succeed\"}"),

    // Tasks
    case(Rule::InvalidResource, "States.A.Resource",
        r#""A": {"Type": "Task", «"Resource": "my-function", "End": true}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:lambda:eu-west-1:123456789012:function:my-function", "End": true}"#),
    case(Rule::UnresolvedSubstitution, "States.A.Resource",
        r#""A": {"Type": "Task", «"Resource": "${FunctionArn}", "End": true}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:eu-west-1:123456789012:activity:review", "End": true}"#),
    case(Rule::UnknownIntegration, "States.A.Resource",
        r#""A": {"Type": "Task", «"Resource": "arn:aws:states:::lamda:invoke", "End": true}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true}"#),
    case(Rule::UnknownIntegration, "States.A.Resource",
        r#""A": {"Type": "Task", «"Resource": "arn:aws:states:::sqs:receiveMessage", "End": true}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:sqs:receiveMessage", "End": true}"#),
    case(Rule::UnknownIntegration, "States.A.Resource",
        r#""A": {"Type": "Task", «"Resource": "arn:aws:states:::aws-sdk:dynamodb:GetItem", "End": true}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:dynamodb:getItem", "End": true}"#),
    case(Rule::IntegrationPattern, "States.A.Resource",
        r#""A": {"Type": "Task", «"Resource": "arn:aws:states:::glue:startJobRun.sync:2", "End": true}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun.sync", "End": true}"#),
    case(Rule::IntegrationPattern, "States.A.Resource",
        r#""A": {"Type": "Task", «"Resource": "arn:aws:states:::aws-sdk:glue:startJobRun.sync", "End": true}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2", "End": true}"#),
    case(Rule::MissingArgument, "States.A.Arguments",
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true, «"Arguments": {"Payload": 1}}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true, "Arguments": {"FunctionName": "f", "Payload": 1}}"#),
    case(Rule::MissingArgument, "States.A.Arguments",
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2", "End": true, «"Arguments": {"Input": {}}}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2", "End": true, "Arguments": {"StateMachineArn": "{% $states.input.arn %}"}}"#),
    case(Rule::UnknownArgument, "States.A.Arguments.FunctionNmae",
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true, "Arguments": { «"FunctionNmae": "f"}}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true, "Arguments": { "FunctionName": "f"}}"#),
    case(Rule::TaskTokenUnused, "States.A.Arguments",
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "End": true, «"Arguments": {"FunctionName": "f"}}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "End": true, "Arguments": {"FunctionName": "f", "Payload": "{% $states.context.Task.Token %}"}}"#),
    case(Rule::HeartbeatNotUnderTimeout, "States.A.HeartbeatSeconds",
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true, "TimeoutSeconds": 5, «"HeartbeatSeconds": 5}"#,
        r#""A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true, "TimeoutSeconds": 5, "HeartbeatSeconds": 4}"#),

    // Other states
    case(Rule::WaitDuration, "States.A",
        r#"«"A": {"Type": "Wait", "End": true}"#,
        r#""A": {"Type": "Wait", "End": true, "Seconds": "{% $states.input.seconds %}"}"#),
    case(Rule::WaitDuration, "States.A.Timestamp",
        r#""A": {"Type": "Wait", "End": true, "Seconds": 1, «"Timestamp": "2030-01-31T12:00:00Z"}"#,
        r#""A": {"Type": "Wait", "End": true, "Timestamp": "2030-01-31T12:00:00Z"}"#),
    case(Rule::InvalidTimestamp, "States.A.Timestamp",
        r#""A": {"Type": "Wait", "End": true, «"Timestamp": "2030-01-31t12:00:00z"}"#,
        r#""A": {"Type": "Wait", "End": true, "Timestamp": "2030-01-31T12:00:00.5+02:00"}"#),
    case(Rule::DistributedOnly, "States.A.ItemBatcher",
        r#""A": {"Type": "Map", "End": true, «"ItemBatcher": {"MaxItemsPerBatch": 2}, "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}"#,
        r#""A": {"Type": "Map", "End": true, "ItemBatcher": {"MaxItemsPerBatch": 2}, "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}, "StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}"#),
    case(Rule::MapLabel, "States.A.Label",
        r#""A": {"Type": "Map", "End": true, «"Label": "a b", "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}, "StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}"#,
        r#""A": {"Type": "Map", "End": true, "Label": "a-b", "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}, "StartAt": "I", "States": {"I": {"Type": "Succeed"}}}}"#),

    // Retry and Catch
    case(Rule::UnknownErrorName, "States.A.Retry[0].ErrorEquals[0]",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [ «\"States.TaskFaild\"]}]}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [ \"States.TaskFailed\"]}]}"),
    case(Rule::StatesAllNotAlone, "States.A.Retry[0].ErrorEquals",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{«\"ErrorEquals\": [\"Busy\", \"States.ALL\"]}]}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [\"States.ALL\"]}]}"),
    case(Rule::StatesAllNotLast, "States.A.Retry[0]",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [«{\"ErrorEquals\": [\"States.ALL\"]}, {\"ErrorEquals\": [\"Busy\"]}]}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [\"Busy\"]}, {\"ErrorEquals\": [\"States.ALL\"]}]}"),
    case(Rule::MaxDelayTooShort, "States.A.Retry[0].MaxDelaySeconds",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [\"Busy\"], \"IntervalSeconds\": 5, «\"MaxDelaySeconds\": 5}]}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [\"Busy\"], \"IntervalSeconds\": 5, \"MaxDelaySeconds\": 6}]}"),
    case(Rule::NeverMatched, "States.A.Catch[0].ErrorEquals[0]",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"Next\": \"B\",\n\"Catch\": [{\"ErrorEquals\": [ «\"States.Runtime\"], \"Next\": \"B\"}]}, \"B\": {\"Type\": \"Succeed\"}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"Next\": \"B\",\n\"Catch\": [{\"ErrorEquals\": [ \"States.DataLimitExceeded\"], \"Next\": \"B\"}]}, \"B\": {\"Type\": \"Succeed\"}"),
    case(Rule::DuplicateErrorName, "States.A.Retry[0].ErrorEquals[1]",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [\"Busy\", «\"Busy\"]}]}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [\"Busy\", \"Slow\"]}]}"),
    case(Rule::UnreachableEntry, "States.A.Retry[1]",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [\"States.Timeout\"]}, «{\"ErrorEquals\": [\"States.HeartbeatTimeout\"]}]}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Retry\": [{\"ErrorEquals\": [\"States.HeartbeatTimeout\"]}, {\"ErrorEquals\": [\"States.Timeout\"]}]}"),

    // Expressions
    case(Rule::ExpressionDelimiters, "States.A.Output",
        r#""A": {"Type": "Succeed", «"Output": "{% $states.input"}"#,
        r#""A": {"Type": "Succeed", "Output": "{% $states.input %}"}"#),
    case(Rule::ExpressionDelimiters, "States.A.Output",
        r#""A": {"Type": "Succeed", «"Output": " {% $states.input %}"}"#,
        r#""A": {"Type": "Succeed", "Output": "{%$states.input%}"}"#),
    case(Rule::JsonataSyntax, "States.A.Output.x",
        r#""A": {"Type": "Succeed", "Output": {"x": "{% [1 «2] %}"}}"#,
        r#""A": {"Type": "Succeed", "Output": {"x": "{% [1, 2] %}"}}"#),
    case(Rule::UnknownFunction, "States.A.Output",
        r#""A": {"Type": "Succeed", "Output": "{% 1 + «$summ([1]) %}"}"#,
        r#""A": {"Type": "Succeed", "Output": "{% 1 + $sum([1]) %}"}"#),
    case(Rule::WrongArguments, "States.A.Output",
        r#""A": {"Type": "Succeed", "Output": "{% «$partition([1, 2]) %}"}"#,
        r#""A": {"Type": "Succeed", "Output": "{% [1, 2] ~> $partition(2) %}"}"#),
    case(Rule::WrongArguments, "States.A.Output",
        r#""A": {"Type": "Succeed", "Output": "{% «$length() %}"}"#,
        r#""A": {"Type": "Succeed", "Output": "{% $states.input.name.$length() %}"}"#),
    case(Rule::EvalFunction, "States.A.Output",
        r#""A": {"Type": "Succeed", "Output": "{% «$eval('1') %}"}"#,
        r#""A": {"Type": "Succeed", "Output": "{% $parse('1') %}"}"#),
    case(Rule::NoContextValue, "States.A.Output",
        r#""A": {"Type": "Succeed", "Output": "{% 1 + «$.price %}"}"#,
        r#""A": {"Type": "Succeed", "Output": "{% $states.input.($.price) %}"}"#),
    case(Rule::NoContextValue, "States.A.Output",
        r#""A": {"Type": "Succeed", "Output": "{% «$$.price %}"}"#,
        r#""A": {"Type": "Succeed", "Output": "{% $states.input.price %}"}"#),
    case(Rule::NoContextValue, "States.A.Output",
        r#""A": {"Type": "Succeed", "Output": "{% «price %}"}"#,
        r#""A": {"Type": "Succeed", "Output": "{% $states.input.items[price > 1] %}"}"#),
    case(Rule::ReservedVariable, "States.A.Output",
        r#""A": {"Type": "Succeed", "Output": "{% ( «$states := 1; 2 ) %}"}"#,
        r#""A": {"Type": "Succeed", "Output": "{% ( $mine := 1; $mine ) %}"}"#),
    case(Rule::UnknownStatesMember, "States.A.Output",
        r#""A": {"Type": "Succeed", "Output": "{% «$states.inptu.name %}"}"#,
        r#""A": {"Type": "Succeed", "Output": "{% $states.input.name %}"}"#),
    case(Rule::NoResultHere, "States.A.Arguments.FunctionName",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Arguments\": {\"FunctionName\": \"{% «$states.result.name %}\"}}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Output\": {\"FunctionName\": \"{% $states.result.name %}\"}}"),
    case(Rule::NoErrorOutputHere, "States.A.Output",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"Next\": \"B\",\n\"Output\": \"{% «$states.errorOutput %}\"}, \"B\": {\"Type\": \"Succeed\"}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"Next\": \"B\",\n\"Catch\": [{\"ErrorEquals\": [\"States.ALL\"], \"Next\": \"B\", \"Output\": \"{% $states.errorOutput %}\"}]}, \"B\": {\"Type\": \"Succeed\"}"),
    case(Rule::NoTaskTokenHere, "States.A.Arguments",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"End\": true,\n\"Arguments\": \"{% «$states.context.Task.Token %}\"}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke.waitForTaskToken\", \"End\": true,\n\"Arguments\": \"{% $states.context.Task.Token %}\"}"),
    case(Rule::NoMapItemHere, "States.A.Output",
        r#""A": {"Type": "Succeed", "Output": "{% «$states.context.Map.Item.Value %}"}"#,
        r#""A": {"Type": "Map", "End": true, "ItemSelector": "{% $states.context.Map.Item.Value %}", "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Succeed", "Output": "{% $states.context.Map.Item.Index %}"}}}}"#),
    case(Rule::UnknownContextMember, "States.A.Output",
        r#""A": {"Type": "Succeed", "Output": "{% «$states.context.Execution.Naem %}"}"#,
        r#""A": {"Type": "Succeed", "Output": "{% $states.context.Execution.Name %}"}"#),

    // Variables
    case(Rule::VariableName, "States.A.Assign[\"first name\"]",
        r#""A": {"Type": "Pass", "End": true, "Assign": {«"first name": 1}}"#,
        r#""A": {"Type": "Pass", "End": true, "Assign": {"firstName": 1}}"#),
    case(Rule::VariableName, "States.A.Assign.states",
        r#""A": {"Type": "Pass", "End": true, "Assign": {«"states": 1}}"#,
        r#""A": {"Type": "Pass", "End": true, "Assign": {"states_1": 1}}"#),
    case(Rule::UndefinedVariable, "States.B.Output",
        "\"A\": {\"Type\": \"Pass\", \"Assign\": {\"customer\": 1}, \"Next\": \"B\"},\n\"B\": {\"Type\": \"Succeed\", \"Output\": \"{% 1 + «$custmer %}\"}",
        "\"A\": {\"Type\": \"Pass\", \"Assign\": {\"customer\": 1}, \"Next\": \"B\"},\n\"B\": {\"Type\": \"Succeed\", \"Output\": \"{% 1 + $customer %}\"}"),
    case(Rule::UndefinedVariable, "States.A.Output",
        r#""A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "B", "Output": "{% «$x %}"}, "B": {"Type": "Succeed"}"#,
        r#""A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "B"}, "B": {"Type": "Succeed", "Output": "{% $x %}"}"#),
    case(Rule::UndefinedVariable, "States.A.Output",
        r#""A": {"Type": "Pass", "Next": "B", "Output": "{% «$x %}"}, "B": {"Type": "Pass", "Assign": {"x": 1}, "End": true}"#,
        r#""A": {"Type": "Pass", "Next": "B", "Assign": {"x": 1}}, "B": {"Type": "Pass", "Output": "{% $x %}", "End": true}"#),
    case(Rule::UndefinedVariable, "States.C.Output",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"Next\": \"B\", \"Assign\": {\"x\": 1},\n\"Catch\": [{\"ErrorEquals\": [\"States.ALL\"], \"Next\": \"C\"}]}, \"B\": {\"Type\": \"Succeed\", \"Output\": \"{% $x %}\"},\n\"C\": {\"Type\": \"Succeed\", \"Output\": \"{% «$x %}\"}",
        "\"A\": {\"Type\": \"Task\", \"Resource\": \"arn:aws:states:::lambda:invoke\", \"Next\": \"B\", \"Assign\": {\"x\": 1},\n\"Catch\": [{\"ErrorEquals\": [\"States.ALL\"], \"Next\": \"C\", \"Assign\": {\"x\": 0}}]}, \"B\": {\"Type\": \"Succeed\", \"Output\": \"{% $x %}\"},\n\"C\": {\"Type\": \"Succeed\", \"Output\": \"{% $x %}\"}"),
    case(Rule::UndefinedVariable, "States.C.Output",
        "\"A\": {\"Type\": \"Parallel\", \"Next\": \"C\",\n\"Branches\": [{\"StartAt\": \"I\", \"States\": {\"I\": {\"Type\": \"Pass\", \"Assign\": {\"x\": 1}, \"End\": true}}}]},\n\"C\": {\"Type\": \"Succeed\", \"Output\": \"{% «$x %}\"}",
        "\"A\": {\"Type\": \"Parallel\", \"Next\": \"C\", \"Assign\": {\"x\": \"{% $states.result[0] %}\"},\n\"Branches\": [{\"StartAt\": \"I\", \"States\": {\"I\": {\"Type\": \"Pass\", \"Output\": 1, \"End\": true}}}]},\n\"C\": {\"Type\": \"Succeed\", \"Output\": \"{% $x %}\"}"),
    case(Rule::MaybeUndefinedVariable, "States.C.Output",
        "\"A\": {\"Type\": \"Choice\", \"Choices\": [{\"Condition\": \"{% $states.input %}\", \"Next\": \"C\", \"Assign\": {\"x\": 1}}], \"Default\": \"B\"},\n\"B\": {\"Type\": \"Pass\", \"Next\": \"C\"},\n\"C\": {\"Type\": \"Succeed\", \"Output\": \"{% «$x %}\"}",
        "\"A\": {\"Type\": \"Choice\", \"Choices\": [{\"Condition\": \"{% $states.input %}\", \"Next\": \"C\", \"Assign\": {\"x\": 1}}], \"Default\": \"B\"},\n\"B\": {\"Type\": \"Pass\", \"Next\": \"C\", \"Assign\": {\"x\": 2}},\n\"C\": {\"Type\": \"Succeed\", \"Output\": \"{% $x %}\"}"),
    case(Rule::MaybeUndefinedVariable, "States.B.Branches[0].States.I.Output",
        "\"A\": {\"Type\": \"Choice\", \"Choices\": [{\"Condition\": \"{% $states.input %}\", \"Next\": \"B\", \"Assign\": {\"x\": 1}}], \"Default\": \"B\"},\n\"B\": {\"Type\": \"Parallel\", \"Branches\": [{\"StartAt\": \"I\", \"States\": {\"I\": {\"Type\": \"Succeed\", \"Output\": \"{% «$x %}\"}}}], \"End\": true}",
        "\"A\": {\"Type\": \"Choice\", \"Choices\": [{\"Condition\": \"{% $states.input %}\", \"Next\": \"B\", \"Assign\": {\"x\": 1}}], \"Default\": \"B\"},\n\"B\": {\"Type\": \"Parallel\", \"Branches\": [{\"StartAt\": \"I\", \"States\": {\"I\": {\"Type\": \"Succeed\", \"Output\": \"{% $exists($x) ? $x : 0 %}\"}}}], \"End\": true}"),
    case(Rule::ShadowedVariable, "States.B.ItemProcessor.States.I.Assign.x",
        "\"A\": {\"Type\": \"Pass\", \"Assign\": {\"x\": 1}, \"Next\": \"B\"},\n\"B\": {\"Type\": \"Map\", \"End\": true, \"ItemProcessor\": {\"StartAt\": \"I\", \"States\": {\n\"I\": {\"Type\": \"Pass\", \"Assign\": {«\"x\": 2}, \"End\": true}}}}",
        "\"A\": {\"Type\": \"Pass\", \"Assign\": {\"x\": 1}, \"Next\": \"B\"},\n\"B\": {\"Type\": \"Map\", \"End\": true, \"ItemProcessor\": {\"StartAt\": \"I\", \"States\": {\n\"I\": {\"Type\": \"Pass\", \"Assign\": {\"y\": \"{% $x %}\"}, \"End\": true}}}}"),
    case(Rule::DistributedVariable, "States.B.ItemProcessor.States.I.Output",
        "\"A\": {\"Type\": \"Pass\", \"Assign\": {\"x\": 1}, \"Next\": \"B\"},\n\"B\": {\"Type\": \"Map\", \"End\": true, \"ItemProcessor\": {\"ProcessorConfig\": {\"Mode\": \"DISTRIBUTED\", \"ExecutionType\": \"STANDARD\"}, \"StartAt\": \"I\", \"States\": {\n\"I\": {\"Type\": \"Succeed\", \"Output\": \"{% «$x %}\"}}}}",
        "\"A\": {\"Type\": \"Pass\", \"Assign\": {\"x\": 1}, \"Next\": \"B\"},\n\"B\": {\"Type\": \"Map\", \"End\": true, \"ItemSelector\": {\"x\": \"{% $x %}\"}, \"ItemProcessor\": {\"ProcessorConfig\": {\"Mode\": \"DISTRIBUTED\", \"ExecutionType\": \"STANDARD\"}, \"StartAt\": \"I\", \"States\": {\n\"I\": {\"Type\": \"Succeed\", \"Output\": \"{% $states.input.x %}\"}}}}"),
];

#[test]
fn each_rule_is_told_once_where_it_is_broken() {
    let mut wrong = Vec::new();
    for case in CASES {
        let Case {
            rule, path, good, ..
        } = case;
        let (bad, place) = case.bad();
        let told = problems(&bad);
        let is_right = matches!(told.as_slice(), [problem]
            if problem.rule == *rule && problem.path == *path && (problem.line, problem.column) == place);
        if !is_right {
            let (line, column) = place;
            wrong.push(format!(
                "{bad}\nexpected {line}:{column} {path} [{}]\ngot {}",
                rule.name(),
                lines(&told)
            ));
        }
        let told = problems(&text(good));
        if !told.is_empty() {
            wrong.push(format!("{good}\nexpected nothing, got {}", lines(&told)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn no_rule_is_without_a_case() {
    let elsewhere = [Rule::DefinitionTooLarge, Rule::NotServedHere];
    let tried: BTreeSet<Rule> = CASES
        .iter()
        .map(|case| case.rule)
        .chain(elsewhere)
        .collect();
    let untried: Vec<_> = Rule::ALL
        .iter()
        .filter(|rule| !tried.contains(rule))
        .map(|rule| rule.name())
        .collect();
    assert!(untried.is_empty(), "{untried:?}");
}

#[test]
fn a_definition_may_be_as_large_as_it_may_be() {
    let of_bytes = |bytes: usize| {
        let around = text(r#""A": {"Type": "Succeed", "Comment": ""}"#);
        let comment = format!("\"Comment\": \"{}\"", "x".repeat(bytes - around.len()));
        around.replace("\"Comment\": \"\"", &comment)
    };
    assert_eq!(lines(&problems(&of_bytes(MAX_DEFINITION_BYTES))), "");
    let told = problems(&of_bytes(MAX_DEFINITION_BYTES + 1));
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].rule, Rule::DefinitionTooLarge);
    assert_eq!((told[0].line, told[0].column), (1, 1));
}

#[test]
fn one_missing_assignment_is_told_once_with_how_often_it_is_missed() {
    let told = problems(&text(
        r#""A": {"Type": "Pass", "Next": "B", "Output": "{% $x %}"}, "B": {"Type": "Succeed", "Output": ["{% $x %}", "{% $x + 1 %}"]}"#,
    ));
    assert_eq!(told.len(), 1, "{}", lines(&told));
    assert_eq!(
        told[0].message,
        "no state here assigns $x, here and in 2 more places"
    );
}

#[test]
fn what_is_asked_for_with_exists_may_be_absent() {
    for good in [
        r#""A": {"Type": "Succeed", "Output": "{% $exists($states.context.Map.Item) ? $states.context.Map.Item.Index : 0 %}"}"#,
        r#""A": {"Type": "Succeed", "Output": "{% $not($exists($states.context.Task)) %}"}"#,
        r#""A": {"Type": "Pass", "Next": "B", "Output": "{% $exists($x.y) ? $x : 0 %}"}, "B": {"Type": "Pass", "Assign": {"x": 1}, "End": true}"#,
    ] {
        assert_eq!(lines(&problems(&text(good))), "", "{good}");
    }
    let told = problems(&text(
        r#""A": {"Type": "Pass", "Next": "B", "Output": "{% $exists($xx) %}"}, "B": {"Type": "Pass", "Assign": {"xy": 1}, "End": true}"#,
    ));
    assert_eq!(told[0].advice, "did you mean $xy?");
}

#[test]
fn what_the_deployment_gives_is_left_to_it() {
    let text = r#"{"QueryLanguage": "JSONata", "StartAt": "A", "TimeoutSeconds": ${Timeout}, "States": {
"A": {"Type": "Task", "Resource": "${FunctionArn}", "TimeoutSeconds": ${Timeout}, "HeartbeatSeconds": ${Beat},
"Retry": [{"ErrorEquals": ["E"], "MaxAttempts": ${Most}, "BackoffRate": ${Rate}, "JitterStrategy": "${Jitter}"}],
"Arguments": {"url": "https://${Host}/x", "limit": "{% $states.input.x + ${Limit} %}"}, "Next": "W"},
"W": {"Type": "Wait", "Seconds": ${Seconds}, "Next": "M"},
"M": {"Type": "Map", "Items": "${Items}", "MaxConcurrency": ${Concurrency}, "End": true, "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Succeed", "Output": "{% $nope %}"}}}}}}"#;
    let checked = check(text, Substitutions::Open);
    assert_eq!(
        lines(&checked.problems),
        "6:173: error: States.M.ItemProcessor.States.I.Output: no state here assigns $nope; set it with Assign: {\"nope\": …} in a state before [undefined-variable]"
    );
    let good = text.replace("$nope", "1");
    let checked = check(&good, Substitutions::Open);
    assert_eq!(lines(&checked.problems), "");
    assert!(checked.machine.is_some());
    assert!(check(&good, Substitutions::Done).has_errors());
}
