//! Keys of items and objects, and the versions of their formats.

use sha2::{Digest as _, Sha256};
use trace_model::{TenantId, Timestamp, TraceId};

use crate::ChunkKey;

/// What this program writes. It reads this one and every older one.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// Into how many partitions a trace's chunks spread: 8,000 write units a second for one trace.
/// A change is a new format version, since readers query exactly these.
pub(crate) const SHARDS: u8 = 8;

pub(crate) const RUN_SORT_KEY: &str = "run";
pub(crate) const CHUNK_PREFIX: &str = "chunk#";
pub(crate) const ARTIFACT_PREFIX: &str = "artifact#";
const CONTENT_PREFIX: &str = "content#";

/// Digits of 2^64, so that text sorts as the number does.
const NANOS_DIGITS: usize = 20;

/// The partition of the run's item.
pub(crate) fn run_partition(tenant: &TenantId, trace_id: TraceId) -> String {
    format!("{tenant}#{trace_id}")
}

/// One of the partitions of a trace's chunks.
pub(crate) fn shard_partition(tenant: &TenantId, trace_id: TraceId, shard: u8) -> String {
    format!("{tenant}#{trace_id}#{shard}")
}

/// Which tenants there are. Like every partition of ours it begins as no tenant's id does.
pub(crate) const TENANTS_PARTITION: &str = "#tenants";

/// What a scheduled function has to remember.
pub(crate) fn notes_partition(owner: &str) -> String {
    format!("#notes#{owner}")
}

/// Under which all traces' objects lie.
pub(crate) const OBJECTS_PREFIX: &str = "t/";

/// Where a tenant's API keys lie: not under `<tenant>#`, so that neither a role that writes a
/// tenant's spans makes keys, nor one that reads its traces reads their hashes.
pub(crate) fn api_keys_partition(tenant: &TenantId) -> String {
    format!("{tenant}/api-keys")
}

pub(crate) fn api_key_sort_key(id: &str) -> String {
    format!("key#{id}")
}

/// An earlier run of the same execution name.
pub(crate) fn earlier_run_sort_key(started_at: Timestamp) -> String {
    format!("{RUN_SORT_KEY}#{}", padded(started_at))
}

/// Chunk ids are the SHA-256 of the structure's bytes, in hex.
pub(crate) fn chunk_key(
    tenant: &TenantId,
    trace_id: TraceId,
    first_start: Timestamp,
    chunk_id: &str,
) -> ChunkKey {
    ChunkKey {
        tenant: tenant.clone(),
        trace_id,
        shard: shard_of(chunk_id),
        sort_key: format!("{CHUNK_PREFIX}{}#{chunk_id}", padded(first_start)),
    }
}

/// When the first of a chunk's spans started.
pub(crate) fn first_start(chunk_sort_key: &str) -> Option<Timestamp> {
    let rest = chunk_sort_key.strip_prefix(CHUNK_PREFIX)?;
    let (nanos, _) = rest.split_once('#')?;
    nanos.parse().ok().map(Timestamp::from_unix_nanos)
}

/// Partition and sort key of a body's own item.
pub(crate) fn content_key(
    tenant: &TenantId,
    trace_id: TraceId,
    content_id: &str,
) -> (String, String) {
    (
        shard_partition(tenant, trace_id, shard_of(content_id)),
        format!("{CONTENT_PREFIX}{content_id}"),
    )
}

/// Where a trace's objects lie in the bucket.
pub(crate) fn object_prefix(tenant: &TenantId, trace_id: TraceId) -> String {
    format!("{OBJECTS_PREFIX}{tenant}/{trace_id}/")
}

/// Whose an object is; `None` for a key that none of our objects has.
pub(crate) fn owner_of_object(key: &str) -> Option<(TenantId, TraceId)> {
    let mut parts = key.strip_prefix(OBJECTS_PREFIX)?.split('/');
    let tenant = TenantId::parse(parts.next()?).ok()?;
    let trace_id = parts.next()?.parse().ok()?;
    parts.next()?;
    Some((tenant, trace_id))
}

/// The id in a chunk's sort key.
pub(crate) fn chunk_id(chunk_sort_key: &str) -> Option<&str> {
    let rest = chunk_sort_key.strip_prefix(CHUNK_PREFIX)?;
    rest.split_once('#').map(|(_, id)| id)
}

/// Where an artifact's bytes lie, whatever its name: equal ones of a trace once.
pub(crate) fn artifact_object_key(tenant: &TenantId, trace_id: TraceId, sha256: &str) -> String {
    format!("{}artifacts/{sha256}", object_prefix(tenant, trace_id))
}

/// Where a tenant's payloads lie: apart from `t/`, since they are the workflow's own data.
pub(crate) fn payload_prefix(tenant: &TenantId) -> String {
    format!("payloads/{tenant}/")
}

pub(crate) fn payload_key(tenant: &TenantId, trace_id: TraceId, sha256: &str) -> String {
    format!("{}{trace_id}/{sha256}", payload_prefix(tenant))
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

impl ChunkKey {
    pub(crate) fn partition(&self) -> String {
        shard_partition(&self.tenant, self.trace_id, self.shard)
    }

    pub(crate) fn parse(partition: &str, sort_key: &str) -> Option<Self> {
        first_start(sort_key)?;
        let mut parts = partition.split('#');
        let (tenant, trace_id, shard) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Some(Self {
            tenant: TenantId::parse(tenant).ok()?,
            trace_id: trace_id.parse().ok()?,
            shard: shard.parse().ok()?,
            sort_key: sort_key.to_owned(),
        })
    }
}

fn shard_of(id: &str) -> u8 {
    let first = id.as_bytes().first().copied().unwrap_or_default();
    let digit = char::from(first).to_digit(16).unwrap_or_default();
    u8::try_from(digit).unwrap_or_default() % SHARDS
}

fn padded(time: Timestamp) -> String {
    format!("{:0NANOS_DIGITS$}", time.as_unix_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> (TenantId, TraceId) {
        (
            TenantId::parse("acme").unwrap(),
            "0af7651916cd43dd8448eb211c80319c".parse().unwrap(),
        )
    }

    #[test]
    fn keys_are_what_the_contract_says() {
        let (tenant, trace_id) = trace();
        assert_eq!(
            run_partition(&tenant, trace_id),
            "acme#0af7651916cd43dd8448eb211c80319c"
        );
        let key = chunk_key(&tenant, trace_id, Timestamp::from_unix_nanos(7), "9abc");
        assert_eq!(key.partition(), "acme#0af7651916cd43dd8448eb211c80319c#1");
        assert_eq!(key.sort_key, "chunk#00000000000000000007#9abc");
        assert_eq!(api_keys_partition(&tenant), "acme/api-keys");
        assert_eq!(
            content_key(&tenant, trace_id, "f0"),
            (
                "acme#0af7651916cd43dd8448eb211c80319c#7".to_owned(),
                "content#f0".to_owned()
            )
        );
        assert_eq!(
            object_prefix(&tenant, trace_id),
            "t/acme/0af7651916cd43dd8448eb211c80319c/"
        );
        assert_eq!(
            artifact_object_key(&tenant, trace_id, "f0"),
            "t/acme/0af7651916cd43dd8448eb211c80319c/artifacts/f0"
        );
        assert_eq!(
            payload_key(&tenant, trace_id, "f0"),
            "payloads/acme/0af7651916cd43dd8448eb211c80319c/f0"
        );
    }

    #[test]
    fn only_a_trace_s_object_has_an_owner() {
        let (tenant, trace_id) = trace();
        for key in [
            format!("{}f0", object_prefix(&tenant, trace_id)),
            artifact_object_key(&tenant, trace_id, "f0"),
        ] {
            assert_eq!(owner_of_object(&key), Some((tenant.clone(), trace_id)));
        }
        for key in [
            payload_key(&tenant, trace_id, "f0"),
            format!("t/ACME/{trace_id}/f0"),
            format!("t/acme/{trace_id}"),
            "t/acme/f0/f0".to_owned(),
            "aws/lambda/batch".to_owned(),
        ] {
            assert_eq!(owner_of_object(&key), None, "{key}");
        }
    }

    #[test]
    fn no_tenant_s_partition_is_one_of_ours() {
        for partition in [TENANTS_PARTITION, &notes_partition("watch-traces")] {
            let before = partition.split('#').next().unwrap();
            assert!(TenantId::parse(before).is_err(), "{partition}");
        }
    }

    #[test]
    fn only_a_chunk_s_key_parses_as_one() {
        let (tenant, trace_id) = trace();
        let key = chunk_key(&tenant, trace_id, Timestamp::from_unix_nanos(7), "9abc");
        let parsed = ChunkKey::parse(&key.partition(), &key.sort_key);
        assert_eq!(parsed.as_ref(), Some(&key));
        for (partition, sort_key) in [
            ("acme#0af7651916cd43dd8448eb211c80319c", "run"),
            ("acme#0af7651916cd43dd8448eb211c80319c#1", "content#9abc"),
            (
                "acme#0af7651916cd43dd8448eb211c80319c",
                key.sort_key.as_str(),
            ),
            (
                "ACME#0af7651916cd43dd8448eb211c80319c#1",
                key.sort_key.as_str(),
            ),
            (
                "acme#1#0af7651916cd43dd8448eb211c80319c#1",
                key.sort_key.as_str(),
            ),
        ] {
            assert_eq!(
                ChunkKey::parse(partition, sort_key),
                None,
                "{partition} {sort_key}"
            );
        }
    }

    #[test]
    fn sort_keys_sort_as_times_do() {
        let (tenant, trace_id) = trace();
        let key =
            |nanos| chunk_key(&tenant, trace_id, Timestamp::from_unix_nanos(nanos), "0").sort_key;
        assert!(key(9) < key(10));
        assert!(key(u64::MAX - 1) < key(u64::MAX));
    }
}
