//! The trace API, as a user of it with a token: deployed or local, the same.

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::account::Answer;
use crate::support::eventually;

pub(crate) struct Api {
    runtime: Runtime,
    client: reqwest::Client,
    /// Ends with a slash.
    url: String,
    token: String,
}

impl Api {
    pub(crate) fn at(url: &str, token: &str) -> Self {
        Self {
            runtime: Runtime::new().unwrap(),
            client: lambda_process::http_client().unwrap(),
            url: url.to_owned(),
            token: token.to_owned(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.try_get(path);
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text);
        serde_json::from_str(&answer.text).unwrap()
    }

    pub(crate) fn try_get(&self, path: &str) -> Answer {
        self.send(self.client.get(format!("{}{path}", self.url)))
    }

    /// Starts a run and answers with its id.
    pub(crate) fn start(&self, workflow: &str, input: &Value) -> String {
        let url = format!("{}workflows/{workflow}/executions", self.url);
        let body = serde_json::json!({"input": input}).to_string();
        let request = self.client.post(url).body(body);
        let answer = self.send(request.header("content-type", "application/json"));
        assert!(
            (200..300).contains(&answer.status),
            "starting {workflow}: {} {}",
            answer.status,
            answer.text
        );
        let started: Value = serde_json::from_str(&answer.text).unwrap();
        started["id"].as_str().unwrap().to_owned()
    }

    /// Once the run has ended and its totals count every span of the trace.
    pub(crate) fn ended(&self, execution: &str) -> Value {
        let mut last = String::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually("the run has ended and is summed up", || {
                let answer = self.try_get(&format!("executions/{execution}"));
                last.clone_from(&answer.text);
                let run: Value = serde_json::from_str(&answer.text).ok()?;
                let ended = answer.status == 200 && run["status"] != "RUNNING";
                let trace = ended.then(|| self.trace(execution))?;
                let spans = trace["spans"].as_array()?;
                let whole = spans.iter().all(|span| !span["duration_us"].is_null())
                    && run["totals"]["spans"] == spans.len()
                    && trace["execution"]["totals"] == run["totals"];
                whole.then_some(trace)
            })
        }));
        found.unwrap_or_else(|_| panic!("{execution} never came to its end; last: {last}"))
    }

    /// The whole trace, its pages joined.
    pub(crate) fn trace(&self, execution: &str) -> Value {
        let path = format!("executions/{execution}/trace?view=full");
        let mut trace = self.get(&path);
        while let Some(cursor) = trace["page_info"]["cursor"].as_str() {
            let mut page = self.get(&format!("{path}&cursor={cursor}"));
            let spans = page["spans"].as_array_mut().unwrap();
            let spans = std::mem::take(spans);
            trace["spans"].as_array_mut().unwrap().extend(spans);
            trace["page_info"] = page["page_info"].take();
        }
        trace
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = match self.token.as_str() {
            "" => request,
            token => request.bearer_auth(token),
        };
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            Answer {
                status: response.status().as_u16(),
                text: response.text().await.unwrap(),
            }
        })
    }
}
