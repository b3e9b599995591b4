//! What is deployed: the table as the store wants it, what expires, what it costs.

use std::collections::BTreeSet;

use lambda_process::Variable;
use serde_json::{Value, json};
use trace_store::TABLE;

use crate::document::{Template, list, repository};

/// None is billed by the hour. A new type is looked up first, in AWS's prices.
const FREE_WHEN_IDLE: [&str; 31] = [
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Authorizer",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudFormation::Stack",
    "AWS::CloudFront::Distribution",
    "AWS::CloudFront::OriginAccessControl",
    "AWS::CloudFront::ResponseHeadersPolicy",
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::Cognito::UserPoolResourceServer",
    "AWS::DynamoDB::Table",
    "AWS::Events::Rule",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::Lambda::Function",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::Serverless::Function",
    "AWS::Serverless::StateMachine",
    "AWS::StepFunctions::StateMachine",
    // Billed by the month, and itemised in docs/how-to/deploy.md.
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::SecretsManager::Secret",
];

/// What runs while nobody uses it has a price for each hour of it.
const HOURLY_SETTINGS: [&str; 6] = [
    "ProvisionedThroughput",
    "ProvisionedConcurrencyConfig",
    "VpcConfig",
    "CacheClusterEnabled",
    "ProvisionedPollerConfig",
    "KinesisStreamSpecification",
];

fn key_schema(partition_key: &str, sort_key: &str) -> Value {
    json!([
        {"AttributeName": partition_key, "KeyType": "HASH"},
        {"AttributeName": sort_key, "KeyType": "RANGE"},
    ])
}

#[test]
fn the_table_is_what_the_store_creates() {
    let template = Template::main();
    let table = template.at("/Resources/TraceTable/Properties");
    assert_eq!(
        table["KeySchema"],
        key_schema(TABLE.partition_key, TABLE.sort_key)
    );
    let indexes: Vec<_> = TABLE
        .indexes
        .iter()
        .map(|index| {
            json!({
                "IndexName": index.name,
                "KeySchema": key_schema(index.partition_key, index.sort_key),
                "Projection": {"ProjectionType": "ALL"},
            })
        })
        .collect();
    assert_eq!(table["GlobalSecondaryIndexes"], json!(indexes));
    let mut expected = BTreeSet::from([(TABLE.partition_key, "S"), (TABLE.sort_key, "S")]);
    for index in TABLE.indexes {
        expected.extend([(index.partition_key, "S"), (index.sort_key, "N")]);
    }
    let defined = list(&table["AttributeDefinitions"]).into_iter();
    let defined: BTreeSet<_> = defined
        .map(|attribute| {
            let text = |name: &str| attribute[name].as_str().unwrap();
            (text("AttributeName"), text("AttributeType"))
        })
        .collect();
    assert_eq!(defined, expected);
    assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(
        table["StreamSpecification"],
        json!({"StreamViewType": "NEW_IMAGE"})
    );
    assert_eq!(
        table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"],
        true
    );
    assert_eq!(table["SSESpecification"]["SSEEnabled"], true);
}

#[test]
fn hard_case_22_what_expires_is_what_is_written() {
    let template = Template::main();
    let expiry = template.at("/Resources/TraceTable/Properties/TimeToLiveSpecification");
    assert_eq!(
        *expiry,
        json!({"AttributeName": TABLE.ttl_attribute, "Enabled": true})
    );
}

#[test]
fn hard_case_20_objects_outlive_the_items_that_point_to_them() {
    let template = Template::main();
    let rules = "/Resources/TraceBucket/Properties/LifecycleConfiguration/Rules";
    let rules = list(template.at(rules));
    for prefix in ["t/", "payloads/"] {
        let rule = rules.iter().find(|rule| rule["Prefix"] == prefix).unwrap();
        assert_eq!(rule["Status"], "Enabled");
        assert_eq!(
            rule["ExpirationInDays"],
            json!({"Fn::FindInMap": ["ObjectRetention", {"Ref": "RetentionDays"}, "Days"]})
        );
    }
    for choice in list(template.at("/Parameters/RetentionDays/AllowedValues")) {
        let days: u64 = choice.as_str().unwrap().parse().unwrap();
        let objects = template.at(&format!("/Mappings/ObjectRetention/{days}/Days"));
        assert_eq!(*objects, days + 2);
    }
}

#[test]
fn every_log_ends() {
    let mut groups = 0;
    for template in Template::all() {
        for (name, group) in template.of_type("AWS::Logs::LogGroup") {
            groups += 1;
            assert_eq!(
                group["RetentionInDays"],
                json!({"Ref": "LogRetentionDays"}),
                "{name}"
            );
        }
    }
    assert!(groups > 6, "{groups}");
    let template = Template::main();
    for (name, machine) in template.of_type("AWS::Serverless::StateMachine") {
        assert_eq!(machine["Logging"]["IncludeExecutionData"], false, "{name}");
    }
}

#[test]
fn nothing_is_billed_by_the_hour() {
    for template in Template::all() {
        for (name, resource) in template.resources() {
            let kind = resource["Type"].as_str().unwrap();
            assert!(
                FREE_WHEN_IDLE.contains(&kind),
                "{name} is a {kind}: is it free while nothing happens?"
            );
            let text = resource.to_string();
            for setting in HOURLY_SETTINGS {
                assert!(!text.contains(setting), "{name} has {setting}");
            }
        }
    }
}

#[test]
fn every_function_is_deployed_from_the_one_build() {
    let folders = std::fs::read_dir(repository().join("functions")).unwrap();
    let crates: BTreeSet<_> = folders
        .map(|folder| folder.unwrap().file_name().into_string().unwrap())
        .collect();
    let template = Template::main();
    let mut deployed = BTreeSet::new();
    for (name, function) in template.of_type("AWS::Serverless::Function") {
        let code = function["CodeUri"].as_str().unwrap();
        let built = code.strip_prefix("target/lambda/").unwrap();
        deployed.insert(built.trim_end_matches('/').to_owned());
        assert_eq!(function["AutoPublishAliasAllProperties"], true, "{name}");
        assert!(
            !list(&function["DeploymentPreference"]["Alarms"]).is_empty(),
            "{name} is never taken back"
        );
    }
    assert_eq!(deployed, crates);
}

#[test]
fn functions_get_settings_that_they_know() {
    // Read by the model client.
    let providers = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"];
    let known: BTreeSet<_> = Variable::ALL.iter().map(|one| one.name()).collect();
    let template = Template::main();
    let functions = template.of_type("AWS::Serverless::Function");
    let own = functions.map(|(_, function)| &function["Environment"]["Variables"]);
    let all = template.at("/Globals/Function/Environment/Variables");
    for variables in own.chain([all]).filter_map(Value::as_object) {
        for name in variables.keys() {
            assert!(
                known.contains(name.as_str()) || providers.contains(&name.as_str()),
                "{name} is read by nobody"
            );
        }
    }
}

#[test]
fn hard_case_21_a_stream_s_reader_gives_batches_up_late_and_keeps_them() {
    let template = Template::main();
    let mut readers = 0;
    for (name, function) in template.of_type("AWS::Serverless::Function") {
        let Some(mapping) = function.pointer("/Events/ChangedChunks/Properties") else {
            continue;
        };
        readers += 1;
        assert_eq!(
            mapping["FunctionResponseTypes"],
            json!(["ReportBatchItemFailures"]),
            "{name}"
        );
        assert_eq!(mapping["BisectBatchOnFunctionError"], true, "{name}");
        let age = mapping["MaximumRecordAgeInSeconds"].as_u64().unwrap();
        assert!((600..86_400).contains(&age), "{name}: {age}");
        let attempts = mapping["MaximumRetryAttempts"].as_u64().unwrap();
        assert!(attempts > 0, "{name}");
        if name == "ExportSpansFunction" {
            // It is called every 15 s while the collector stays down.
            assert!(
                attempts * 15 > age,
                "it gives up before the records' time is over"
            );
        }
        assert_eq!(
            mapping["DestinationConfig"]["OnFailure"],
            json!({"Type": "S3", "Destination": {"Fn::GetAtt": "TraceBucket.Arn"}}),
            "{name}"
        );
        let pattern = mapping["FilterCriteria"]["Filters"][0]["Pattern"].as_str();
        let pattern: Value = serde_json::from_str(pattern.unwrap()).unwrap();
        assert_eq!(
            pattern["dynamodb"]["Keys"][TABLE.sort_key]["S"],
            json!([{"prefix": "chunk#"}]),
            "{name} would be called for its own writing"
        );
    }
    assert_eq!(readers, 2);
}

#[test]
fn the_workflows_get_what_they_ask_for() {
    let template = Template::main();
    let mut deployed = BTreeSet::new();
    for (name, machine) in template.of_type("AWS::Serverless::StateMachine") {
        let file = machine["DefinitionUri"].as_str().unwrap();
        let definition = std::fs::read_to_string(repository().join(file)).unwrap();
        let given = machine["DefinitionSubstitutions"].as_object().unwrap();
        let mut rest = definition;
        for substitution in given.keys() {
            let asked = format!("${{{substitution}}}");
            assert!(
                rest.contains(&asked),
                "{name} does not ask for {substitution}"
            );
            rest = rest.replace(&asked, "");
        }
        assert!(!rest.contains("${"), "{name} asks for more");
        deployed.insert(repository().join(file));
    }
    let folder = std::fs::read_dir(repository().join("infra/workflows")).unwrap();
    let files: BTreeSet<_> = folder
        .map(|file| file.unwrap().path())
        .filter(|file| file.to_string_lossy().ends_with(".asl.json"))
        .collect();
    assert_eq!(deployed, files);
}
