//! A queue of SQS as ministack serves it.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lambda_process::LocalService;
use trace_store::QueuedSpans;

use crate::lambda::{Cloud, PATIENCE, REGION};

const MINISTACK: &str = "ministack-1.5.33";

pub(crate) struct Queue {
    process: Child,
    sqs: aws_sdk_sqs::Client,
    url: String,
}

impl Queue {
    /// Starts it, and tells the cloud's functions of it.
    pub(crate) async fn start(cloud: &mut Cloud) -> Self {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools");
        let program = tools.join(MINISTACK).join("bin/ministack");
        assert!(
            program.exists(),
            "there is no {}: run tests/bin/install-ministack, or make tools",
            program.display()
        );
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let endpoint = format!("http://127.0.0.1:{port}");
        let log = File::create(cloud.folder().join("ministack.log")).unwrap();
        let process = Command::new(program)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", cloud.folder())
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "localhost")
            .env("IOT_MTLS_ENABLED", "0")
            .env("AWS_ENDPOINT_URL", &endpoint)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut queue = Self {
            process,
            sqs: LocalService::at(&endpoint).sqs(REGION),
            url: String::new(),
        };
        let created = async {
            loop {
                let created = queue.sqs.create_queue().queue_name("spans").send().await;
                match created {
                    Ok(created) => return created.queue_url.unwrap(),
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        };
        let created = tokio::time::timeout(PATIENCE, created).await;
        queue.url = created.expect("ministack makes a queue");
        let settings = [
            ("AWS_ENDPOINT_URL_SQS", endpoint),
            ("STEPSCOPE_SPAN_QUEUE_URL", queue.url.clone()),
        ];
        cloud.settings.extend(settings);
        queue
    }

    /// Writes all that is queued to the store, as `restore-spans` does. Answers how many spans
    /// there were.
    pub(crate) async fn restore(&self, cloud: &Cloud) -> usize {
        let mut spans = 0;
        loop {
            let receive = self.sqs.receive_message().queue_url(&self.url);
            let received = receive.max_number_of_messages(10).send().await.unwrap();
            if received.messages().is_empty() {
                return spans;
            }
            for message in received.messages() {
                let queued = QueuedSpans::parse(message.body().unwrap()).unwrap();
                spans += queued.spans.len();
                let written = cloud
                    .store()
                    .write_spans(&queued.tenant, queued.trace_id, queued.spans)
                    .await;
                written.unwrap();
            }
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
