use std::collections::HashSet;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use export_spans::{Exported, Exporter, Replay};
use lambda_process::Config;
use serde_json::json;
use trace_model::{ExecutionArn, ExecutionId, TenantId, TraceId};
use trace_store::{RunFilter, TraceStore};

use crate::arguments::ExportArguments;
use crate::deployment::OpenDeployment;
use crate::export::{Order, Position, PositionFile, settings};
use crate::moment::Moment;
use crate::terminal::{say, warn};
use crate::view::{duration, safe};

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(5);

const RUNS_A_PAGE: usize = 100;

/// The exit status is 1 when a span was given up, too.
pub(crate) async fn export(arguments: Box<ExportArguments>) -> anyhow::Result<ExitCode> {
    let settings = settings(
        arguments.to.as_ref(),
        &arguments.header,
        arguments.content.as_deref(),
    );
    let deployment = OpenDeployment::open(&arguments.deployment, settings).await?;
    let done = replay(&deployment, &arguments).await;
    deployment.close().await?;
    let done = done?;
    say(&summary(&done, &arguments));
    if done.position.dropped > 0 {
        warn(
            "spans were given up: the collector says that it will never take them, and the lines \
             above say why",
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

struct Done {
    to: String,
    position: Position,
    took: Duration,
}

async fn replay(deployment: &OpenDeployment, arguments: &ExportArguments) -> anyhow::Result<Done> {
    let begun = Instant::now();
    let OpenDeployment {
        config,
        store,
        clock,
        ..
    } = deployment;
    let otlp = config.otlp.clone().context(
        "no collector is named: say where with --to URL, or with OTEL_EXPORTER_OTLP_ENDPOINT",
    )?;
    let to = otlp.traces_url.to_string();
    let exporter = Exporter::new(otlp, config.export_content, clock.clone())?;
    let replay = Replay::new(store.clone(), exporter, arguments.rate);
    let now = clock.now();
    let position = match (&arguments.execution, &arguments.since) {
        (Some(execution), _) => {
            let mut position = Position::new(now, now);
            let sent = one(replay, config, &arguments.tenant, execution).await?;
            position.pass(now, &sent);
            position
        }
        (None, Some(since)) => {
            let moment = |text: &str| text.parse::<Moment>().map(|moment| moment.at(now));
            let order = Order {
                tenant: arguments.tenant.clone(),
                table: config.table()?.to_owned(),
                to: to.clone(),
                since: since.clone(),
                until: arguments.until.clone(),
            };
            let until = arguments.until.as_deref().map(moment).transpose()?;
            let fresh = Position::new(moment(since)?, until.unwrap_or(now));
            let file = arguments.resume.clone();
            let file = file.map(|path| PositionFile::new(path, order));
            Runs {
                store,
                tenant: &arguments.tenant,
                file,
                replay,
            }
            .all(fresh)
            .await?
        }
        (None, None) => bail!("say which runs: --since 24h, or --execution ID"),
    };
    Ok(Done {
        to,
        position,
        took: begun.elapsed(),
    })
}

async fn one(
    mut replay: Replay,
    config: &Config,
    tenant: &TenantId,
    execution: &str,
) -> anyhow::Result<Exported> {
    let trace_id = trace_id(config, execution)?;
    let exported = replay.trace(tenant, trace_id).await?;
    if exported == Exported::default() {
        bail!(
            "the tenant {tenant} has no finished spans of {}: `stepscope executions --tenant \
             {tenant}` lists its runs, --tenant takes another's",
            safe(execution)
        );
    }
    Ok(exported)
}

fn trace_id(config: &Config, execution: &str) -> anyhow::Result<TraceId> {
    if let Ok(trace_id) = execution.parse() {
        return Ok(trace_id);
    }
    if let Ok(arn) = ExecutionArn::parse(execution) {
        return Ok(TraceId::of_execution(&arn));
    }
    let id = ExecutionId::parse(execution)?;
    let place = "an id alone does not say in which account: give the run's ARN or trace id";
    let region = config.region().context(place)?;
    let account = config.account_id().context(place)?;
    let arn = id.to_arn(region, account).context(place)?;
    Ok(TraceId::of_execution(&arn))
}

/// The runs of a time, newest first.
struct Runs<'a> {
    store: &'a TraceStore,
    tenant: &'a TenantId,
    file: Option<PositionFile>,
    replay: Replay,
}

impl Runs<'_> {
    async fn all(mut self, fresh: Position) -> anyhow::Result<Position> {
        let found = self.file.as_ref().map(PositionFile::read).transpose()?;
        let found = found.flatten();
        if let Some(found) = &found {
            warn(&format!(
                "going on before {}: {} runs are exported already",
                found.before, found.runs
            ));
        }
        let mut position = found.unwrap_or(fresh);
        if let Err(error) = self.walk(&mut position).await {
            let how = match &self.file {
                Some(_) => "the same command goes on from there".to_owned(),
                None => format!("go on from there with --until {}", position.before),
            };
            return Err(error.context(format!(
                "broke off after {} spans of {} runs, before {}: {how}",
                position.spans, position.runs, position.before
            )));
        }
        if let Some(file) = &self.file {
            file.remove()?;
        }
        Ok(position)
    }

    async fn walk(&mut self, position: &mut Position) -> anyhow::Result<()> {
        let filter = RunFilter {
            started_after: Some(position.since),
            started_before: Some(position.before),
            ..RunFilter::default()
        };
        let mut told = Instant::now();
        // Runs of one reused name share a trace, and it goes out once.
        let mut seen = HashSet::new();
        let mut cursor = None;
        loop {
            let page = self
                .store
                .list_runs(self.tenant, &filter, RUNS_A_PAGE, cursor.as_ref())
                .await?;
            for run in page.runs {
                if !seen.insert(run.trace_id) {
                    continue;
                }
                let exported = self.replay.trace(self.tenant, run.trace_id).await;
                let exported = exported.with_context(|| {
                    format!("cannot export {}", safe(run.execution_id.as_str()))
                })?;
                position.pass(run.started_at, &exported);
                if let Some(file) = &self.file {
                    file.write(*position)?;
                }
                if told.elapsed() >= PROGRESS {
                    told = Instant::now();
                    warn(&format!(
                        "{} spans of {} runs so far, back to {}",
                        position.spans, position.runs, run.started_at
                    ));
                }
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(()),
            }
        }
    }
}

fn summary(done: &Done, arguments: &ExportArguments) -> String {
    let Done { to, position, took } = done;
    if arguments.json {
        let summary = json!({
            "to": to,
            "runs": position.runs,
            "spans": position.spans,
            "dropped": position.dropped,
            "seconds": took.as_secs_f64(),
        });
        return summary.to_string();
    }
    let given_up = match position.dropped {
        0 => String::new(),
        dropped => format!(", {dropped} given up"),
    };
    format!(
        "exported {} spans of {} runs to {} in {}{given_up}",
        position.spans,
        position.runs,
        safe(to),
        duration(*took)
    )
}

/// What a collector takes beside its other work.
pub(crate) const SPANS_PER_SECOND: NonZeroU32 = NonZeroU32::new(500).expect("it is not 0");
