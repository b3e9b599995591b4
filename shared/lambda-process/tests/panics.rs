//! `init` for the whole process, in a test binary of its own.

use lambda_process::StartError;
use lambda_process::logging::{LogFormat, init};
use trace_model::Clock;

#[test]
fn logging_starts_once_and_survives_panics() {
    let error = init(LogFormat::Text, "a=loud", Clock::system()).unwrap_err();
    assert!(matches!(error, StartError::LogFilter { .. }), "{error}");
    init(LogFormat::Text, "info", Clock::system()).unwrap();
    let again = init(LogFormat::Json, "info", Clock::system()).unwrap_err();
    assert!(matches!(again, StartError::LoggingStarted(_)), "{again}");

    let panicked = std::thread::spawn(|| panic!("with a message")).join();
    assert!(panicked.is_err());

    let panicked = std::thread::spawn(|| {
        let span = tracing::info_span!("work", value = tracing::field::Empty);
        span.record("value", tracing::field::debug(Hostile));
    });
    assert!(panicked.join().is_err(), "no deadlock, and no abort");
}

/// Panics while it is being logged.
struct Hostile;

impl std::fmt::Debug for Hostile {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("not to be shown")
    }
}
