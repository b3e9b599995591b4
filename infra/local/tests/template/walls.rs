//! Who may do what: roles, tenants, origins.

use std::collections::BTreeSet;

use identity::{DEFAULT_TENANT_CLAIM, Scope};
use regex::Regex;
use serde_json::{Value, json};

use crate::document::{Statement, Template, list, texts};

const TENANT: &str = "${aws:PrincipalTag/tenant}";

/// IAM offers no narrower resource for these.
const WITHOUT_RESOURCE: [&str; 11] = [
    "dynamodb:ListStreams",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "states:ListStateMachines",
    "states:SendTaskSuccess",
];

fn of_owner(owner: &str) -> Vec<Statement> {
    let mut statements = Template::main().statements();
    statements.retain(|statement| statement.owner == owner);
    assert!(!statements.is_empty(), "{owner} has no policy");
    statements
}

/// Without the application's filter the role still refuses what is another tenant's.
fn check_tenant_wall(owner: &str) {
    let statements = of_owner(owner);
    let (allowed, denied): (Vec<_>, Vec<_>) = statements.iter().partition(|one| one.allows());
    for statement in allowed {
        let actions = statement.actions();
        if actions.iter().any(|action| action.starts_with("dynamodb:")) {
            let keys = statement.condition("ForAllValues:StringLike", "dynamodb:LeadingKeys");
            let keys = texts(keys);
            assert!(!keys.is_empty(), "{owner} is not bound to keys");
            for key in keys {
                assert!(
                    [TENANT.to_owned(), format!("{TENANT}#*")].contains(&key.to_owned()),
                    "{owner}: {key} is more than one tenant's"
                );
            }
            let without_keys = statement.condition("Null", "dynamodb:LeadingKeys");
            assert_eq!(without_keys, "false", "{owner} takes requests without keys");
        } else if actions == ["s3:ListBucket"] {
            let prefix = statement.condition("StringLike", "s3:prefix");
            assert_eq!(*prefix, format!("t/{TENANT}/*"), "{owner}");
        } else {
            assert!(actions.iter().all(|action| action.starts_with("s3:")));
            let own = "${TraceBucket.Arn}/t/${!aws:PrincipalTag/tenant}/*";
            assert_eq!(statement.resources(), [&json!({"Fn::Sub": own})], "{owner}");
        }
    }
    let [denied] = denied[..] else {
        panic!("{owner} denies nothing")
    };
    for action in ["dynamodb:Scan", "dynamodb:PartiQLSelect"] {
        assert!(
            denied.actions().contains(&action),
            "{owner} may try {action}"
        );
    }
    assert_eq!(
        denied.resources(),
        [
            &json!({"Fn::GetAtt": "TraceTable.Arn"}),
            &json!({"Fn::Sub": "${TraceTable.Arn}/index/*"}),
        ]
    );
}

#[test]
fn hard_case_6_a_tenant_s_writer_reaches_that_tenant_only() {
    check_tenant_wall("TenantSpanWriterPolicy");
}

#[test]
fn hard_case_6_a_tenant_s_reader_reaches_that_tenant_only() {
    check_tenant_wall("TenantReaderRole");
    let template = Template::main();
    let trust = "/Resources/TenantReaderRole/Properties/AssumeRolePolicyDocument/Statement/0";
    let trust = template.at(trust);
    assert_eq!(
        trust["Principal"],
        json!({"AWS": {"Fn::GetAtt": "TraceApiRole.Arn"}})
    );
    assert_eq!(
        trust["Condition"]["StringLike"]["aws:RequestTag/tenant"], "?*",
        "a session without a tenant"
    );
}

#[test]
fn hard_case_6_a_tenant_s_roles_neither_make_nor_read_api_keys() {
    // As `trace-store` names the partition of a tenant's keys.
    let partition = "acme/api-keys";
    for owner in ["TenantSpanWriterPolicy", "TenantReaderRole"] {
        for statement in of_owner(owner).iter().filter(|one| one.allows()) {
            if !statement.actions()[0].starts_with("dynamodb:") {
                continue;
            }
            let keys = statement.condition("ForAllValues:StringLike", "dynamodb:LeadingKeys");
            for key in texts(keys) {
                let pattern = key.replace(TENANT, "acme").replace('*', ".*");
                let pattern = Regex::new(&format!("^{pattern}$")).unwrap();
                assert!(!pattern.is_match(partition), "{owner}: {key}");
            }
        }
    }
    let receiver = of_owner("IngestSpansRole");
    let of_keys = receiver
        .iter()
        .filter(|statement| statement.actions()[0].starts_with("dynamodb:"))
        .filter(|statement| {
            let keys = statement.condition("ForAllValues:StringLike", "dynamodb:LeadingKeys");
            texts(keys).iter().any(|key| key.ends_with("/api-keys"))
        });
    for statement in of_keys {
        assert_eq!(statement.actions(), ["dynamodb:GetItem"]);
    }
}

#[test]
fn hard_case_6_the_api_itself_reads_nothing() {
    let statements = of_owner("TraceApiRole");
    for statement in statements.iter().chain(&of_owner("TraceApiReadsByTenant")) {
        for action in statement.actions() {
            assert!(
                !action.starts_with("dynamodb:") && !action.starts_with("s3:"),
                "{action} needs no tenant's session"
            );
        }
    }
    let template = Template::main();
    let function = "/Resources/TraceApiFunction/Properties/Environment/Variables";
    assert_eq!(
        template.at(function)["STEPSCOPE_TENANT_ROLE"],
        json!({"Fn::GetAtt": "TenantReaderRole.Arn"})
    );
    let assumed = &of_owner("TraceApiReadsByTenant")[0];
    assert_eq!(assumed.actions(), ["sts:AssumeRole", "sts:TagSession"]);
    assert_eq!(
        assumed.resources(),
        [&json!({"Fn::GetAtt": "TenantReaderRole.Arn"})]
    );
}

#[test]
fn nobody_may_scan_and_no_action_is_a_wildcard() {
    for template in Template::all() {
        let statements = template.statements();
        assert_eq!(
            statements.is_empty(),
            template.file == "infra/monitoring.yaml",
            "{}",
            template.file
        );
        for statement in statements.iter().filter(|one| one.allows()) {
            let owner = &statement.owner;
            for action in statement.actions() {
                assert!(!action.contains('*'), "{owner}: {action}");
                assert_ne!(action, "dynamodb:Scan", "{owner}");
                let everything = statement
                    .resources()
                    .iter()
                    .any(|resource| *resource == "*");
                assert!(
                    !everything || WITHOUT_RESOURCE.contains(&action),
                    "{owner} may {action} everywhere"
                );
            }
        }
    }
}

#[test]
fn every_function_has_a_role_and_a_log_of_its_own() {
    for template in [Template::main(), Template::user_pool()] {
        let mut roles = BTreeSet::new();
        let mut logs = BTreeSet::new();
        let functions = template.of_type("AWS::Serverless::Function");
        let functions = functions.chain(template.of_type("AWS::Lambda::Function"));
        for (name, function) in functions {
            let role = function["Role"]["Fn::GetAtt"].as_str();
            let role = role.unwrap_or_else(|| panic!("{name} has no role of its own"));
            assert!(roles.insert(role.to_owned()), "{name} shares {role}");
            let log = function["LoggingConfig"]["LogGroup"]["Ref"].as_str();
            let log = log.unwrap_or_else(|| panic!("{name} has no log of its own"));
            assert!(logs.insert(log.to_owned()), "{name} shares {log}");
            let role = role.strip_suffix(".Arn").unwrap();
            let statements = template.statements();
            let writes_log = statements.iter().any(|statement| {
                statement.owner == role
                    && statement.actions().contains(&"logs:PutLogEvents")
                    && statement.resources() == [&json!({"Fn::GetAtt": format!("{log}.Arn")})]
            });
            assert!(writes_log, "{role} cannot write to {log}");
        }
        assert!(!roles.is_empty());
    }
}

#[test]
fn hard_case_9_origins_are_listed_and_credentials_never_asked_for() {
    let template = Template::main();
    let pattern = template.at("/Parameters/AllowedOrigins/AllowedPattern");
    let pattern = Regex::new(pattern.as_str().unwrap()).unwrap();
    for (origin, allowed) in [
        ("https://canvas.example.com", true),
        ("http://localhost:5173", true),
        ("*", false),
        ("https://*", false),
        ("https://*.example.com", false),
        ("null", false),
        ("https://canvas.example.com/", false),
    ] {
        assert_eq!(pattern.is_match(origin), allowed, "{origin}");
    }
    let cors = template.at("/Resources/HttpApi/Properties/CorsConfiguration/Fn::If/1");
    assert_eq!(cors["AllowOrigins"], json!({"Ref": "AllowedOrigins"}));
    assert_eq!(cors["AllowCredentials"], false);
}

#[test]
fn hard_case_9_the_canvas_s_pages_run_no_inline_script() {
    let policy = "/Resources/SecurityHeaders/Properties/ResponseHeadersPolicyConfig\
                  /SecurityHeadersConfig/ContentSecurityPolicy/ContentSecurityPolicy/Fn::Sub";
    let hosting = Template::hosting();
    let policy = hosting.at(policy).as_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
    for lax in ["unsafe", "*", "http:", "\n"] {
        assert!(!policy.contains(lax), "{lax} in {policy}");
    }
    assert!(policy.contains("frame-ancestors 'none'"));
}

#[test]
fn hard_case_4_only_an_administrator_gives_a_user_a_tenant() {
    let template = Template::user_pool();
    let client = template.at("/Resources/Client/Properties");
    assert_eq!(client["WriteAttributes"], json!(["email"]));
    let pool = template.at("/Resources/Pool/Properties");
    assert_eq!(
        pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"],
        true
    );
    let code = template.at("/Resources/AddTenantFunction/Properties/Code/ZipFile");
    let adds = format!("claimsToAddOrOverride: {{ {DEFAULT_TENANT_CLAIM} }}");
    assert!(code.as_str().unwrap().contains(&adds));
}

#[test]
fn the_user_pool_knows_the_api_s_scopes() {
    let template = Template::user_pool();
    let scopes = template.at("/Resources/Scopes/Properties");
    assert_eq!(scopes["Identifier"], "stepscope");
    let named = list(&scopes["Scopes"]).into_iter();
    let named: BTreeSet<_> = named
        .map(|scope| scope["ScopeName"].as_str().unwrap())
        .collect();
    assert_eq!(
        named,
        Scope::ALL.iter().map(|scope| scope.as_str()).collect()
    );
    let asked = template.at("/Resources/Client/Properties/AllowedOAuthScopes");
    for scope in texts(asked) {
        let ours = scope.strip_prefix("stepscope/");
        assert!(
            scope == "openid" || ours.is_some_and(|scope| named.contains(scope)),
            "{scope}"
        );
    }
}

#[test]
fn the_gateway_has_the_api_s_routes_and_checks_tokens_on_all_but_three() {
    let template = Template::main();
    let receiver = format!("POST {}", ingest_spans::ROUTE);
    let target = template.at("/Resources/IngestSpansRoute/Properties");
    assert_eq!(target["RouteKey"], receiver);
    assert_eq!(
        target["Target"]["Fn::Sub"],
        "integrations/${IngestSpansIntegration}"
    );
    let mut routes = BTreeSet::new();
    for (name, route) in template.of_type("AWS::ApiGatewayV2::Route") {
        let key = route["RouteKey"].as_str().unwrap();
        let open = ["GET /openapi.json", "$default", receiver.as_str()].contains(&key);
        let expected = if open {
            json!("NONE")
        } else {
            routes.insert(key.to_owned());
            json!({"Fn::If": ["UsesGatewayAuthorizer", "JWT", "NONE"]})
        };
        assert_eq!(route["AuthorizationType"], expected, "{name}");
    }
    let document = serde_json::to_value(trace_api::openapi()).unwrap();
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            documented.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    assert_eq!(routes, documented);
    let methods = "/Resources/HttpApi/Properties/CorsConfiguration/Fn::If/1/AllowMethods";
    let methods: BTreeSet<_> = texts(template.at(methods)).into_iter().collect();
    let used: BTreeSet<_> = routes
        .iter()
        .map(|route| route.split(' ').next().unwrap())
        .collect();
    assert_eq!(methods, used, "what a page may ask for");
}

/// Events wait in queues unmasked, so they hold nothing of the run's data.
#[test]
fn hard_case_25_status_events_carry_no_input_and_no_output() {
    let template = Template::main();
    let passed = ["executionArn", "status", "startDate", "stopDate"];
    let mut rules = 0;
    for (name, rule) in template.of_type("AWS::Events::Rule") {
        for target in list(&rule["Targets"]) {
            rules += 1;
            let transformer = &target["InputTransformer"];
            let paths = transformer["InputPathsMap"].as_object().unwrap();
            let mut rendered = transformer["InputTemplate"].as_str().unwrap().to_owned();
            for (variable, path) in paths {
                assert!(passed.contains(&variable.as_str()), "{name}: {variable}");
                assert_eq!(*path, format!("$.detail.{variable}"), "{name}");
                rendered = rendered.replace(&format!("<{variable}>"), "1");
            }
            let rendered: Value = serde_json::from_str(&rendered).unwrap();
            let members = rendered.as_object().unwrap().keys();
            assert!(members.eq(paths.keys()), "{name}: {rendered}");
        }
    }
    assert_eq!(rules, 2);
}
