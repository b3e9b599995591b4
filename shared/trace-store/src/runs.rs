use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue as SdkValue;
use trace_model::{Run, RunOfSpans, RunStatus, TenantId, Timestamp, Totals, TraceId};

use crate::item::{self, SdkItem, StoredItem, number, primary_key, text};
use crate::keys::{FORMAT_VERSION, RUN_SORT_KEY, earlier_run_sort_key, run_partition};
use crate::run_item::{self, decode_run};
use crate::service::{failed, retrying};
use crate::{StoreError, TABLE, TraceStore};

const WHAT: &str = "run";

/// Two tellings of one start may differ by rounding; two runs of one name lie at least 90
/// days apart on AWS.
const SAME_START_NANOS: u64 = 1_000_000_000;

/// How often another writer may be faster, before the caller is asked to try again.
const ROUNDS: usize = 5;

/// Whether the store changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunWrite {
    Written,
    /// The store knew this, or something newer.
    Unchanged,
}

/// What was computed from a trace's structure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    pub totals: Totals,
    /// How many values were masked, by detector.
    pub redactions: BTreeMap<String, u64>,
    pub notices: Vec<String>,
    /// What the run is as long as no execution is recorded for its trace; `None` without spans.
    pub run_of_spans: Option<RunOfSpans>,
    /// [`crate::TraceStructure::revision`] of the structure it was computed from.
    pub structure_revision: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SummaryWrite {
    Written,
    /// A summary of the same or a newer structure is there, or the run has expired.
    Outdated,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Telling {
    Opened,
    Reopened,
    Closed,
}

enum Attempt {
    Written,
    Refused,
}

impl TraceStore {
    /// Records that a run has started. A repetition changes nothing, and neither does an open
    /// that comes after its close.
    ///
    /// The trace id comes from the execution's name, which may be used again: a run that
    /// started at another time (by more than a second) is another run. The newest one is the
    /// item `run`, an older one moves to `run#<its start>`; it stays in lists, and the reads
    /// of the trace begin at the newest one's start.
    pub async fn open_run(&self, run: &Run) -> Result<RunWrite, StoreError> {
        if run.status.is_over() {
            return Err(wrong_status(run, "opened"));
        }
        self.record(run, Telling::Opened).await
    }

    /// Records that a run that had ended goes on: `run.redrives` counts how often that has
    /// happened. Neither its earlier ends nor its earlier redrives change it any more, however
    /// late they are told.
    pub async fn reopen_run(&self, run: &Run) -> Result<RunWrite, StoreError> {
        if run.status.is_over() || run.finished_at.is_some() || run.redrives == 0 {
            return Err(wrong_status(run, "reopened"));
        }
        self.record(run, Telling::Reopened).await
    }

    /// Records how a run ended. May come before [`Self::open_run`], and more than once: of two
    /// ends the one after more redrives counts, then the one that finished later.
    pub async fn close_run(&self, run: &Run) -> Result<RunWrite, StoreError> {
        if !run.status.is_over() || run.finished_at.is_none() {
            return Err(wrong_status(run, "closed"));
        }
        self.record(run, Telling::Closed).await
    }

    /// Notes that spans come for a trace whose execution is not recorded, not yet or because
    /// there is none. From then on, until one is recorded, summaries say what the run is; it is
    /// listed with the first of them. Changes nothing for a trace that has a run.
    pub async fn open_trace(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> Result<RunWrite, StoreError> {
        let now = self.clock.now();
        let stored = self.run_item(tenant, trace_id).await?;
        let is_live = match &stored {
            Some(item) => StoredItem::open(item.clone().into(), WHAT, now)?.is_some(),
            None => true,
        };
        let expired = stored.as_ref().filter(|_| !is_live);
        let is_known = |item: &SdkItem| {
            item.contains_key(run_item::STARTED_AT) || item.contains_key(run_item::IS_OF_SPANS)
        };
        if expired.is_none() && stored.as_ref().is_some_and(is_known) {
            return Ok(RunWrite::Unchanged);
        }
        self.register_tenant(tenant).await?;
        let expires_at = now.plus(self.config.retention).as_unix_seconds();
        let set = SdkItem::from([
            (item::VERSION.to_owned(), number(u64::from(FORMAT_VERSION))),
            (TABLE.ttl_attribute.to_owned(), number(expires_at)),
            (run_item::IS_OF_SPANS.to_owned(), SdkValue::Bool(true)),
        ]);
        if let Some(expired) = expired {
            return self.replace_expired(expired, set).await;
        }
        let update = Update {
            key: primary_key(run_partition(tenant, trace_id), RUN_SORT_KEY),
            set,
            remove: Vec::new(),
            condition: "attribute_not_exists(#started_at)".to_owned(),
            names: vec![("#started_at", run_item::STARTED_AT)],
            values: Vec::new(),
        };
        Ok(match self.update(&update).await? {
            Attempt::Written => RunWrite::Written,
            Attempt::Refused => RunWrite::Unchanged,
        })
    }

    /// Keeps the summary unless one of a newer structure is there. May come before the run is
    /// opened: then it waits, unseen. For a trace that [`Self::open_trace`] opened and that has
    /// no execution it says what the run is, too.
    pub async fn write_summary(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        summary: &Summary,
    ) -> Result<SummaryWrite, StoreError> {
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let stored = self.run_item(tenant, trace_id).await?.unwrap_or_default();
            let number_of = |name: &str| stored.get(name)?.as_n().ok()?.parse::<u64>().ok();
            let has_expired =
                number_of(TABLE.ttl_attribute).is_some_and(|at| at <= now.as_unix_seconds());
            let is_newer = number_of(run_item::SUMMARY_REVISION)
                .is_some_and(|revision| revision >= summary.structure_revision);
            if has_expired || is_newer {
                return Ok(SummaryWrite::Outdated);
            }
            let expires_at = now.plus(self.config.retention).as_unix_seconds();
            let mut set = run_item::summary_attributes(summary)?;
            set.insert(item::VERSION.to_owned(), number(u64::from(FORMAT_VERSION)));
            set.insert(TABLE.ttl_attribute.to_owned(), number(expires_at));
            let mut condition = "(attribute_not_exists(#expires_at) OR #expires_at > :now) \
                 AND (attribute_not_exists(#summary_revision) OR #summary_revision < :given)"
                .to_owned();
            let mut names = vec![
                ("#expires_at", TABLE.ttl_attribute),
                ("#summary_revision", run_item::SUMMARY_REVISION),
            ];
            let mut remove = Vec::new();
            if let Some(run) = &summary.run_of_spans {
                names.push(("#is_of_spans", run_item::IS_OF_SPANS));
                if stored.contains_key(run_item::IS_OF_SPANS) {
                    condition += " AND attribute_exists(#is_of_spans)";
                    set.extend(run_item::attributes_of_spans(tenant, trace_id, run));
                    remove = said_of_an_end(&set);
                } else {
                    condition += " AND attribute_not_exists(#is_of_spans)";
                }
            }
            let update = Update {
                key: primary_key(run_partition(tenant, trace_id), RUN_SORT_KEY),
                set,
                remove,
                condition,
                names,
                values: vec![
                    (":now", now.as_unix_seconds()),
                    (":given", summary.structure_revision),
                ],
            };
            if let Attempt::Written = self.update(&update).await? {
                return Ok(SummaryWrite::Written);
            }
        }
        Err(StoreError::Contended(WHAT))
    }

    /// `None` for what never ran, was not recorded yet, has expired, or is another tenant's.
    pub async fn run(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> Result<Option<Run>, StoreError> {
        match self.run_item(tenant, trace_id).await? {
            Some(item) => {
                let stored = StoredItem::open(item.into(), WHAT, self.clock.now())?;
                stored.map_or(Ok(None), |stored| decode_run(&stored))
            }
            None => Ok(None),
        }
    }

    /// From when on spans belong to the newest run; `None` when the name was used once.
    pub(crate) async fn name_reused_at(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> Result<Option<Timestamp>, StoreError> {
        let Some(item) = self.run_item(tenant, trace_id).await? else {
            return Ok(None);
        };
        let Some(stored) = StoredItem::open(item.into(), WHAT, self.clock.now())? else {
            return Ok(None);
        };
        let reused_at = stored.optional_number(run_item::NAME_REUSED_AT)?;
        Ok(reused_at.map(Timestamp::from_unix_nanos))
    }

    async fn record(&self, run: &Run, telling: Telling) -> Result<RunWrite, StoreError> {
        self.register_tenant(&run.tenant).await?;
        for _ in 0..ROUNDS {
            if let Attempt::Written = self.update_run(run, RUN_SORT_KEY, telling).await? {
                return Ok(RunWrite::Written);
            }
            let Some(item) = self.run_item(&run.tenant, run.trace_id).await? else {
                continue;
            };
            let now = self.clock.now();
            let is_live = StoredItem::open(item.clone().into(), WHAT, now)?.is_some();
            let Some(stored_start) = run_item::started_at(&item) else {
                continue;
            };
            if !is_live {
                self.put_aside(run, item, stored_start, Aside::Drop).await?;
            } else if is_same_start(stored_start, run.started_at) {
                return Ok(RunWrite::Unchanged);
            } else if stored_start < run.started_at {
                self.put_aside(run, item, stored_start, Aside::Keep).await?;
            } else {
                let sort_key = earlier_run_sort_key(run.started_at);
                return Ok(match self.update_run(run, &sort_key, telling).await? {
                    Attempt::Written => RunWrite::Written,
                    Attempt::Refused => RunWrite::Unchanged,
                });
            }
        }
        Err(StoreError::Contended(WHAT))
    }

    async fn update_run(
        &self,
        run: &Run,
        sort_key: &str,
        telling: Telling,
    ) -> Result<Attempt, StoreError> {
        let now = self.clock.now();
        let mut set = run_item::run_attributes(run);
        let expires_at = now.plus(self.config.retention).as_unix_seconds();
        set.insert(item::VERSION.to_owned(), number(u64::from(FORMAT_VERSION)));
        set.insert(TABLE.ttl_attribute.to_owned(), number(expires_at));
        let started_at = run.started_at.as_unix_nanos();
        let mut names = vec![
            ("#started_at", run_item::STARTED_AT),
            ("#is_of_spans", run_item::IS_OF_SPANS),
        ];
        let mut values = Vec::new();
        if telling != Telling::Opened {
            names.push(("#expires_at", TABLE.ttl_attribute));
            names.push(("#redrives", run_item::REDRIVES));
            values.extend([
                (":now", now.as_unix_seconds()),
                (":earliest", started_at.saturating_sub(SAME_START_NANOS)),
                (":latest", started_at.saturating_add(SAME_START_NANOS)),
            ]);
            if run.redrives > 0 {
                values.push((":redrives", u64::from(run.redrives)));
            }
        }
        if telling == Telling::Closed {
            names.push(("#finished_at", run_item::FINISHED_AT));
            let finished_at = run.finished_at.unwrap_or_default().as_unix_nanos();
            values.push((":finished_at", finished_at));
        }
        let known = match telling {
            Telling::Opened => "",
            Telling::Reopened => {
                " OR (#started_at BETWEEN :earliest AND :latest AND #expires_at > :now \
                 AND (attribute_not_exists(#redrives) OR #redrives < :redrives))"
            }
            Telling::Closed if run.redrives == 0 => {
                " OR (#started_at BETWEEN :earliest AND :latest AND #expires_at > :now \
                 AND attribute_not_exists(#redrives) \
                 AND (attribute_not_exists(#finished_at) OR #finished_at < :finished_at))"
            }
            Telling::Closed => {
                " OR (#started_at BETWEEN :earliest AND :latest AND #expires_at > :now \
                 AND (attribute_not_exists(#redrives) OR #redrives < :redrives \
                 OR (#redrives = :redrives \
                 AND (attribute_not_exists(#finished_at) OR #finished_at < :finished_at))))"
            }
        };
        // What spans said of the run, the execution says better.
        let condition =
            format!("attribute_not_exists(#started_at) OR attribute_exists(#is_of_spans){known}");
        let mut remove = said_of_an_end(&set);
        remove.push(run_item::IS_OF_SPANS);
        let update = Update {
            key: primary_key(run_partition(&run.tenant, run.trace_id), sort_key),
            set,
            remove,
            condition,
            names,
            values,
        };
        self.update(&update).await
    }

    /// Makes room for a newer run of the same name. Losing to another writer is no failure:
    /// the caller looks again.
    async fn put_aside(
        &self,
        run: &Run,
        old: SdkItem,
        old_start: Timestamp,
        aside: Aside,
    ) -> Result<(), StoreError> {
        use aws_sdk_dynamodb::types::{Put, TransactWriteItem};

        let operation = "TransactWriteItems";
        let partition = run_partition(&run.tenant, run.trace_id);
        let expires_at = self
            .clock
            .now()
            .plus(self.config.retention)
            .as_unix_seconds();
        let mut fresh = primary_key(partition.clone(), RUN_SORT_KEY);
        fresh.insert(item::VERSION.to_owned(), number(u64::from(FORMAT_VERSION)));
        fresh.insert(TABLE.ttl_attribute.to_owned(), number(expires_at));
        let reused_at = run.started_at.as_unix_nanos();
        fresh.insert(run_item::NAME_REUSED_AT.to_owned(), number(reused_at));
        if let Some(revision) = old.get(run_item::REVISION) {
            fresh.insert(run_item::REVISION.to_owned(), revision.clone());
        }
        let replace = Put::builder()
            .table_name(&self.config.table)
            .set_item(Some(fresh))
            .condition_expression("#started_at = :old")
            .expression_attribute_names("#started_at", run_item::STARTED_AT)
            .expression_attribute_values(":old", number(old_start.as_unix_nanos()))
            .build()
            .expect("table and item are set");
        let mut writes = vec![TransactWriteItem::builder().put(replace).build()];
        if aside == Aside::Keep {
            let mut kept = old;
            let sort_key = earlier_run_sort_key(old_start);
            kept.insert(TABLE.sort_key.to_owned(), text(sort_key));
            let put = Put::builder()
                .table_name(&self.config.table)
                .set_item(Some(kept))
                .build()
                .expect("table and item are set");
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        retrying(|| async {
            let transaction = self
                .dynamodb
                .transact_write_items()
                .set_transact_items(Some(writes.clone()))
                .send()
                .await;
            match transaction {
                Ok(_) => Ok(()),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::is_transaction_canceled_exception) =>
                {
                    Ok(())
                }
                Err(error) => Err(failed(operation, WHAT)(error)),
            }
        })
        .await
    }

    /// Puts a new item in the place of one that has expired and is not deleted yet; its
    /// revision goes on growing.
    async fn replace_expired(
        &self,
        expired: &SdkItem,
        mut item: SdkItem,
    ) -> Result<RunWrite, StoreError> {
        let kept = [TABLE.partition_key, TABLE.sort_key, run_item::REVISION];
        for name in kept {
            if let Some(value) = expired.get(name) {
                item.insert(name.to_owned(), value.clone());
            }
        }
        retrying(|| async {
            let put = self
                .dynamodb
                .put_item()
                .table_name(&self.config.table)
                .set_item(Some(item.clone()))
                .condition_expression("#expires_at <= :now")
                .expression_attribute_names("#expires_at", TABLE.ttl_attribute)
                .expression_attribute_values(":now", number(self.clock.now().as_unix_seconds()))
                .send()
                .await;
            match put {
                Ok(_) => Ok(RunWrite::Written),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(aws_sdk_dynamodb::operation::put_item::PutItemError::is_conditional_check_failed_exception) =>
                {
                    Ok(RunWrite::Unchanged)
                }
                Err(error) => Err(failed("PutItem", WHAT)(error)),
            }
        })
        .await
    }

    async fn run_item(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
    ) -> Result<Option<SdkItem>, StoreError> {
        let key = primary_key(run_partition(tenant, trace_id), RUN_SORT_KEY);
        self.item(&key, WHAT).await
    }

    /// Sets and removes the attributes and counts the run's revision up, if the condition holds.
    async fn update(&self, update: &Update) -> Result<Attempt, StoreError> {
        let names: Vec<_> = update.set.keys().cloned().collect();
        let assignments: Vec<_> = (0..names.len()).map(|n| format!("#s{n} = :s{n}")).collect();
        let mut expression = format!("SET {} ADD #revision :one", assignments.join(", "));
        if !update.remove.is_empty() {
            let removed: Vec<_> = (0..update.remove.len()).map(|n| format!("#r{n}")).collect();
            expression += " REMOVE ";
            expression += &removed.join(", ");
        }
        retrying(|| async {
            let mut request = self
                .dynamodb
                .update_item()
                .table_name(&self.config.table)
                .set_key(Some(update.key.clone()))
                .update_expression(&expression)
                .condition_expression(&update.condition)
                .expression_attribute_names("#revision", run_item::REVISION)
                .expression_attribute_values(":one", number(1));
            for (n, name) in names.iter().enumerate() {
                request = request
                    .expression_attribute_names(format!("#s{n}"), name)
                    .expression_attribute_values(format!(":s{n}"), update.set[name].clone());
            }
            for (n, name) in update.remove.iter().enumerate() {
                request = request.expression_attribute_names(format!("#r{n}"), *name);
            }
            for (placeholder, name) in &update.names {
                request = request.expression_attribute_names(*placeholder, *name);
            }
            for (placeholder, value) in &update.values {
                request = request.expression_attribute_values(*placeholder, number(*value));
            }
            match request.send().await {
                Ok(_) => Ok(Attempt::Written),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(aws_sdk_dynamodb::operation::update_item::UpdateItemError::is_conditional_check_failed_exception) =>
                {
                    Ok(Attempt::Refused)
                }
                Err(error) => Err(failed("UpdateItem", WHAT)(error)),
            }
        })
        .await
    }
}

/// What becomes of the run that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aside {
    Keep,
    /// It has expired.
    Drop,
}

struct Update {
    key: SdkItem,
    set: SdkItem,
    remove: Vec<&'static str>,
    condition: String,
    names: Vec<(&'static str, &'static str)>,
    values: Vec<(&'static str, u64)>,
}

/// What an earlier end said and these attributes do not: it is no longer so.
fn said_of_an_end(set: &SdkItem) -> Vec<&'static str> {
    [run_item::FINISHED_AT, run_item::ERROR]
        .into_iter()
        .filter(|name| !set.contains_key(*name))
        .collect()
}

fn is_same_start(one: Timestamp, other: Timestamp) -> bool {
    one.as_unix_nanos().abs_diff(other.as_unix_nanos()) <= SAME_START_NANOS
}

const fn wrong_status(run: &Run, wanted: &'static str) -> StoreError {
    let status = match run.status {
        RunStatus::Running => "running",
        RunStatus::PendingRedrive => "pending redrive",
        _ if run.finished_at.is_none() => "over without the time it finished",
        _ => "over",
    };
    StoreError::WrongStatus { status, wanted }
}
