//! A secret in an input, a prompt, a response, a header or an error is in no file that holds
//! traces, no log or metric, no answer and no exported span: tried on the real binary, down to the bytes.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![allow(
    clippy::too_many_lines,
    reason = "one place a secret is planted in after the other: a list"
)]

#[path = "secrets/evidence.rs"]
mod evidence;
#[path = "secrets/planted.rs"]
mod planted;
#[path = "secrets/servers.rs"]
mod servers;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use axum::http::StatusCode;
use evidence::Evidence;
use lambda_process::LocalService;
use planted::Planted;
use serde_json::{Map, Value, json};
use servers::{Answers, ModelAnswer, Seen};
use support::{Dev, Folder, eventually};
use tokio::runtime::Runtime;

#[test]
fn a_planted_secret_is_kept_nowhere_and_told_to_nobody() {
    let mut planted = Planted::default();
    let runtime = Runtime::new().unwrap();
    let (address, seen) = servers::serve(&runtime, answers(&mut planted));
    let folder = Folder::new();
    let environment = [
        ("STEPSCOPE_LOG", "debug".to_owned()),
        ("STEPSCOPE_METRICS", "emf".to_owned()),
        ("STEPSCOPE_HTTP_ALLOW", address.clone()),
        (
            "STEPSCOPE_MODEL_BASE_URL",
            format!("http://{address}/model/v1/"),
        ),
        ("OPENAI_API_KEY", planted.secret("environment", "model key")),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            format!(
                "x-collector-key={}",
                planted.secret("environment", "api key")
            ),
        ),
    ];
    let environment: Vec<_> = environment.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let dev = folder.dev_with(&[], &environment);
    seen.answer_tasks_at(&dev.aws_endpoint_url);
    let approval = planted.json("approval's answer").to_string();
    let approved = runtime.spawn(approve(dev.aws_endpoint_url.clone(), approval));

    let mut evidence = Evidence::default();
    let api = Api::new(&runtime, &folder, &dev);
    let runs = [
        run_the_leaky_workflow(&folder, &mut planted, &address),
        run_by_the_api(&folder, &api, &mut planted),
    ];
    probe(&api, &dev, &mut planted);
    let approval = runtime.block_on(approved).unwrap();
    for token in seen.task_tokens().into_iter().chain([approval]) {
        // What cannot be guessed is at the end.
        let core = token[token.len() - 40..].to_owned();
        planted.known("an awaited task", "the engine's task token", core);
    }
    assert!(
        !seen.task_tokens().is_empty(),
        "the awaited task was reached"
    );

    let mut spans = 0;
    for run in &runs {
        let trace = settled(&api, run);
        spans += trace["spans"].as_array().unwrap().len();
        arrives_at_the_collector(&trace, &seen);
        evidence.add("API, trace", trace.to_string().as_bytes());
        let path = format!("executions/{run}");
        evidence.add("API, execution", api.get(&path).as_bytes());
        for span in trace["spans"].as_array().unwrap() {
            let id = span["span_id"].as_str().unwrap();
            let span = api.get(&format!("executions/{run}/trace/spans/{id}"));
            evidence.add("API, span", span.as_bytes());
        }
        let tree = folder.succeeds(&["trace", run, "--tenant", "acme"]);
        evidence.add("command, trace", tree.as_bytes());
    }
    evidence.add("API, executions", api.get("executions").as_bytes());
    let list = folder.succeeds(&["executions", "--tenant", "acme"]);
    evidence.add("command, executions", list.as_bytes());
    runtime.block_on(evidence.add_tables(&dev.aws_endpoint_url));
    let objects = runtime.block_on(evidence.add_objects(&dev.aws_endpoint_url));
    evidence.add_files("while it runs", &folder.data());
    let log = folder.path().join("dev.log");
    assert!(dev.interrupt().success());
    evidence.add_files("after the end", &folder.data());
    let log = std::fs::read(log).unwrap();
    let is_metric = |line: &str| line.starts_with("{\"_aws\":");
    let metrics = str::from_utf8(&log).unwrap().lines();
    assert!(metrics.filter(|line| is_metric(line)).count() > 3);
    evidence.add("log", &log);
    for request in seen.exported() {
        evidence.add("export", &request);
    }

    assert!(spans > 30 && evidence.unfolded > 10 && objects > 0);
    // The workflow's own data is there, unmasked, and nowhere else.
    assert_eq!(
        evidence.own_data.len(),
        3,
        "two artifacts and a large value"
    );
    let search = planted.search();
    let mut leaks = String::new();
    for (sink, bytes) in &evidence.found {
        for origin in search.secrets(bytes) {
            let _ = writeln!(leaks, "{sink}: {} of {}", origin.kind, origin.place);
        }
    }
    assert!(leaks.is_empty(), "what leaked, and whence:\n{leaks}");

    // The control: the servers did get the secrets, and the search sees into what is stored.
    assert!(!search.secrets(&seen.requests()).is_empty());
    let seen_in = |sink: &str| -> BTreeSet<String> {
        let matching = evidence
            .found
            .iter()
            .filter(|(name, _)| name.starts_with(sink));
        matching
            .flat_map(|(_, bytes)| search.canaries(bytes))
            .collect()
    };
    let mut stored = seen_in("table");
    stored.extend(seen_in("bucket"));
    let missing: Vec<_> = planted.places().difference(&stored).cloned().collect();
    assert!(
        missing.is_empty(),
        "the store holds no canary of {missing:#?}"
    );
    for sink in ["API, span", "export"] {
        assert!(seen_in(sink).len() > 10, "{sink}: {:#?}", seen_in(sink));
    }
    // The files hold what was unfolded above in compressed form: here they need only be read.
    let is_table = |name: &str| name.starts_with("file dynamodb.db");
    let tables = evidence.found.iter().filter(|(name, _)| is_table(name));
    assert!(tables.map(|(_, bytes)| bytes.len()).sum::<usize>() > 100_000);
    // No payload at all, not even at debug.
    assert_eq!(seen_in("log"), BTreeSet::new());
}

/// Each form that the search looks for is found, and what was not planted is not.
#[test]
fn the_search_sees_through_encodings() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let mut planted = Planted::default();
    let secret = planted.secret("here", "aws secret key");
    let search = planted.search();
    let half = &secret[9..31];
    let every = |form: fn(u8) -> String| half.bytes().map(form).collect::<String>().into_bytes();
    for bytes in [
        secret.clone().into_bytes(),
        secret[28..].to_owned().into_bytes(),
        STANDARD.encode(format!("x{half}")).into_bytes(),
        STANDARD.encode(format!("xy{half}")).into_bytes(),
        STANDARD.encode(format!("xyz{half}, and more")).into_bytes(),
        half.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        half.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        every(|byte| format!("%{byte:02X}")),
        every(|byte| format!("\\u{byte:04x}")),
    ] {
        let origins = search.secrets(&bytes);
        let origin = origins
            .first()
            .unwrap_or_else(|| panic!("{bytes:?} is not seen"));
        assert_eq!(
            (origin.place.as_str(), origin.kind),
            ("here", "aws secret key")
        );
    }
    let other = planted.secret("there", "aws secret key");
    assert!(search.secrets(other.as_bytes()).is_empty());
}

/// Text that ends `before` characters short of `end` with a secret of that kind after it.
fn cut_at(
    planted: &mut Planted,
    place: &str,
    kind: &'static str,
    end: usize,
    before: usize,
) -> String {
    let mut text = format!("The {} of", planted.canary(place));
    while text.len() + 6 < end - before {
        text.push_str(" many");
    }
    while text.len() + 1 < end - before {
        text.push('.');
    }
    format!("{text} {} and no more", planted.secret(place, kind))
}

fn answers(planted: &mut Planted) -> Answers {
    const TEXT: &str = "text/plain; charset=utf-8";
    const JSON: &str = "application/json";
    let mut large = planted.json("large response body");
    // Words that do not compress into an item.
    let words = (0..40_000_u32).map(|word| format!("w{:x}", word.wrapping_mul(2_654_435_761)));
    large["words"] = json!(words.collect::<Vec<_>>()[..16_000].join(" "));
    let error = StatusCode::INTERNAL_SERVER_ERROR;
    let nested = json!({
        "message": format!("The {}", planted.canary("cut JSON error")),
        "credentials": {"user": "ann", "code": planted.secret("cut JSON error", "value under credentials")},
        "filler": "word ".repeat(150),
    });
    let redirect = format!(
        "https://example.com/back?access_token={}",
        planted.secret("redirect", "access token")
    );
    Answers {
        bodies: BTreeMap::from([
            (
                "answer",
                (
                    StatusCode::OK,
                    JSON,
                    planted.json("response body").to_string(),
                ),
            ),
            (
                "text",
                (StatusCode::OK, TEXT, planted.text("text response")),
            ),
            ("large", (StatusCode::OK, JSON, large.to_string())),
            ("failed", (error, TEXT, planted.text("error body"))),
            (
                "failed-json",
                (error, JSON, planted.json("JSON error body").to_string()),
            ),
            ("failed-cut", (error, JSON, nested.to_string())),
            (
                "failed-cut-token",
                (
                    error,
                    TEXT,
                    cut_at(planted, "cut error", "json web token", 500, 75),
                ),
            ),
            (
                "failed-cut-key",
                (
                    error,
                    TEXT,
                    cut_at(planted, "cut error with a key", "google key", 500, 32),
                ),
            ),
            (
                "redirect",
                (
                    StatusCode::FOUND,
                    TEXT,
                    format!("The {}", planted.canary("redirect")),
                ),
            ),
        ]),
        headers: vec![
            (
                "set-cookie",
                format!(
                    "session={}; Path=/",
                    planted.secret("response header", "cookie")
                ),
            ),
            (
                "set-cookie",
                format!(
                    "other={}; Path=/",
                    planted.secret("response header", "second cookie")
                ),
            ),
            ("x-api-key", planted.secret("response header", "api key")),
            (
                "x-note",
                format!("The {}", planted.canary("response header")),
            ),
            (
                "x-debug",
                format!("used {}", planted.secret("response header", "git token")),
            ),
            ("location", redirect),
        ],
        models: BTreeMap::from([
            (
                "scripted-answer",
                ModelAnswer::Text(planted.text("model's answer")),
            ),
            (
                "scripted-json",
                ModelAnswer::Text(
                    json!({"kind": planted.text("answer outside the schema")}).to_string(),
                ),
            ),
            (
                "scripted-call",
                ModelAnswer::ToolCall(planted.json("tool call")),
            ),
            (
                "scripted-refusal",
                ModelAnswer::Refusal(
                    StatusCode::BAD_REQUEST,
                    json!({"error": {"message": planted.text("model's error")}}).to_string(),
                ),
            ),
            (
                "scripted-limit",
                ModelAnswer::Refusal(
                    StatusCode::TOO_MANY_REQUESTS,
                    json!({"reason": planted.text("model's other error")}).to_string(),
                ),
            ),
            (
                "scripted-break",
                ModelAnswer::Interrupted(
                    planted.text("answer that breaks off"),
                    planted.text("error in the stream"),
                ),
            ),
        ]),
        task_output: planted.json("output of an awaited task"),
    }
}

/// A workflow whose every part is told secrets, none of which its author wrote.
fn run_the_leaky_workflow(folder: &Folder, planted: &mut Planted, address: &str) -> String {
    let service = format!("http://{address}/service");
    let mut tasks = Tasks::default();
    let answered_by = |model: &str| json!({"model": model, "user": "Go on."});
    tasks.node(
        "Prompt",
        "llm",
        &json!({
            "model": "demo-model", "system": "{{ input.system }}", "user": "{{ input.user }}",
        }),
    );
    for model in ["answer", "call", "refusal", "limit", "break"] {
        tasks.node(
            &format!("Model {model}"),
            "llm",
            &answered_by(&format!("scripted-{model}")),
        );
    }
    let mut outside = answered_by("scripted-json");
    outside["schema"] = json!({"type": "object", "properties": {"kind": {"enum": ["bug"]}}});
    tasks.node("Model json", "llm", &outside);
    tasks.node(
        "Request",
        "http",
        &json!({
            "method": "POST", "url": format!("{service}/answer"),
            "headers": "{% $planted.headers %}", "query": "{% $planted.query %}",
            "body": "{% $planted.body %}",
        }),
    );
    for name in [
        "text",
        "large",
        "failed",
        "failed-json",
        "failed-cut",
        "failed-cut-token",
        "failed-cut-key",
        "redirect",
    ] {
        tasks.node(
            &format!("Request {name}"),
            "http",
            &json!({"url": format!("{service}/{name}")}),
        );
    }
    tasks.task(
        "Request by reference",
        "lambda:invoke",
        &json!({
            "node": "http", "parameters": {"url": format!("{service}/large")},
            "max_output_bytes": 8192,
        }),
    );
    tasks.node(
        "Artifact by reference",
        "artifact",
        &json!({"name": "seen.json", "json": "{% $states.input.Payload.body %}"}),
    );
    tasks.node(
        "Artifact",
        "artifact",
        &json!({"name": "{{ input.file }}", "template": "<p>{{ input.artifact }}</p>"}),
    );
    tasks.node(
        "Refused artifact",
        "artifact",
        &json!({"name": "{{ input.refused_file }}", "text": "x"}),
    );
    tasks.node(
        "Forged reference",
        "artifact",
        &json!({"name": "a", "json": {"stepscope_reference": "{% $planted.reference %}"}}),
    );
    tasks.task(
        "Approve",
        "lambda:invoke.waitForTaskToken",
        &json!({
            "node": "approval", "task_token": "{% $states.context.Task.Token %}",
            "parameters": {"question": "{{ input.question }}", "details": "{% $planted.details %}"},
        }),
    );
    tasks.node(
        "Credentials in a URL",
        "http",
        &json!({"url": "{% $planted.url %}"}),
    );
    tasks.node(
        "Refused address",
        "http",
        &json!({"url": "{% $planted.refused %}"}),
    );
    tasks.node(
        "Wrong parameter",
        "http",
        &json!({
            "url": service, "timeout_seconds": "{% $planted.parameter %}",
        }),
    );
    tasks.awaited("Await", &format!("http://{address}/await"));
    let each = json!({"Type": "Map", "Items": "{% $planted.items %}", "ItemProcessor": {
        "StartAt": "Item", "States": {"Item": {"Type": "Pass", "End": true}},
    }});
    tasks.state("Each", each);
    let evaluated = json!({"Type": "Parallel", "Branches": [{
        "StartAt": "Cast", "States": {"Cast": {
            "Type": "Pass", "Output": "{% $number($planted.number) %}", "End": true,
        }},
    }]});
    tasks.state("Evaluate", evaluated);
    let failing = json!({"Type": "Parallel", "Branches": [{
        "StartAt": "Stop", "States": {"Stop": {
            "Type": "Fail", "Error": "{% $planted.error %}", "Cause": "{% $planted.cause %}",
        }},
    }]});
    tasks.state("Fail inside", failing);
    let last = json!({"Type": "Fail", "Error": "{% $planted.last_error %}", "Cause": "{% $planted.last_cause %}"});
    let definition = tasks.definition(last);
    let file = folder.write("leaky.asl.json", &definition.to_string());

    let input = json!({
        "system": planted.text("system prompt"),
        "user": planted.text("user prompt"),
        "headers": {
            "authorization": format!("Bearer {}", planted.secret("request header", "bearer")),
            "x-api-key": planted.secret("request header", "api key"),
            "cookie": format!("session={}", planted.secret("request header", "cookie")),
            "x-note": format!("The {}", planted.canary("request header")),
            "x-debug": format!("for {}", planted.secret("request header", "email")),
        },
        "query": {
            "q": planted.canary("query"),
            "api_key": planted.secret("query", "api key"),
            "to": planted.secret("query", "email"),
            "id": planted.secret("query", "card"),
            "by": planted.secret("query", "stripe key"),
        },
        "body": planted.json("request body"),
        "url": format!(
            "https://ann:{}@example.com/?note={}",
            planted.secret("URL", "url password"), planted.canary("URL"),
        ),
        "refused": format!(
            "http://10.0.0.1/?client_secret={}&note={}",
            planted.secret("refused URL", "client secret"), planted.canary("refused URL"),
        ),
        "artifact": planted.text("artifact"),
        "file": format!(
            "The {} of {}.html", planted.canary("artifact's name"),
            planted.secret("artifact's name", "git token"),
        ),
        "refused_file": format!(
            "../{} of {}", planted.canary("refused name"),
            planted.secret("refused name", "model key"),
        ),
        "reference": {
            "bucket": "stepscope", "bytes": 1, "sha256": "0",
            "key": format!("payloads/{}", planted.secret("forged reference", "slack token")),
            "content_type": planted.canary("forged reference"),
        },
        "question": format!(
            "Is {} of {} right, for {}?", planted.canary("question"),
            planted.secret("question", "git token"), planted.secret("question", "email"),
        ),
        "details": planted.json("details"),
        "parameter": planted.text("parameter"),
        "number": planted.text("JSONata error"),
        "items": [planted.json("item"), planted.json("other item")],
        "error": format!("Leaky.{}", planted.secret("error name", "model key")),
        "cause": planted.text("cause"),
        "last_error": format!("Leaky.{}", planted.secret("last error name", "git token")),
        "last_cause": cut_at(planted, "last cause", "json web token", 200, 75),
        "input": planted.json("input"),
    });
    let input = folder.write("input.json", &input.to_string());
    let output = folder.stepscope(&[
        "run",
        file.to_str().unwrap(),
        "--tenant",
        "acme",
        "--json",
        "--input",
        &format!("@{}", input.display()),
    ]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let run: Value = serde_json::from_str(&stdout)
        .unwrap_or_else(|_| panic!("{stdout}\n{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(run["status"], "FAILED", "{run:#}");
    assert!(
        run["error"].as_str().unwrap().starts_with("Leaky.ghp_"),
        "{run:#}"
    );
    run["execution"].as_str().unwrap().to_owned()
}

/// Answers the task that waits for an approval, and gives its token: from the execution's
/// history, the only place that has it.
async fn approve(aws_endpoint_url: String, answer: String) -> String {
    let client = LocalService::at(&aws_endpoint_url).sfn("us-east-1");
    let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:leaky";
    for _ in 0..6_000 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        let executions = client.list_executions().state_machine_arn(machine);
        // Before the machine is there, listing its executions is an error.
        let Ok(executions) = executions.send().await else {
            continue;
        };
        let Some(execution) = executions.executions().first() else {
            continue;
        };
        let history = client.get_execution_history().max_results(1000);
        let history = history.execution_arn(execution.execution_arn());
        let history = history.send().await.unwrap();
        let token = history.events().iter().find_map(|event| {
            let parameters = event.task_scheduled_event_details()?.parameters();
            let parameters: Value = serde_json::from_str(parameters).unwrap();
            Some(parameters["Payload"]["task_token"].as_str()?.to_owned())
        });
        if let Some(token) = token {
            let sent = client.send_task_success().task_token(&token);
            sent.output(answer).send().await.unwrap();
            return token;
        }
    }
    panic!("no task asked for an approval");
}

/// States one after the other, whatever becomes of each.
#[derive(Default)]
struct Tasks(Vec<(String, Value)>);

impl Tasks {
    fn state(&mut self, name: &str, state: Value) {
        self.0.push((name.to_owned(), state));
    }

    fn node(&mut self, name: &str, node: &str, parameters: &Value) {
        self.task(
            name,
            "lambda:invoke",
            &json!({"node": node, "parameters": parameters}),
        );
    }

    fn awaited(&mut self, name: &str, url: &str) {
        let body =
            json!({"note": "{% 'call back with ' & $states.context.Task.Token & ' soon' %}"});
        let parameters = json!({"method": "POST", "url": url, "body": body});
        let payload = json!({"node": "http", "parameters": parameters});
        self.task(name, "lambda:invoke.waitForTaskToken", &payload);
    }

    fn task(&mut self, name: &str, resource: &str, payload: &Value) {
        let mut payload = payload.clone();
        payload["input"] = json!("{% $planted %}");
        payload["headers"] = json!({"traceparent": "{% '00-' & $hash($states.context.Execution.Id, 'MD5') & '-' & $substring($replace($uuid(), '-', ''), 0, 16) & '-01' %}"});
        payload["stepscope"] = json!({
            "execution": "{% $states.context.Execution.Id %}",
            "tenant": "{% $states.context.Execution.Input.stepscope.tenant %}",
            "state": "{% $states.context.State.Name %}",
            "attempt": "{% $states.context.State.RetryCount %}",
            "entered": "{% $states.context.State.EnteredTime %}",
        });
        self.state(
            name,
            json!({
                "Type": "Task",
                "Resource": format!("arn:aws:states:::{resource}"),
                "Arguments": {"FunctionName": "${RunNodeFunctionArn}", "Payload": payload},
            }),
        );
    }

    fn definition(self, last: Value) -> Value {
        let names: Vec<String> = self.0.iter().map(|(name, _)| name.clone()).collect();
        let mut states = Map::new();
        let keep =
            json!({"Type": "Pass", "Assign": {"planted": "{% $states.input %}"}, "Next": names[0]});
        states.insert("Keep".to_owned(), keep);
        for (index, (name, mut state)) in self.0.into_iter().enumerate() {
            let next = names.get(index + 1).map_or("Last", String::as_str);
            state["Next"] = json!(next);
            state["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "Next": next}]);
            states.insert(name, state);
        }
        states.insert("Last".to_owned(), last);
        json!({"QueryLanguage": "JSONata", "StartAt": "Keep", "States": states})
    }
}

/// A run that somebody starts with a token, and that succeeds with what it was given.
fn run_by_the_api(folder: &Folder, api: &Api<'_>, planted: &mut Planted) -> String {
    let definition = json!({"QueryLanguage": "JSONata", "StartAt": "Echo",
        "States": {"Echo": {"Type": "Pass", "Next": "Done"}, "Done": {"Type": "Succeed"}}});
    let file = folder.write("echo.asl.json", &definition.to_string());
    folder.succeeds(&["run", file.to_str().unwrap(), "--json"]);
    let body = json!({"input": {
        "flat": planted.text("API input"), "nested": planted.json("nested API input"),
    }});
    let (status, started) = api.post("workflows/echo/executions", &body.to_string(), &[]);
    assert_eq!(status, StatusCode::CREATED, "{started}");
    let started: Value = serde_json::from_str(&started).unwrap();
    started["id"].as_str().unwrap().to_owned()
}

/// Requests that are refused. What they say is the caller's, and yet no log's.
fn probe(api: &Api<'_>, dev: &Dev, planted: &mut Planted) {
    let start = "workflows/echo/executions";
    let body = json!({"input": planted.secret("refused request's input", "model key")});
    let of = |planted: &mut Planted, kind| planted.secret("refused request", kind);
    let refused = [
        api.post(start, &body.to_string(), &[]),
        api.post(start, &format!("{{{}", of(planted, "git token")), &[]),
        api.post(
            start,
            &json!({"name": of(planted, "email")}).to_string(),
            &[],
        ),
        api.post(
            start,
            "{}",
            &[(
                "authorization",
                format!("Bearer {}", of(planted, "json web token")),
            )],
        ),
        api.send(
            api.http
                .get(api.url(&format!("executions?limit={}", of(planted, "slack token")))),
        ),
        api.send(
            api.http
                .get(api.url(&format!("executions?cursor={}", of(planted, "google key")))),
        ),
        api.send(
            api.http
                .get(api.url(&format!("executions/{}", of(planted, "stripe key")))),
        ),
        api.send(
            api.http
                .get(api.url("executions?limit=x"))
                .header("x-request-id", of(planted, "aws access key")),
        ),
    ];
    for (status, answer) in refused {
        assert!(status.is_client_error(), "{status} {answer}");
    }
    let client = LocalService::at(&dev.aws_endpoint_url).sfn("us-east-1");
    let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:echo";
    let no_json = planted.text("input that is no JSON");
    planted.is_not_stored("input that is no JSON");
    let started = client
        .start_execution()
        .state_machine_arn(machine)
        .input(no_json);
    assert!(api.runtime.block_on(started.send()).is_err());
}

/// The trace once all of it is written.
fn settled(api: &Api<'_>, run: &str) -> Value {
    eventually("the trace is whole", || {
        let (status, body) = api.send(
            api.http
                .get(api.url(&format!("executions/{run}/trace?view=full&limit=5000"))),
        );
        if !status.is_success() {
            return None;
        }
        let trace: Value = serde_json::from_str(&body).unwrap();
        let spans = trace["spans"].as_array().unwrap();
        let is_whole = !trace["execution"]["finished_at"].is_null()
            && spans.iter().all(|span| !span["duration_us"].is_null())
            && trace["execution"]["totals"]["spans"] == spans.len();
        is_whole.then_some(trace)
    })
}

fn arrives_at_the_collector(trace: &Value, seen: &Seen) {
    eventually("the collector has each span", || {
        let exported = seen.exported();
        let is_there = |span: &Value| {
            let id = span["span_id"].as_str().unwrap();
            let id = u64::from_str_radix(id, 16).unwrap().to_be_bytes();
            exported
                .iter()
                .any(|request| request.windows(8).any(|bytes| bytes == id))
        };
        trace["spans"]
            .as_array()
            .unwrap()
            .iter()
            .all(is_there)
            .then_some(())
    });
}

/// The trace API, called with a token that may read everything of its tenant.
struct Api<'a> {
    runtime: &'a Runtime,
    http: reqwest::Client,
    url: String,
    token: String,
}

impl<'a> Api<'a> {
    fn new(runtime: &'a Runtime, folder: &Folder, dev: &Dev) -> Self {
        Self {
            runtime,
            http: lambda_process::http_client().unwrap(),
            url: dev.url.clone(),
            token: folder
                .succeeds(&["token", "--tenant", "acme"])
                .trim()
                .to_owned(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn get(&self, path: &str) -> String {
        let (status, body) = self.send(self.http.get(self.url(path)));
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    fn post(&self, path: &str, body: &str, headers: &[(&str, String)]) -> (StatusCode, String) {
        let mut request = self.http.post(self.url(path)).body(body.to_owned());
        request = request.header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        self.send(request)
    }

    fn send(&self, request: reqwest::RequestBuilder) -> (StatusCode, String) {
        let mut request = request.build().unwrap();
        let bearer = format!("Bearer {}", self.token).parse().unwrap();
        request
            .headers_mut()
            .entry("authorization")
            .or_insert(bearer);
        self.runtime.block_on(async {
            let response = self.http.execute(request).await.unwrap();
            (response.status(), response.text().await.unwrap())
        })
    }
}
