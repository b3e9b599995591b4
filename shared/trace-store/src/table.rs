use crate::{StoreError, TraceStore};

/// What the table must look like, for local mode and the template alike. Billing is on demand;
/// all keys not named numbers are strings; every index projects all attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableDescription {
    pub partition_key: &'static str,
    pub sort_key: &'static str,
    /// Epoch seconds; every item has it.
    pub ttl_attribute: &'static str,
    pub indexes: &'static [IndexDescription],
}

/// Sparse: only run items carry the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexDescription {
    pub name: &'static str,
    pub partition_key: &'static str,
    /// A number: nanoseconds since the Unix epoch.
    pub sort_key: &'static str,
}

pub const TABLE: TableDescription = TableDescription {
    partition_key: "pk",
    sort_key: "sk",
    ttl_attribute: "expires_at",
    indexes: &[
        IndexDescription {
            name: "runs-by-start",
            partition_key: "tenant",
            sort_key: "started_at",
        },
        IndexDescription {
            name: "runs-by-workflow",
            partition_key: "tenant_workflow",
            sort_key: "started_at",
        },
    ],
};

impl TraceStore {
    /// Creates the table with its time to live, and the bucket, where they are missing. For
    /// local mode and tests: on AWS the template does it.
    pub async fn create_table_if_missing(&self) -> Result<(), StoreError> {
        todo!()
    }
}
