use lambda_process::{AwsClients, Config, ConfigError};
use trace_model::Clock;

use crate::item::SdkItem;
use crate::service::{failed, retrying};
use crate::tenants::RegisteredTenants;
use crate::{StoreConfig, StoreError};

/// The traces of all tenants. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TraceStore {
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) config: StoreConfig,
    pub(crate) clock: Clock,
    /// Signs links where their readers reach the bucket by another name than this process does.
    links: Option<aws_sdk_s3::Client>,
    pub(crate) registered: RegisteredTenants,
}

impl TraceStore {
    pub fn new(
        dynamodb: aws_sdk_dynamodb::Client,
        s3: aws_sdk_s3::Client,
        config: StoreConfig,
        clock: Clock,
    ) -> Self {
        Self {
            dynamodb,
            s3,
            config,
            clock,
            links: None,
            registered: RegisteredTenants::default(),
        }
    }

    #[must_use]
    pub fn with_links_by(mut self, s3: aws_sdk_s3::Client) -> Self {
        self.links = Some(s3);
        self
    }

    pub(crate) fn link_signer(&self) -> &aws_sdk_s3::Client {
        self.links.as_ref().unwrap_or(&self.s3)
    }

    pub const fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// The store of a process, as its settings say.
    pub fn of_process(
        config: &Config,
        clients: &AwsClients,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        Ok(Self::new(
            clients.dynamodb().clone(),
            clients.s3().clone(),
            StoreConfig::try_from(config)?,
            clock,
        ))
    }

    /// The item as it is now, not as it was a moment ago.
    pub(crate) async fn item(
        &self,
        key: &SdkItem,
        what: &'static str,
    ) -> Result<Option<SdkItem>, StoreError> {
        retrying(|| async {
            self.dynamodb
                .get_item()
                .table_name(&self.config.table)
                .set_key(Some(key.clone()))
                .consistent_read(true)
                .send()
                .await
                .map(|answer| answer.item)
                .map_err(failed("GetItem", what))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use trace_model::{EndsFrom, Run, SpanId, TenantId, Timestamp, TraceId};

    use crate::{
        Artifact, ChunkKey, NewArtifact, Note, Payload, RunFilter, StoredSpan, Summary, TraceStore,
    };

    fn spawnable(_: impl Send) {}

    /// Never called: that it compiles is the test. Handlers are spawned, and axum's must be
    /// `Send`.
    #[expect(dead_code)]
    fn every_call_can_be_spawned(
        store: &TraceStore,
        tenant: &TenantId,
        trace_id: TraceId,
        span_id: SpanId,
        run: &Run,
        span: &StoredSpan,
        key: &ChunkKey,
    ) {
        spawnable(store.create_table_if_missing());
        spawnable(store.write_spans(tenant, trace_id, Vec::new()));
        spawnable(store.open_run(run));
        spawnable(store.close_run(run));
        spawnable(store.open_trace(tenant, trace_id));
        spawnable(store.write_summary(tenant, trace_id, &Summary::default()));
        spawnable(store.run(tenant, trace_id));
        spawnable(store.list_runs(tenant, &RunFilter::default(), 1, None));
        spawnable(store.read_structure(tenant, trace_id));
        spawnable(store.read_structure_page(tenant, trace_id, None, 1));
        spawnable(store.stream_structure(tenant, trace_id));
        spawnable(store.read_span(tenant, trace_id, span_id));
        spawnable(store.read_content(tenant, trace_id, span, "field"));
        spawnable(store.claim_look(tenant, trace_id, Duration::ZERO));
        spawnable(store.note_recorded(tenant, trace_id, 1));
        spawnable(store.read_chunk(key));
        spawnable(store.chunk_from_image(key, serde_dynamo::Item::default()));
    }

    /// Never called either.
    #[expect(dead_code)]
    fn every_call_for_a_workflow_s_own_data_can_be_spawned(
        store: &TraceStore,
        tenant: &TenantId,
        trace_id: TraceId,
        new_artifact: NewArtifact,
        artifact: &Artifact,
        payload: &Payload,
    ) {
        spawnable(store.write_artifact(tenant, trace_id, new_artifact));
        spawnable(store.list_artifacts(tenant, trace_id));
        spawnable(store.artifact(tenant, trace_id, "id"));
        spawnable(store.read_artifact(tenant, trace_id, artifact));
        spawnable(store.artifact_link(tenant, trace_id, artifact, Duration::ZERO));
        spawnable(store.write_payload(tenant, trace_id, "text/plain", Vec::new()));
        spawnable(store.read_payload(tenant, payload));
    }

    /// Nor this.
    #[expect(dead_code)]
    fn every_call_that_looks_after_the_store_can_be_spawned(
        store: &TraceStore,
        tenant: &TenantId,
        trace_id: TraceId,
        note: &Note,
    ) {
        spawnable(store.tenants());
        spawnable(store.notes("owner"));
        spawnable(store.write_note("owner", note, None));
        spawnable(store.delete_note("owner", "name"));
        spawnable(store.list_trace_objects(None));
        spawnable(store.delete_orphans(tenant, trace_id, &[]));
        spawnable(store.end_abandoned_spans(
            tenant,
            trace_id,
            Timestamp::default(),
            EndsFrom::History,
        ));
        spawnable(store.announce(tenant, trace_id));
    }
}
