use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lambda_process::metrics::{Detector, Metric, MetricBatch};
use redaction::RedactedSpan;
use trace_model::{AttributeValue, Cost, TenantId, TraceId, conventions};

use crate::body::Body;
use crate::chunk::{self, Built, Writing};
use crate::item::{self, SdkItem, number, primary_key, text};
use crate::keys::{FORMAT_VERSION, content_key};
use crate::service::{failed, retrying};
use crate::{StoreError, TABLE, TraceStore};

/// `BatchWriteItem` takes 25 items and 16 MB.
const ITEMS_A_BATCH: usize = 25;

/// Requests of one write that are under way at once.
const AT_ONCE: usize = 8;

pub(crate) const CONTENT_ITEM: &str = "content chunk";
pub(crate) const BODY: &str = "body";
pub(crate) const BODY_BYTES: &str = "bytes";
const MEDIA_TYPE: &str = "media_type";

/// What a write did. All of it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteReceipt {
    pub spans: usize,
    /// Structure chunks that are new.
    pub chunks: usize,
    /// Structure chunks that were there already: a retried write.
    pub chunks_already_stored: usize,
    /// Bodies in items of their own.
    pub content_items: usize,
    /// Bodies, or spans too large for an item, in the bucket.
    pub objects: usize,
    /// All of it, compressed.
    pub bytes: usize,
    /// Masked values of the spans that are finished, by detector.
    pub redactions: BTreeMap<String, u64>,
    /// Of the model calls that are finished.
    pub cost: Cost,
}

/// What became of an item that is written once.
pub(crate) enum ItemWrite {
    New,
    AlreadyStored,
}

impl WriteReceipt {
    /// Both writes together.
    pub fn add(&mut self, other: Self) {
        self.spans += other.spans;
        self.chunks += other.chunks;
        self.chunks_already_stored += other.chunks_already_stored;
        self.content_items += other.content_items;
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.cost = self.cost.checked_add(other.cost).unwrap_or(self.cost);
        for (detector, count) in other.redactions {
            *self.redactions.entry(detector).or_default() += count;
        }
    }

    /// A write that was only repeated adds nothing.
    pub fn report(&self, batch: &mut MetricBatch) {
        if self.chunks == 0 {
            return;
        }
        batch.add(Metric::SpansWritten, self.spans);
        batch.add(Metric::BytesWritten, self.bytes);
        batch.add(Metric::ModelCost, self.cost.to_usd_f64());
        for (detector, count) in &self.redactions {
            batch.add(Metric::Redactions(Detector(detector)), *count);
        }
    }
}

impl TraceStore {
    /// Stores spans of one trace. Safe to repeat: the same spans make the same items.
    ///
    /// Bodies are stored before the structure that points to them, so a write that breaks off
    /// leaves at most bodies that nothing points to, and those expire.
    pub async fn write_spans(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        spans: Vec<RedactedSpan>,
    ) -> Result<WriteReceipt, StoreError> {
        self.write_borrowed_spans(tenant, trace_id, &spans).await
    }

    /// [`write_spans`](Self::write_spans) for who keeps the spans until they are stored.
    pub async fn write_borrowed_spans(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        spans: &[RedactedSpan],
    ) -> Result<WriteReceipt, StoreError> {
        let now = self.clock.now();
        let span_count = spans.len();
        let built = chunk::build(
            spans,
            &Writing {
                tenant,
                trace_id,
                now,
                expires_at: now.plus(self.config.retention),
            },
        )?;
        let mut receipt = WriteReceipt {
            spans: span_count,
            bytes: built.bytes(),
            redactions: redactions(spans),
            cost: cost(spans),
            content_items: built.content_items.len(),
            objects: built.objects.len(),
            ..WriteReceipt::default()
        };
        let Built {
            objects,
            content_items,
            chunks,
        } = built;
        let put_objects = objects.iter().map(|(key, body)| self.put_object(key, body));
        let put_objects = side_by_side(put_objects.collect());
        let put_items = self.put_content_items(tenant, trace_id, &content_items);
        futures::try_join!(put_objects, put_items)?;

        let put_chunks = chunks.iter().map(|chunk| self.put_once(chunk, chunk::WHAT));
        for write in side_by_side(put_chunks.collect()).await? {
            match write {
                ItemWrite::New => receipt.chunks += 1,
                ItemWrite::AlreadyStored => receipt.chunks_already_stored += 1,
            }
        }
        Ok(receipt)
    }

    /// Leaves an item that is there untouched, so that a retried write is no change in the
    /// table's stream.
    pub(crate) async fn put_once(
        &self,
        item: &SdkItem,
        what: &'static str,
    ) -> Result<ItemWrite, StoreError> {
        retrying(|| async {
            let put = self
                .dynamodb
                .put_item()
                .table_name(&self.config.table)
                .set_item(Some(item.clone()))
                .condition_expression("attribute_not_exists(#pk) OR #expires_at <= :now")
                .expression_attribute_names("#pk", TABLE.partition_key)
                .expression_attribute_names("#expires_at", TABLE.ttl_attribute)
                .expression_attribute_values(":now", number(self.clock.now().as_unix_seconds()))
                .send()
                .await;
            match put {
                Ok(_) => Ok(ItemWrite::New),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(aws_sdk_dynamodb::operation::put_item::PutItemError::is_conditional_check_failed_exception) =>
                {
                    Ok(ItemWrite::AlreadyStored)
                }
                Err(error) => Err(failed("PutItem", what)(error)),
            }
        })
        .await
    }

    /// Overwrites equal bodies: that renews their expiry, so that a body never goes before a
    /// structure that points to it.
    async fn put_content_items(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        bodies: &[Body],
    ) -> Result<(), StoreError> {
        let batches = bodies.chunks(ITEMS_A_BATCH).map(|bodies| {
            let items = bodies.iter();
            let items = items.map(|body| self.content_item(tenant, trace_id, body));
            self.batch_write(items.collect())
        });
        side_by_side(batches.collect()).await.map(drop)
    }

    fn content_item(&self, tenant: &TenantId, trace_id: TraceId, body: &Body) -> WriteRequest {
        let (partition, sort_key) = content_key(tenant, trace_id, &body.id);
        let expires_at = self.clock.now().plus(self.config.retention);
        let mut item = primary_key(partition, sort_key);
        let attributes = [
            (item::VERSION, number(u64::from(FORMAT_VERSION))),
            (
                TABLE.ttl_attribute,
                number(expires_at.as_unix_seconds() + 1),
            ),
            (BODY, chunk::binary(body.compressed.clone())),
            (BODY_BYTES, number(body.bytes)),
            (MEDIA_TYPE, text(body.media_type.clone())),
        ];
        item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
        let put = PutRequest::builder().set_item(Some(item));
        let put = put.build().expect("the item is set");
        WriteRequest::builder().put_request(put).build()
    }

    async fn batch_write(&self, requests: Vec<WriteRequest>) -> Result<(), StoreError> {
        const OPERATION: &str = "BatchWriteItem";
        let left = tokio::sync::Mutex::new(requests);
        retrying(|| async {
            let mut left = left.lock().await;
            let batch = HashMap::from([(self.config.table.clone(), left.clone())]);
            let answer = self
                .dynamodb
                .batch_write_item()
                .set_request_items(Some(batch))
                .send()
                .await
                .map_err(failed(OPERATION, CONTENT_ITEM))?;
            let unprocessed = answer.unprocessed_items.unwrap_or_default();
            *left = unprocessed.into_values().flatten().collect();
            if left.is_empty() {
                Ok(())
            } else {
                Err(StoreError::Unprocessed {
                    operation: OPERATION,
                    what: CONTENT_ITEM,
                    count: left.len(),
                })
            }
        })
        .await
    }
}

/// Of the finished spans: an open one comes again with the same values.
fn redactions(spans: &[RedactedSpan]) -> BTreeMap<String, u64> {
    let mut redactions = BTreeMap::new();
    for span in spans.iter().filter(|span| span.span().end.is_some()) {
        for (detector, count) in span.redactions() {
            *redactions.entry(detector.clone()).or_default() += count;
        }
    }
    redactions
}

fn cost(spans: &[RedactedSpan]) -> Cost {
    let spans = spans.iter().map(RedactedSpan::span);
    let finished = spans.filter(|span| span.end.is_some());
    let costs = finished.filter_map(
        |span| match span.attributes.get(conventions::COST_PICO_USD) {
            Some(AttributeValue::Int(pico_usd)) => Some(Cost::from_pico_usd(*pico_usd)),
            _ => None,
        },
    );
    Cost::checked_sum(costs).unwrap_or_default()
}

async fn side_by_side<T>(
    requests: Vec<impl Future<Output = Result<T, StoreError>>>,
) -> Result<Vec<T>, StoreError> {
    let requests = stream::iter(requests).buffer_unordered(AT_ONCE);
    requests.try_collect().await
}
