use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use trace_model::Clock;

use super::Metrics;

/// Metrics that stay in memory, for a test of what a function tells.
#[derive(Clone, Debug, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Of a function `test` over the table `traces`.
    pub fn metrics(&self, clock: Clock) -> Metrics {
        Metrics::to_writer("test", "traces", clock, self.clone())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Each line that was written; one that is no JSON is null.
    pub fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_default())
            .collect()
    }

    /// All values of one metric, over all lines.
    pub fn values(&self, name: &str) -> Vec<f64> {
        let lines = self.lines();
        let values = lines.iter().flat_map(|line| match &line[name] {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        });
        values.filter_map(Value::as_f64).collect()
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
