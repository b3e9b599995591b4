use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use trace_model::{Cost, Run, RunStatus, TenantId, Timestamp, TraceId};

use crate::item::{SdkItem, StoredItem, number, primary_key, text};
use crate::keys::{RUN_SORT_KEY, run_partition, sha256_hex};
use crate::run_item::{decode_run, started_at, workflow_partition};
use crate::service::{failed, retrying};
use crate::table::{RUNS_BY_START, RUNS_BY_WORKFLOW};
use crate::{IndexDescription, StoreError, TABLE, TraceStore};

const WHAT: &str = "run";

const LARGEST_PAGE: usize = 1000;

/// A filter that fits few runs gives a short page rather than a long wait: runs are some 1 KB,
/// so this many are a second's reading.
const MOST_EXAMINED: usize = 4000;

/// Which runs a list shows; everything `None` is every run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunFilter {
    pub workflow: Option<String>,
    pub status: Option<RunStatus>,
    /// Inclusive.
    pub started_after: Option<Timestamp>,
    /// Exclusive.
    pub started_before: Option<Timestamp>,
    /// A model that the run called.
    pub model: Option<String>,
    /// The failure's error name.
    pub error: Option<String>,
    /// Of runs that are over; inclusive.
    pub min_duration: Option<Duration>,
    /// Inclusive.
    pub max_duration: Option<Duration>,
    /// Input and output tokens together; inclusive.
    pub min_tokens: Option<u64>,
    /// Inclusive.
    pub min_cost: Option<Cost>,
}

/// A position in one tenant's list under one filter. Opaque, but neither secret nor sealed:
/// the API does that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunCursor(String);

/// Newest first. A page may be shorter than the limit and still have a next one.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPage {
    pub runs: Vec<Run>,
    pub next: Option<RunCursor>,
}

impl RunCursor {
    /// From what [`RunCursor::as_str`] gave; checked when it is used.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RunFilter {
    fn fits(&self, run: &Run) -> bool {
        let totals = run.totals.as_ref();
        let duration = run.finished_at.map(|end| end.since(run.started_at));
        self.status.is_none_or(|status| run.status == status)
            && (self.error.is_none() || self.error == run.error)
            && self
                .min_duration
                .is_none_or(|least| duration >= Some(least))
            && self
                .max_duration
                .is_none_or(|most| duration.is_some_and(|it| it <= most))
            && self
                .model
                .as_ref()
                .is_none_or(|model| totals.is_some_and(|totals| totals.models.contains(model)))
            && self.min_tokens.is_none_or(|least| {
                totals.is_some_and(|totals| totals.input_tokens + totals.output_tokens >= least)
            })
            && self
                .min_cost
                .is_none_or(|least| totals.is_some_and(|totals| totals.cost >= least))
    }

    /// Cursors live for minutes, so this may change with the program.
    fn fingerprint(&self, tenant: &TenantId) -> String {
        let mut digest = sha256_hex(format!("{tenant} {self:?}").as_bytes());
        digest.truncate(32);
        digest
    }
}

/// The last run that was looked at. Says nothing of the tenant: that comes from the caller.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Position {
    #[serde(rename = "f")]
    fingerprint: String,
    #[serde(rename = "n")]
    started_at: Timestamp,
    #[serde(rename = "t")]
    trace_id: TraceId,
    #[serde(rename = "s")]
    sort_key: String,
}

impl Position {
    fn of(item: &SdkItem, fingerprint: &str) -> Option<Self> {
        let partition = item.get(TABLE.partition_key)?.as_s().ok()?;
        let (_, trace_id) = partition.split_once('#')?;
        Some(Self {
            fingerprint: fingerprint.to_owned(),
            started_at: started_at(item)?,
            trace_id: trace_id.parse().ok()?,
            sort_key: item.get(TABLE.sort_key)?.as_s().ok()?.clone(),
        })
    }

    fn read(cursor: &RunCursor, fingerprint: &str) -> Result<Self, StoreError> {
        let json = URL_SAFE_NO_PAD.decode(&cursor.0).ok();
        json.and_then(|json| serde_json::from_slice::<Self>(&json).ok())
            .filter(|position| {
                let earlier = position.sort_key.strip_prefix(RUN_SORT_KEY);
                position.fingerprint == fingerprint
                    && earlier.is_some_and(|rest| {
                        rest.is_empty()
                            || rest.strip_prefix('#').is_some_and(|digits| {
                                digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())
                            })
                    })
            })
            .ok_or(StoreError::InvalidCursor)
    }

    fn cursor(&self) -> RunCursor {
        let json = serde_json::to_vec(self).expect("text and numbers are JSON");
        RunCursor(URL_SAFE_NO_PAD.encode(json))
    }
}

impl TraceStore {
    /// The tenant's runs, newest first. `limit` is held between 1 and 1,000.
    pub async fn list_runs(
        &self,
        tenant: &TenantId,
        filter: &RunFilter,
        limit: usize,
        cursor: Option<&RunCursor>,
    ) -> Result<RunPage, StoreError> {
        let limit = limit.clamp(1, LARGEST_PAGE);
        let listing = Listing::new(tenant, filter);
        let position = cursor.map(|cursor| Position::read(cursor, &listing.fingerprint));
        let mut start = position
            .transpose()?
            .map(|position| listing.start_key(&position));
        let mut page = RunPage {
            runs: Vec::new(),
            next: None,
        };
        if listing.earliest > listing.latest {
            return Ok(page);
        }
        let mut examined = 0;
        let mut last_shown = None;
        loop {
            let answer = self.query_runs(&listing, limit + 1, start.take()).await?;
            examined += answer.examined;
            for item in answer.items {
                let position = Position::of(&item, &listing.fingerprint);
                let stored = StoredItem::open(item.into(), WHAT, self.clock.now())?;
                let run = stored.map_or(Ok(None), |stored| decode_run(&stored))?;
                let Some(run) = run.filter(|run| filter.fits(run)) else {
                    continue;
                };
                if page.runs.len() == limit {
                    page.next = last_shown;
                    return Ok(page);
                }
                page.runs.push(run);
                last_shown = position.map(|position| position.cursor());
            }
            let Some(last) = answer.last else {
                return Ok(page);
            };
            if examined >= MOST_EXAMINED {
                let position = Position::of(&last, &listing.fingerprint);
                page.next = position.map(|position| position.cursor());
                return Ok(page);
            }
            start = Some(last);
        }
    }

    async fn query_runs(
        &self,
        listing: &Listing<'_>,
        limit: usize,
        start: Option<SdkItem>,
    ) -> Result<Answer, StoreError> {
        let limit = i32::try_from(limit.max(25)).unwrap_or(i32::MAX);
        retrying(|| async {
            let answer = self
                .dynamodb
                .query()
                .table_name(&self.config.table)
                .index_name(listing.index.name)
                .key_condition_expression(
                    "#partition = :partition AND #start BETWEEN :from AND :to",
                )
                .filter_expression("#expires_at > :now")
                .expression_attribute_names("#partition", listing.index.partition_key)
                .expression_attribute_names("#start", listing.index.sort_key)
                .expression_attribute_names("#expires_at", TABLE.ttl_attribute)
                .expression_attribute_values(":partition", text(&listing.partition))
                .expression_attribute_values(":from", number(listing.earliest))
                .expression_attribute_values(":to", number(listing.latest))
                .expression_attribute_values(":now", number(self.clock.now().as_unix_seconds()))
                .scan_index_forward(false)
                .limit(limit)
                .set_exclusive_start_key(start.clone())
                .send()
                .await
                .map_err(failed("Query", WHAT))?;
            Ok(Answer {
                examined: usize::try_from(answer.scanned_count).unwrap_or_default(),
                items: answer.items.unwrap_or_default(),
                last: answer.last_evaluated_key,
            })
        })
        .await
    }
}

/// What one list asks of which index.
struct Listing<'a> {
    tenant: &'a TenantId,
    index: IndexDescription,
    partition: String,
    /// Nanoseconds, inclusive.
    earliest: u64,
    latest: u64,
    fingerprint: String,
}

struct Answer {
    items: Vec<SdkItem>,
    examined: usize,
    last: Option<SdkItem>,
}

impl<'a> Listing<'a> {
    fn new(tenant: &'a TenantId, filter: &RunFilter) -> Self {
        let (index, partition) = match &filter.workflow {
            Some(workflow) => (RUNS_BY_WORKFLOW, workflow_partition(tenant, workflow)),
            None => (RUNS_BY_START, tenant.to_string()),
        };
        let nanos = |time: Option<Timestamp>| time.map(Timestamp::as_unix_nanos);
        Self {
            tenant,
            index,
            partition,
            earliest: nanos(filter.started_after).unwrap_or(0),
            // Nothing is before the epoch: a range that ends there is empty.
            latest: nanos(filter.started_before).map_or(u64::MAX, |end| end.saturating_sub(1)),
            fingerprint: filter.fingerprint(tenant),
        }
    }

    fn start_key(&self, position: &Position) -> SdkItem {
        let partition = run_partition(self.tenant, position.trace_id);
        let mut key = primary_key(partition, position.sort_key.as_str());
        let started_at = position.started_at.as_unix_nanos();
        key.insert(self.index.partition_key.to_owned(), text(&self.partition));
        key.insert(self.index.sort_key.to_owned(), number(started_at));
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn position(fingerprint: String) -> Position {
        Position {
            fingerprint,
            started_at: Timestamp::from_unix_nanos(1_700_000_000_123_456_789),
            trace_id: "0af7651916cd43dd8448eb211c80319c".parse().unwrap(),
            sort_key: RUN_SORT_KEY.to_owned(),
        }
    }

    #[test]
    fn a_cursor_is_bound_to_its_tenant_and_filter() {
        let filter = RunFilter::default();
        let failed = RunFilter {
            status: Some(RunStatus::Failed),
            ..RunFilter::default()
        };
        let acme = filter.fingerprint(&tenant("acme"));
        let cursor = position(acme.clone()).cursor();
        assert!(Position::read(&cursor, &acme).is_ok());
        for other in [
            filter.fingerprint(&tenant("globex")),
            failed.fingerprint(&tenant("acme")),
        ] {
            assert!(Position::read(&cursor, &other).is_err());
        }
    }

    #[test]
    fn an_altered_cursor_is_refused() {
        let acme = RunFilter::default().fingerprint(&tenant("acme"));
        let mut elsewhere = position(acme.clone());
        elsewhere.sort_key = "chunk#0#0".to_owned();
        for cursor in [
            elsewhere.cursor(),
            RunCursor::from_text(""),
            RunCursor::from_text("e30"),
            RunCursor::from_text("%%%"),
            RunCursor::from_text("a".repeat(100_000)),
        ] {
            assert!(Position::read(&cursor, &acme).is_err());
        }
    }
}
