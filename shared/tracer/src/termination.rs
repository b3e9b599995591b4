//! The end of a process that is told to end.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use crate::node::WorkflowTracer;
use crate::writer::Limits;

/// Lambda kills much sooner; elsewhere a busy store gets this long.
const TIME_LEFT: Duration = Duration::from_secs(2);

/// What a shell reports of a process that SIGTERM ended.
const EXIT_CODE: i32 = 128 + 15;

/// On SIGTERM writes what there is, to the store or the fallback, counts what neither takes,
/// and ends the process. Nothing is registered with Lambda for it, which therefore tells only
/// functions that have an extension; the others have written all before they are frozen.
pub(crate) fn end_when_told(tracer: WorkflowTracer) -> std::io::Result<()> {
    let told = signal(SignalKind::terminate())?;
    tokio::spawn(end(tracer, told));
    Ok(())
}

async fn end(tracer: WorkflowTracer, mut told: Signal) {
    if told.recv().await.is_none() {
        return;
    }
    let began = Instant::now();
    let until = began + TIME_LEFT;
    let flushed = tracer.flush_within(Limits::terminating(until), until).await;
    tracer.give_up_waiting(flushed);
    tracer.report(flushed, began.elapsed());
    std::process::exit(EXIT_CODE);
}
