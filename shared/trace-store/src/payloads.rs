//! A workflow's own values that are too large for a state's data, in the bucket as they are.

use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::{AggregatedBytes, ByteStream};
use trace_model::{TenantId, TraceId};

use crate::keys::{payload_key, payload_prefix, sha256_hex};
use crate::service::{failed, retrying};
use crate::{StoreError, TraceStore};

const WHAT: &str = "payload";

/// When the object counts as gone, by our clock: seconds since the Unix epoch. The bucket's
/// lifecycle deletes it some time after.
const EXPIRES_AT: &str = "expires-at";

/// A value in the bucket, as a reference tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    pub bucket: String,
    /// `payloads/<tenant>/<trace id>/<sha256>`.
    pub key: String,
    pub bytes: u64,
    /// In hex.
    pub sha256: String,
    pub content_type: String,
}

impl TraceStore {
    /// Stores a value for the runs of its tenant. The same value of the same run is the same
    /// object, and lives on from its last writing.
    pub async fn write_payload(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Payload, StoreError> {
        let sha256 = sha256_hex(&body);
        let payload = Payload {
            bucket: self.config.bucket.clone(),
            key: payload_key(tenant, trace_id, &sha256),
            bytes: body.len() as u64,
            sha256,
            content_type: content_type.to_owned(),
        };
        let expires_at = self.clock.now().plus(self.config.retention);
        let body = ByteStream::from(body).into_inner();
        retrying(|| async {
            let body = body.try_clone().map(ByteStream::new).unwrap_or_default();
            self.s3
                .put_object()
                .bucket(&payload.bucket)
                .key(&payload.key)
                .content_type(&payload.content_type)
                .metadata(EXPIRES_AT, expires_at.as_unix_seconds().to_string())
                .body(body)
                .send()
                .await
                .map_err(failed("PutObject", WHAT))
        })
        .await?;
        Ok(payload)
    }

    /// The value, if it is this tenant's and the one that was written. What a reference says is
    /// somebody's word: nothing outside of the tenant's own folder is even looked for.
    pub async fn read_payload(
        &self,
        tenant: &TenantId,
        payload: &Payload,
    ) -> Result<Vec<u8>, StoreError> {
        self.check_payload(tenant, payload)?;
        let bytes = retrying(|| self.payload_bytes(payload)).await?;
        if sha256_hex(&bytes) != payload.sha256 {
            return Err(StoreError::PayloadAltered {
                problem: "its SHA-256 is another",
            });
        }
        Ok(bytes)
    }

    /// Without asking the bucket: whether `payload` can be one of the tenant's at all.
    pub fn check_payload(&self, tenant: &TenantId, payload: &Payload) -> Result<(), StoreError> {
        if payload.bucket != self.config.bucket {
            let problem = "it names another bucket than this one's";
            return Err(StoreError::PayloadRefused { problem });
        }
        let id = payload.key.strip_prefix(&payload_prefix(tenant));
        let (trace_id, sha256) =
            id.and_then(|id| id.split_once('/'))
                .ok_or(StoreError::PayloadRefused {
                    problem: "its key is none of this tenant's payloads",
                })?;
        // Written again and compared, so that there is one spelling of each key.
        let is_own = trace_id
            .parse::<TraceId>()
            .is_ok_and(|parsed| payload_key(tenant, parsed, &payload.sha256) == payload.key);
        let is_hash = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_own && is_hash {
            Ok(())
        } else {
            Err(StoreError::PayloadRefused {
                problem: "its key does not end in a trace id and the value's SHA-256",
            })
        }
    }

    async fn payload_bytes(&self, payload: &Payload) -> Result<Vec<u8>, StoreError> {
        let get = self.s3.get_object();
        let object = get.bucket(&payload.bucket).key(&payload.key).send().await;
        let object = match object {
            Ok(object) => object,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetObjectError::is_no_such_key) =>
            {
                return Err(StoreError::PayloadGone);
            }
            Err(error) => return Err(failed("GetObject", WHAT)(error)),
        };
        let expires_at = object
            .metadata()
            .and_then(|metadata| metadata.get(EXPIRES_AT)?.parse::<u64>().ok());
        if expires_at.is_some_and(|at| at <= self.clock.now().as_unix_seconds()) {
            return Err(StoreError::PayloadGone);
        }
        // Before it is read: what a reference says is what a caller has room for.
        let length = object
            .content_length()
            .and_then(|length| u64::try_from(length).ok());
        if length != Some(payload.bytes) {
            return Err(StoreError::PayloadAltered {
                problem: "its size is another",
            });
        }
        let body = object.body.collect().await;
        body.map(AggregatedBytes::to_vec)
            .map_err(|error| StoreError::Service {
                operation: "GetObject",
                what: WHAT,
                retryable: true,
                source: Box::new(error),
            })
    }
}
