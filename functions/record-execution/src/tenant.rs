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
