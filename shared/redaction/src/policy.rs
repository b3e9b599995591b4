/// Which detectors run, and under which name a masked span says so.
#[derive(Clone, Debug)]
pub struct Policy {
    name: String,
}

impl Policy {
    /// Secrets by well-known formats and by key name, email addresses, payment cards.
    pub fn standard() -> Self {
        Self {
            name: "standard-1".to_owned(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}
