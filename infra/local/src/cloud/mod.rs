//! The local cloud: embedded engines, the handlers that run on Lambda, and three listeners.

mod engines;
pub(crate) mod examples;
mod folder;
mod functions;
mod host_guard;
mod issuer;
mod listener;
pub(crate) mod nodes;
mod recording;
mod stream;
pub(crate) mod watching;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use lambda_process::Config;
use local_step_functions::LocalStepFunctions;
use redaction::Policy;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use trace_model::Clock;
use trace_store::StoreConfig;
use tracer::WorkflowTracer;
use url::Url;

use crate::arguments::CloudArguments;
use crate::demo;
pub(crate) use folder::{Claim, Endpoints, FolderLock, claim, claim_alone};
use listener::Listeners;

pub(crate) const LOCAL_REGION: &str = "us-east-1";
pub(crate) const LOCAL_ACCOUNT: &str = "000000000000";
pub(crate) const TABLE: &str = "stepscope";
pub(crate) const BUCKET: &str = "stepscope";

/// How long a stop may take before it is forced.
const STOPPING: Duration = Duration::from_secs(15);

/// The state machine's ARN in the local cloud.
pub(crate) fn machine_arn(name: &str) -> String {
    format!("arn:aws:states:{LOCAL_REGION}:{LOCAL_ACCOUNT}:stateMachine:{name}")
}

/// Loopback ports; 0 takes any free one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub api: u16,
    pub aws: u16,
}

impl Ports {
    pub(crate) const ANY: Self = Self { api: 0, aws: 0 };
}

#[derive(Clone, Debug)]
pub(crate) struct CloudOptions {
    data: PathBuf,
    workflows: Option<PathBuf>,
    lambda_endpoint: Option<Url>,
    ports: Ports,
}

impl CloudOptions {
    pub(crate) fn new(arguments: &CloudArguments, ports: Ports) -> Self {
        Self {
            data: arguments.data.clone(),
            workflows: arguments.workflows.clone(),
            lambda_endpoint: arguments.lambda_endpoint.clone(),
            ports,
        }
    }
}

/// A running local cloud. Dropped without [`LocalCloud::shutdown`] it stops as a kill would
/// stop it, which loses nothing that was acknowledged.
pub(crate) struct LocalCloud {
    endpoints: Endpoints,
    step_functions: LocalStepFunctions,
    tracer: WorkflowTracer,
    stop: CancellationToken,
    /// The recorder stops after the engine, so that it sees the last events.
    stop_recording: CancellationToken,
    tasks: TaskTracker,
    recordings: TaskTracker,
    _lock: FolderLock,
}

impl LocalCloud {
    pub(crate) async fn start(options: CloudOptions, mut lock: FolderLock) -> anyhow::Result<Self> {
        let config = Config::from_env()?;
        let clock = Clock::system();
        let listeners = Listeners::bind(options.ports, &options.data).await?;
        let demo_url = listeners.demo.url.clone();

        let storage = engines::open_storage(options.data.clone()).await?;
        let stop = CancellationToken::new();
        let stop_recording = CancellationToken::new();
        let tasks = TaskTracker::new();
        let recordings = TaskTracker::new();
        let invocations = TaskTracker::new();
        let started = clock.now();

        // The store and what writes to it.
        let store_config = StoreConfig::new(TABLE, BUCKET).kept_for_days(config.retention_days);
        let store = engines::store(&storage, store_config, &clock);
        store.create_table_if_missing().await?;
        let policy = Policy::standard();
        let tracer = WorkflowTracer::new(
            store.clone(),
            policy.clone(),
            clock.clone(),
            nodes::resource(),
        )
        .with_default_tenant(config.tenant.clone());

        // The engine, which calls our nodes, and the recorder, which reads its histories.
        let environment = nodes::environment(&config, tracer.clone(), store.clone(), &demo_url)?;
        let step_functions = LocalStepFunctions::start(local_step_functions::Config {
            data: options.data.clone(),
            place: engines::place(),
            clock: clock.clone(),
            functions: nodes::functions(
                environment,
                options.lambda_endpoint.clone(),
                &tasks,
                &invocations,
            )?,
        })
        .await?;
        let sfn = engines::step_functions_client(&step_functions);
        let substitutions = nodes::substitutions(&demo_url);
        let mut example_inputs = BTreeMap::new();
        for workflow in examples::workflows(options.workflows.as_deref())? {
            let workflow = workflow.substituted(&substitutions)?;
            workflow.publish(&sfn, &machine_arn(&workflow.name)).await?;
            example_inputs.extend(workflow.example_input.map(|input| (workflow.name, input)));
        }
        let recorder = record_execution::Recorder::new(
            sfn.clone(),
            store.clone(),
            policy,
            config.tenant.clone(),
        );
        let watcher =
            watching::watcher(sfn.clone(), store.clone(), recorder.clone(), clock.clone());
        let recording = recording::Recordings::new(
            recorder,
            step_functions.clone(),
            sfn.clone(),
            clock.clone(),
            &options.data,
            started,
            invocations,
        );
        recordings.spawn(recording.run(stop_recording.clone()));

        functions::follow_table(&storage, &store, &config, &clock, &tasks, &stop).await?;
        functions::sweep(&storage, watcher, &clock, &tasks, &stop);

        let endpoints = Endpoints {
            url: listeners.api.url.clone(),
            aws_endpoint_url: listeners.aws.url.clone(),
            process: std::process::id(),
            substitutions,
            example_inputs,
        };
        let api = listener::api(&options.data, &endpoints, store, sfn, clock, &config)?;
        let aws = listener::aws(&storage, &step_functions);
        listeners.api.serve(api, &tasks, &stop);
        listeners.aws.serve(aws, &tasks, &stop);
        listeners.demo.serve(demo::router(), &tasks, &stop);
        lock.announce(&endpoints)?;
        Ok(Self {
            endpoints,
            step_functions,
            tracer,
            stop,
            stop_recording,
            tasks,
            recordings,
            _lock: lock,
        })
    }

    pub(crate) const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The engine first, then what follows it: spans, histories, totals.
    pub(crate) async fn shutdown(self) -> anyhow::Result<()> {
        let stopping = async {
            self.step_functions.shutdown().await;
            self.tracer.flush().await;
            self.stop_recording.cancel();
            self.recordings.close();
            self.recordings.wait().await;
            self.stop.cancel();
            self.tasks.close();
            self.tasks.wait().await;
        };
        tokio::time::timeout(STOPPING, stopping).await.context(
            "not everything stopped in time: what was acknowledged is on disk all the same",
        )
    }
}
