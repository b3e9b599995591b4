use std::ops::Range;

use crate::detectors::{EMAIL, URL_CREDENTIALS};

/// A place to mask, in bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) range: Range<usize>,
    pub(crate) detector: &'static str,
    /// Of those that overlap the lower one names the mask.
    pub(crate) rank: usize,
    /// What it is besides, when the place is one piece of encoded text.
    pub(crate) more: u32,
    pub(crate) encoding: Encoding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Base64,
}

/// In text order, with overlapping places joined, so that no part of any is left.
pub(crate) fn join(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| (finding.range.start, finding.rank));
    let mut joined: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        match joined.last_mut() {
            // In `scheme://user:password@host` only what is before the host is a secret.
            Some(last) if is_host_of(last, &finding) => {}
            Some(last) if finding.range.start < last.range.end => {
                let range = last.range.start..last.range.end.max(finding.range.end);
                if finding.rank < last.rank {
                    *last = finding;
                }
                last.range = range;
            }
            _ => joined.push(finding),
        }
    }
    joined
}

fn is_host_of(credentials: &Finding, address: &Finding) -> bool {
    credentials.detector == URL_CREDENTIALS
        && address.detector == EMAIL
        && address.range.start < credentials.range.end
}
