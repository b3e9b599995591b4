//! Whose run it is, as the history tells it.

use trace_model::{InvalidTenantId, TenantId};

/// Gathers what inputs and parameters say. The execution's input counts first: the API wrote
/// it for a verified caller. Then the first parameters that name a tenant; then the default.
#[derive(Debug)]
pub(crate) struct TenantEvidence {
    default: TenantId,
    decided: Option<TenantId>,
    notices: Vec<String>,
}

/// Whether a payload puts its function's spans into the run's trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracing {
    Joins,
    Apart,
}

impl TenantEvidence {
    pub(crate) const fn new(default: TenantId) -> Self {
        Self {
            default,
            decided: None,
            notices: Vec::new(),
        }
    }

    /// `None` while no input or parameters were seen that could have said it.
    pub(crate) const fn decided(&self) -> Option<&TenantId> {
        self.decided.as_ref()
    }

    pub(crate) fn notices(&self) -> &[String] {
        &self.notices
    }

    /// `place` says where it stood, for a person.
    pub(crate) fn saw(&mut self, said: Option<Result<TenantId, InvalidTenantId>>, place: &str) {
        match (said, &self.decided) {
            (Some(Ok(tenant)), None) => self.decided = Some(tenant),
            (Some(Ok(tenant)), Some(decided)) if tenant != *decided => {
                let notice =
                    format!("{place} names the tenant {tenant}, but the run belongs to {decided}");
                self.notice(notice);
            }
            (Some(Err(invalid)), _) => self.notice(format!("{place}: {invalid}")),
            (Some(Ok(_)) | None, _) => {}
        }
    }

    /// A task's payload: the function that it is for writes its spans to the tenant it names,
    /// or to the default one. Nothing that comes later may name another tenant: what was
    /// written cannot move.
    pub(crate) fn saw_payload(
        &mut self,
        said: Option<Result<TenantId, InvalidTenantId>>,
        tracing: Tracing,
        place: &str,
    ) {
        let names_none = said.is_none();
        self.saw(said, place);
        self.decide();
        if let Some(decided) = &self.decided
            && names_none
            && tracing == Tracing::Joins
            && *decided != self.default
        {
            let notice = format!(
                "{place} names no tenant, so that what it calls is recorded for {}, but the run \
                 belongs to {decided}: add stepscope.tenant to the payload",
                self.default
            );
            self.notice(notice);
        }
    }

    /// Nothing that comes later may name another tenant: what was written cannot move.
    pub(crate) fn decide(&mut self) {
        if self.decided.is_none() {
            self.decided = Some(self.default.clone());
        }
    }

    fn notice(&mut self, notice: String) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }
}
