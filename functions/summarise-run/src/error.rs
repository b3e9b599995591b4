use thiserror::Error;
use trace_store::StoreError;

#[derive(Debug, Error)]
pub enum SummariseError {
    #[error("the trace's structure cannot be read")]
    Read(#[source] StoreError),
    #[error("the run's summary cannot be written")]
    Write(#[source] StoreError),
}

impl SummariseError {
    /// Whether the same trace fails the same way next time.
    pub const fn is_lasting(&self) -> bool {
        match self {
            Self::Read(error) | Self::Write(error) => error.is_of_what_is_stored(),
        }
    }
}
