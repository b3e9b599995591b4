//! What AWS documents of its optimized integrations: their APIs, which patterns
//! each service has, and which arguments an API needs.

use crate::IntegrationPattern;
use crate::IntegrationPattern::{RequestResponse, Sync, SyncJson, WaitForTaskToken};

/// An optimized integration.
pub(crate) struct Service {
    name: &'static str,
    pub(crate) patterns: &'static [IntegrationPattern],
    pub(crate) apis: &'static [&'static str],
}

/// What an API's arguments must have, and all they may have where that is listed.
pub(crate) struct Arguments {
    service: &'static str,
    api: &'static str,
    pub(crate) required: &'static [&'static str],
    pub(crate) optional: Option<&'static [&'static str]>,
}

const CALL: &[IntegrationPattern] = &[RequestResponse];
const CALL_OR_JOB: &[IntegrationPattern] = &[RequestResponse, Sync];
const CALL_OR_TOKEN: &[IntegrationPattern] = &[RequestResponse, WaitForTaskToken];
const CALL_JOB_OR_TOKEN: &[IntegrationPattern] = &[RequestResponse, Sync, WaitForTaskToken];

const SERVICES: &[Service] = &[
    service("apigateway", CALL_OR_TOKEN, &["invoke"]),
    service(
        "athena",
        CALL_OR_JOB,
        &[
            "getQueryExecution",
            "getQueryResults",
            "startQueryExecution",
            "stopQueryExecution",
        ],
    ),
    service("batch", CALL_OR_JOB, &["submitJob"]),
    service(
        "bedrock",
        CALL_JOB_OR_TOKEN,
        &["createModelCustomizationJob", "invokeModel"],
    ),
    service(
        "codebuild",
        CALL_OR_JOB,
        &[
            "batchDeleteBuilds",
            "batchGetReports",
            "deleteBuildBatch",
            "retryBuildBatch",
            "startBuild",
            "startBuildBatch",
            "stopBuild",
            "stopBuildBatch",
        ],
    ),
    service("databrew", CALL_OR_JOB, &["startJobRun"]),
    service(
        "dynamodb",
        CALL,
        &["deleteItem", "getItem", "putItem", "updateItem"],
    ),
    service("ecs", CALL_JOB_OR_TOKEN, &["runTask"]),
    service(
        "eks",
        CALL_JOB_OR_TOKEN,
        &[
            "call",
            "createCluster",
            "createFargateProfile",
            "createNodegroup",
            "deleteCluster",
            "deleteFargateProfile",
            "deleteNodegroup",
            "runJob",
        ],
    ),
    service(
        "elasticmapreduce",
        CALL_OR_JOB,
        &[
            "addStep",
            "cancelStep",
            "createCluster",
            "modifyInstanceFleetByName",
            "modifyInstanceGroupByName",
            "setClusterTerminationProtection",
            "terminateCluster",
        ],
    ),
    service(
        "emr-containers",
        CALL_OR_JOB,
        &[
            "createVirtualCluster",
            "deleteVirtualCluster",
            "startJobRun",
        ],
    ),
    service(
        "emr-serverless",
        CALL_OR_JOB,
        &[
            "cancelJobRun",
            "createApplication",
            "deleteApplication",
            "startApplication",
            "startJobRun",
            "stopApplication",
        ],
    ),
    service("events", CALL_OR_TOKEN, &["putEvents"]),
    service("glue", CALL_OR_JOB, &["startJobRun"]),
    service("http", CALL, &["invoke"]),
    service("lambda", CALL_OR_TOKEN, &["invoke"]),
    service("mediaconvert", CALL_OR_JOB, &["createJob"]),
    service(
        "sagemaker",
        CALL_OR_JOB,
        &[
            "createEndpoint",
            "createEndpointConfig",
            "createHyperParameterTuningJob",
            "createLabelingJob",
            "createModel",
            "createProcessingJob",
            "createTrainingJob",
            "createTransformJob",
            "updateEndpoint",
        ],
    ),
    service("sns", CALL_OR_TOKEN, &["publish"]),
    service("sqs", CALL_OR_TOKEN, &["sendMessage"]),
    service(
        "states",
        &[RequestResponse, Sync, SyncJson, WaitForTaskToken],
        &["startExecution"],
    ),
];

const ARGUMENTS: &[Arguments] = &[
    arguments("athena", "startQueryExecution", &["QueryString"], None),
    arguments(
        "batch",
        "submitJob",
        &["JobDefinition", "JobName", "JobQueue"],
        None,
    ),
    arguments("codebuild", "startBuild", &["ProjectName"], None),
    arguments("dynamodb", "deleteItem", &["Key", "TableName"], None),
    arguments("dynamodb", "getItem", &["Key", "TableName"], None),
    arguments("dynamodb", "putItem", &["Item", "TableName"], None),
    arguments("dynamodb", "updateItem", &["Key", "TableName"], None),
    arguments("ecs", "runTask", &["TaskDefinition"], None),
    arguments("events", "putEvents", &["Entries"], None),
    arguments("glue", "startJobRun", &["JobName"], None),
    arguments("http", "invoke", &["ApiEndpoint", "Method"], None),
    arguments(
        "lambda",
        "invoke",
        &["FunctionName"],
        Some(&[
            "ClientContext",
            "InvocationType",
            "LogType",
            "Payload",
            "Qualifier",
            "TenantId",
        ]),
    ),
    arguments("sns", "publish", &["Message"], None),
    arguments("sqs", "sendMessage", &["MessageBody", "QueueUrl"], None),
    arguments(
        "states",
        "startExecution",
        &["StateMachineArn"],
        Some(&["Input", "Name", "TraceHeader"]),
    ),
];

pub(crate) fn service_named(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.name == name)
}

pub(crate) fn service_names() -> impl Iterator<Item = &'static str> {
    SERVICES.iter().map(|service| service.name)
}

pub(crate) fn arguments_of(service: &str, api: &str) -> Option<&'static Arguments> {
    ARGUMENTS
        .iter()
        .find(|arguments| arguments.service == service && arguments.api == api)
}

const fn service(
    name: &'static str,
    patterns: &'static [IntegrationPattern],
    apis: &'static [&'static str],
) -> Service {
    Service {
        name,
        patterns,
        apis,
    }
}

const fn arguments(
    service: &'static str,
    api: &'static str,
    required: &'static [&'static str],
    optional: Option<&'static [&'static str]>,
) -> Arguments {
    Arguments {
        service,
        api,
        required,
        optional,
    }
}
