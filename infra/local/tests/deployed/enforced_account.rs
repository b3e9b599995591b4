//! The application in an account that enforces IAM, with the user pool that it creates: its keys
//! are RSA keys, so that the gateway verifies tokens before the function does.

use serde_json::{Value, json};

use crate::Stack;
use crate::account::{ACCOUNT, Account, Answer, REGION};
use crate::application::Application;
use crate::callers::{CALLBACK, sign_in, with_managed_policy, with_policies_of_role};
use crate::emulator::Iam;
use crate::examples::{EXAMPLES, assert_same, input_of, totals};
use crate::structure::tree;
use crate::traces::Api;

pub(crate) const STACK: Stack = Stack {
    name: "enforced_account",
    deploy,
    cases: &[
        (
            "only_tokens_of_the_user_pool_open_the_api",
            only_tokens_of_the_user_pool_open_the_api,
        ),
        (
            "each_function_works_with_its_own_role",
            each_function_works_with_its_own_role,
        ),
        (
            "no_role_may_do_what_is_not_its_business",
            no_role_may_do_what_is_not_its_business,
        ),
        (
            "hard_case_6_a_tenants_reader_reads_its_own",
            hard_case_6_a_tenants_reader_reads_its_own,
        ),
        (
            "hard_case_6_a_tenants_writer_writes_its_own",
            hard_case_6_a_tenants_writer_writes_its_own,
        ),
    ],
};

/// Operations of DynamoDB and their requests.
type Calls<'a> = &'a [(&'a str, &'a Value)];

const SCOPES: &str = "openid stepscope/traces:read stepscope/workflows:run";

fn deploy() -> Application {
    let mut parameters = EXAMPLES.to_vec();
    parameters.push(("AllowedOrigins", CALLBACK));
    Application::deploy(Iam::Enforced, &parameters)
}

fn only_tokens_of_the_user_pool_open_the_api(application: &mut Application) {
    let tokens = sign_in(application, "dana@example.com", Some("acme"), SCOPES).unwrap();
    let url = application.api_url();
    let me = Api::at(&url, &tokens.access).get("me");
    assert_eq!(me["tenant"], "acme");
    let local = application.folder.succeeds(&["token", "--tenant", "acme"]);
    let forged = format!("{}AAAA", &tokens.access[..tokens.access.len() - 4]);
    for token in ["", &tokens.id, local.trim(), &forged] {
        let answer = Api::at(&url, token).try_get("me");
        assert_eq!(answer.status, 401, "{token:?}: {}", answer.text);
    }
    let without_tenant = sign_in(application, "nobody@example.com", None, SCOPES);
    assert!(
        without_tenant.is_err(),
        "a user without a tenant got a token"
    );
}

fn each_function_works_with_its_own_role(application: &mut Application) {
    let tokens = sign_in(application, "erin@example.com", Some("acme"), SCOPES).unwrap();
    let deployed = Api::at(&application.api_url(), &tokens.access);
    let execution = deployed.start("support-triage", &input_of("support-triage"));
    let deployed = deployed.ended(&execution);
    let run = &deployed["execution"];
    assert_eq!(run["status"], "SUCCEEDED", "{run:#}");
    let local = application.local_api("acme");
    let local = local.ended(&local.start("support-triage", &input_of("support-triage")));
    assert_same(&tree(&deployed), &tree(&local));
    assert_same(&totals(&deployed), &totals(&local));
}

fn refused(what: &str, answer: &Answer) {
    let denied = answer.text.contains("AccessDenied");
    assert!(
        denied && (400..404).contains(&answer.status),
        "{what} was not refused by a policy: {} {}",
        answer.status,
        answer.text
    );
}

fn allowed(what: &str, answer: &Answer) {
    assert_eq!(answer.status, 200, "{what}: {}", answer.text);
}

fn dynamodb(caller: &Account, operation: &str, request: &Value) -> Answer {
    caller.try_json(
        "dynamodb",
        &format!("DynamoDB_20120810.{operation}"),
        request,
    )
}

fn no_role_may_do_what_is_not_its_business(application: &mut Application) {
    let table = application.outputs["TableName"].clone();
    let key = json!({"pk": {"S": "acme#none"}, "sk": {"S": "run"}});
    let get = json!({"TableName": table, "Key": key});
    let query = json!({"TableName": table, "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": "acme#none"}}});
    let scan = json!({"TableName": table});
    let put = json!({"TableName": table, "Item": key});
    let start = json!({"stateMachineArn":
        format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:support-triage")});
    let secret = json!({"SecretId": application.resource("CursorKey")});
    // Of most roles one thing that it may do, so that a refusal is the policy's and not the key's.
    let roles: [(&str, Calls<'_>, Calls<'_>); 4] = [
        (
            "RunNodeRole",
            &[("PutItem", &put)],
            &[
                ("Query", &query),
                ("GetItem", &get),
                ("Scan", &scan),
                ("DeleteItem", &get),
            ],
        ),
        (
            "RecordExecutionRole",
            &[("GetItem", &get), ("Query", &query)],
            &[("Scan", &scan), ("DeleteItem", &get)],
        ),
        (
            "SummariseRunRole",
            &[("GetItem", &get), ("Query", &query)],
            &[("PutItem", &put), ("Scan", &scan), ("DeleteItem", &get)],
        ),
        (
            "TraceApiRole",
            &[],
            &[
                ("GetItem", &get),
                ("Query", &query),
                ("Scan", &scan),
                ("PutItem", &put),
            ],
        ),
    ];
    for (role, may, may_not) in roles {
        let caller = with_policies_of_role(application, role, None);
        for (operation, request) in may {
            allowed(
                &format!("{operation} by {role}"),
                &dynamodb(&caller, operation, request),
            );
        }
        for (operation, request) in may_not {
            refused(
                &format!("{operation} by {role}"),
                &dynamodb(&caller, operation, request),
            );
        }
        let read = caller.try_json("secretsmanager", "secretsmanager.GetSecretValue", &secret);
        refused(&format!("reading the cursor key by {role}"), &read);
        if role == "TraceApiRole" {
            let started = caller.try_json("states", "AWSStepFunctions.StartExecution", &start);
            allowed("starting a workflow by TraceApiRole", &started);
        } else {
            let started = caller.try_json("states", "AWSStepFunctions.StartExecution", &start);
            refused(&format!("starting a workflow by {role}"), &started);
        }
    }
}

fn hard_case_6_a_tenants_reader_reads_its_own(application: &mut Application) {
    let table = application.outputs["TableName"].clone();
    let reader = with_policies_of_role(application, "TenantReaderRole", Some("acme"));
    let partition = |key: &str| {
        json!({"TableName": table, "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": key}}})
    };
    let index = |name: &str, attribute: &str, key: &str| {
        json!({"TableName": table, "IndexName": name,
            "KeyConditionExpression": "#key = :key",
            "ExpressionAttributeNames": {"#key": attribute},
            "ExpressionAttributeValues": {":key": {"S": key}}})
    };
    let item =
        |key: &str| json!({"TableName": table, "Key": {"pk": {"S": key}, "sk": {"S": "run"}}});
    let own = [
        ("Query", partition("acme#0123")),
        ("GetItem", item("acme#0123")),
        ("Query", index("runs-by-start", "tenant", "acme")),
        (
            "Query",
            index("runs-by-workflow", "tenant_workflow", "acme#support-triage"),
        ),
    ];
    for (operation, request) in own {
        allowed(
            &format!("{operation} {request}"),
            &dynamodb(&reader, operation, &request),
        );
    }
    let foreign = [
        ("Query", partition("other#0123")),
        ("Query", partition("acm")),
        ("GetItem", item("other#0123")),
        ("GetItem", item("acme2#0123")),
        ("Query", index("runs-by-start", "tenant", "other")),
        (
            "Query",
            index(
                "runs-by-workflow",
                "tenant_workflow",
                "other#support-triage",
            ),
        ),
        ("Scan", json!({"TableName": table})),
        (
            "Scan",
            json!({"TableName": table, "IndexName": "runs-by-start"}),
        ),
        (
            "PutItem",
            json!({"TableName": table, "Item": item("acme#0123")["Key"]}),
        ),
    ];
    for (operation, request) in foreign {
        refused(
            &format!("{operation} {request}"),
            &dynamodb(&reader, operation, &request),
        );
    }
    let bucket = &application.outputs["BucketName"];
    let object = |caller: &Account, method: &str, key: &str| {
        caller.send(
            "s3",
            method,
            &format!("/{bucket}/{key}"),
            &[],
            String::new(),
        )
    };
    for (tenant, may) in [("acme", true), ("other", false), ("acme2", false)] {
        let key = format!("t/{tenant}/0123/object");
        allowed(&key, &object(&application.account, "PUT", &key));
        let read = object(&reader, "GET", &key);
        if may {
            allowed(&key, &read);
            refused(&key, &object(&reader, "PUT", &key));
        } else {
            refused(&key, &read);
        }
    }
}

fn hard_case_6_a_tenants_writer_writes_its_own(application: &mut Application) {
    let table = application.outputs["TableName"].clone();
    let policy = application.outputs["TenantSpanWriterPolicyArn"].clone();
    let writer = with_managed_policy(application, &policy, "acme");
    let item = |key: &str| json!({"pk": {"S": key}, "sk": {"S": "chunk#test"}});
    let put = |key: &str| json!({"TableName": table, "Item": item(key)});
    let batch = |keys: &[&str]| {
        let requests = keys
            .iter()
            .map(|key| json!({"PutRequest": {"Item": item(key)}}));
        json!({"RequestItems": {&table: requests.collect::<Vec<_>>()}})
    };
    allowed(
        "its own item",
        &dynamodb(&writer, "PutItem", &put("acme#0123")),
    );
    allowed(
        "its own items",
        &dynamodb(&writer, "BatchWriteItem", &batch(&["acme#1", "acme#2"])),
    );
    refused(
        "another's item",
        &dynamodb(&writer, "PutItem", &put("other#0123")),
    );
    let mixed = batch(&["acme#1", "other#1"]);
    refused(
        "another's item among its own",
        &dynamodb(&writer, "BatchWriteItem", &mixed),
    );
    refused(
        "a scan",
        &dynamodb(&writer, "Scan", &json!({"TableName": table})),
    );
}
