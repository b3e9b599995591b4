use std::collections::BTreeMap;

use trace_model::{Run, RunStatus, TenantId, Timestamp, Totals, TraceId};

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

    /// Keeps the summary unless one of a newer structure is there. May come before the run is
    /// opened: then it waits, unseen.
    pub async fn write_summary(
        &self,
        tenant: &TenantId,
        trace_id: TraceId,
        summary: &Summary,
    ) -> Result<SummaryWrite, StoreError> {
        let now = self.clock.now();
        let expires_at = now.plus(self.config.retention).as_unix_seconds();
        let mut set = run_item::summary_attributes(summary)?;
        set.insert(item::VERSION.to_owned(), number(u64::from(FORMAT_VERSION)));
        set.insert(TABLE.ttl_attribute.to_owned(), number(expires_at));
        let condition = "(attribute_not_exists(#expires_at) OR #expires_at > :now) \
             AND (attribute_not_exists(#summary_revision) OR #summary_revision < :given)";
        let update = Update {
            key: primary_key(run_partition(tenant, trace_id), RUN_SORT_KEY),
            set,
            remove: Vec::new(),
            condition,
            names: vec![
                ("#expires_at", TABLE.ttl_attribute),
                ("#summary_revision", run_item::SUMMARY_REVISION),
            ],
            values: vec![
                (":now", now.as_unix_seconds()),
                (":given", summary.structure_revision),
            ],
        };
        Ok(match self.update(&update).await? {
            Attempt::Written => SummaryWrite::Written,
            Attempt::Refused => SummaryWrite::Outdated,
        })
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
        let mut names = vec![("#started_at", run_item::STARTED_AT)];
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
        let condition = match telling {
            Telling::Opened => "attribute_not_exists(#started_at)",
            Telling::Reopened => {
                "attribute_not_exists(#started_at) \
                 OR (#started_at BETWEEN :earliest AND :latest AND #expires_at > :now \
                 AND (attribute_not_exists(#redrives) OR #redrives < :redrives))"
            }
            Telling::Closed if run.redrives == 0 => {
                "attribute_not_exists(#started_at) \
                 OR (#started_at BETWEEN :earliest AND :latest AND #expires_at > :now \
                 AND attribute_not_exists(#redrives) \
                 AND (attribute_not_exists(#finished_at) OR #finished_at < :finished_at))"
            }
            Telling::Closed => {
                "attribute_not_exists(#started_at) \
                 OR (#started_at BETWEEN :earliest AND :latest AND #expires_at > :now \
                 AND (attribute_not_exists(#redrives) OR #redrives < :redrives \
                 OR (#redrives = :redrives \
                 AND (attribute_not_exists(#finished_at) OR #finished_at < :finished_at))))"
            }
        };
        // What an earlier end said is no longer so.
        let remove = match telling {
            Telling::Opened => Vec::new(),
            Telling::Reopened | Telling::Closed => [run_item::FINISHED_AT, run_item::ERROR]
                .into_iter()
                .filter(|name| !set.contains_key(*name))
                .collect(),
        };
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
                .condition_expression(update.condition)
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
    condition: &'static str,
    names: Vec<(&'static str, &'static str)>,
    values: Vec<(&'static str, u64)>,
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
