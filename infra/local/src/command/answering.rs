//! The commands that answer a task, as a person has to type them.

use std::path::Path;

use anstyle::{AnsiColor, Style};
use trace_model::TenantId;

use crate::api::Approval;
use crate::arguments::{DEFAULT_DATA, Target};
use crate::view::safe;

/// What such a command needs beside the span: the same cloud and the same tenant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answering {
    options: String,
}

impl Answering {
    pub(crate) fn new(target: &Target, tenant: &TenantId) -> Self {
        let mut options: Vec<String> = Vec::new();
        if *tenant != TenantId::default() {
            options.push(format!(" --tenant {tenant}"));
        }
        if let Some(url) = &target.url {
            options.push(format!(" --url {url}"));
        } else if target.cloud.data != Path::new(DEFAULT_DATA) {
            options.push(format!(" --data {}", quoted(&target.cloud.data)));
        }
        Self {
            options: options.concat(),
        }
    }

    /// `stepscope approve SPAN …`
    pub(crate) fn command(&self, verb: &str, span_id: &str) -> String {
        format!("stepscope {verb} {}{}", safe(span_id), self.options)
    }

    /// Who is waited for, and what to type.
    pub(crate) fn hint(&self, approval: &Approval) -> String {
        let style = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
        let state = safe(&approval.state);
        let asks = match approval.question.as_deref() {
            Some(question) => format!(": {}", safe(question)),
            None => String::new(),
        };
        let mut hint = format!("{style}           ⏸ {state} waits for an answer{asks}{style:#}");
        if approval.can_be_answered {
            for verb in ["approve", "reject"] {
                hint += "\n             ";
                hint += &self.command(verb, &approval.span_id);
            }
        }
        hint
    }
}

/// For a shell; a plain path stays as it is.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text
        .chars()
        .all(|letter| letter.is_alphanumeric() || matches!(letter, '/' | '.' | '_' | '-'));
    if is_plain {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_the_shell() {
        let check = |path: &str, expected: &str| assert_eq!(quoted(Path::new(path)), expected);
        check("/tmp/data-1", "/tmp/data-1");
        check("/my data", "'/my data'");
        check("it's", r"'it'\''s'");
    }
}
