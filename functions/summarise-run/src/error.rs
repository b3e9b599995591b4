use thiserror::Error;
use trace_store::StoreError;

#[derive(Debug, Error)]
pub enum SummariseError {
    #[error("the trace's structure cannot be read")]
    Read(#[source] StoreError),
    #[error("the run's summary cannot be written")]
    Write(#[source] StoreError),
}
