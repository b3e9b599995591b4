//! The functions behind the table's stream, and what a schedule does on AWS.

use std::sync::Arc;
use std::time::Duration;

use export_spans::Exporter;
use lambda_process::Config;
use lambda_process::metrics::Metrics;
use local_storage::{LocalStorage, StartingPosition};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use trace_model::Clock;
use trace_store::TraceStore;
use watch_traces::Watcher;

use super::stream::{Mapping, drive};
use super::watching::RecordedAtOnce;

/// Between two looks for what has expired or was left behind.
const SWEEP: Duration = Duration::from_hours(1);

/// As long as on AWS.
const VISIT: Duration = Duration::from_secs(270);

/// Totals follow what is written after this long, and count once what came together.
const SUMMARY: Mapping = Mapping {
    window: Duration::from_millis(50),
    most_records: 1_000,
};

const EXPORT: Mapping = Mapping {
    window: Duration::from_millis(100),
    most_records: 500,
};

/// Keeps totals, and sends finished spans on where a collector is named.
pub(super) async fn follow_table(
    storage: &LocalStorage,
    store: &TraceStore,
    config: &Config,
    clock: &Clock,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let feed = storage.change_feed();
    let summaries = feed
        .consumer("summarise-run", StartingPosition::TrimHorizon)
        .await?;
    let to_summarise = store.clone();
    let summary_metrics = Metrics::of_process(config, "summarise-run", clock.clone());
    tasks.spawn(drive(summaries, SUMMARY, stop.clone(), move |event| {
        let (store, mut batch) = (to_summarise.clone(), summary_metrics.batch());
        async move { summarise_run::handle(&store, event, &mut batch).await }
    }));
    if let Some(otlp) = &config.otlp {
        let spans = feed
            .consumer("export-spans", StartingPosition::TrimHorizon)
            .await?;
        let exporter = Arc::new(Exporter::new(
            otlp.clone(),
            config.export_content,
            clock.clone(),
        )?);
        let to_export = store.clone();
        let export_metrics = Metrics::of_process(config, "export-spans", clock.clone());
        tasks.spawn(drive(spans, EXPORT, stop.clone(), move |event| {
            let (store, exporter) = (to_export.clone(), Arc::clone(&exporter));
            let mut batch = export_metrics.batch();
            async move {
                let handled = export_spans::handle(&store, &exporter, event, None, &mut batch);
                handled.await.0
            }
        }));
    }
    Ok(())
}

/// Looks for what has expired at the start and then every hour.
/// The watcher begins an hour later: what an earlier process left is the recorder's by then.
pub(super) fn sweep(
    storage: &LocalStorage,
    watcher: Watcher<RecordedAtOnce>,
    clock: &Clock,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let (storage, clock, stop) = (storage.clone(), clock.clone(), stop.clone());
    tasks.spawn(async move {
        let sweeping = async {
            loop {
                if let Err(error) = storage.sweep_expired(clock.now().to_utc()).await {
                    tracing::warn!(%error, "what has expired could not be deleted: it stays unseen");
                }
                tokio::time::sleep(SWEEP).await;
                let deadline = clock.now().plus(VISIT);
                if let Err(error) = Box::pin(watcher.visit(deadline)).await {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "the traces are looked after in an hour again");
                }
            }
        };
        stop.run_until_cancelled(sweeping).await;
    });
}
