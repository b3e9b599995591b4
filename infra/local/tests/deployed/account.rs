//! Requests to the emulator as an AWS account takes them: signed, in each service's protocol.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::Value;
use tokio::runtime::Runtime;
use trace_model::Clock;

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ACCOUNT: &str = "000000000000";

/// One caller of an account's services.
pub(crate) struct Account {
    runtime: Runtime,
    client: reqwest::Client,
    url: String,
    credentials: Credentials,
}

/// An answer, whatever it says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

pub(crate) struct Page {
    pub(crate) answer: Answer,
    /// Where it sends to.
    pub(crate) location: Option<String>,
}

impl Account {
    /// Its owner, whom no policy binds.
    pub(crate) fn root(url: &str) -> Self {
        Self::with(url, Credentials::new("test", "test", None, None, "tests"))
    }

    pub(crate) fn with(url: &str, credentials: Credentials) -> Self {
        Self {
            runtime: Runtime::new().unwrap(),
            client: lambda_process::http_client().unwrap(),
            url: url.to_owned(),
            credentials,
        }
    }

    /// A service that speaks JSON; `target` is its prefix and the operation.
    pub(crate) fn json(&self, service: &str, target: &str, request: &Value) -> Value {
        let answer = self.try_json(service, target, request);
        assert_eq!(answer.status, 200, "{target} {request}: {}", answer.text);
        match answer.text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap(),
        }
    }

    pub(crate) fn try_json(&self, service: &str, target: &str, request: &Value) -> Answer {
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", target),
        ];
        self.send(service, "POST", "/", &headers, request.to_string())
    }

    /// A service that takes a form and answers in XML.
    pub(crate) fn query(&self, service: &str, parameters: &[(&str, &str)]) -> String {
        let answer = self.try_query(service, parameters);
        assert_eq!(answer.status, 200, "{parameters:?}: {}", answer.text);
        answer.text
    }

    pub(crate) fn try_query(&self, service: &str, parameters: &[(&str, &str)]) -> Answer {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(parameters);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(service, "POST", "/", &headers, form.finish())
    }

    /// A page's form, which nobody signs.
    pub(crate) fn form(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = self.client.post(format!("{}{path}", self.url)).form(fields);
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let location = response.headers().get("location");
            let location = location.map(|location| location.to_str().unwrap().to_owned());
            Page {
                location,
                answer: Answer {
                    status: response.status().as_u16(),
                    text: response.text().await.unwrap(),
                },
            }
        })
    }

    pub(crate) fn send(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let url = format!("{}{path}", self.url);
        let now = Clock::system().now().as_unix_nanos();
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name(service)
            .time(SystemTime::UNIX_EPOCH + Duration::from_nanos(now))
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let signable = SignableRequest::new(
            method,
            &url,
            headers.iter().copied(),
            SignableBody::Bytes(body.as_bytes()),
        );
        let (signature, _) = sign(signable.unwrap(), &parameters).unwrap().into_parts();
        let mut request = self.client.request(method.parse().unwrap(), &url);
        for (name, value) in headers.iter().copied().chain(signature.headers()) {
            request = request.header(name, value);
        }
        self.runtime.block_on(async {
            let response = request.body(body).send().await.unwrap();
            Answer {
                status: response.status().as_u16(),
                text: response.text().await.unwrap(),
            }
        })
    }
}
