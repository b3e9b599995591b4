//! What a row says beside its name, and how much of it fits.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr};

/// Between two parts.
const GAP: &str = "  ";

/// Less than this of a text says nothing.
const SHORTEST: usize = 8;

/// An address keeps this much when room is short.
const SHORTEST_ADDRESS: usize = 20;

/// One thing a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub text: String,
    pub when_narrow: WhenNarrow,
}

/// What becomes of a part that there is no room for, first things first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenNarrow {
    /// The first to go.
    Dropped,
    /// Loses its middle: beginnings and ends tell things apart.
    Shortened,
    /// Stays as it is.
    Kept,
}

impl Part {
    pub(crate) fn new(text: impl Into<String>, when_narrow: WhenNarrow) -> Self {
        Self {
            text: text.into(),
            when_narrow,
        }
    }
}

/// Columns that the parts need which must stay whole.
pub(crate) fn kept_width(parts: &[Part]) -> usize {
    let kept: Vec<&Part> = parts
        .iter()
        .filter(|part| part.when_narrow == WhenNarrow::Kept)
        .collect();
    width_of(kept.iter().map(|part| part.text.as_str()))
}

/// The parts in at most `width` columns, if that can be.
pub(crate) fn arrange(parts: &[Part], width: usize) -> String {
    let mut parts: Vec<Part> = parts.to_vec();
    let total = |parts: &[Part]| width_of(parts.iter().map(|part| part.text.as_str()));
    if total(&parts) > width {
        parts.retain(|part| part.when_narrow != WhenNarrow::Dropped);
    }
    for at in (0..parts.len()).rev() {
        let excess = total(&parts).saturating_sub(width);
        if excess == 0 {
            break;
        }
        let part = &mut parts[at];
        if part.when_narrow == WhenNarrow::Shortened {
            let room = part.text.width().saturating_sub(excess);
            part.text = if room < SHORTEST {
                String::new()
            } else {
                shortened(&part.text, room)
            };
        }
        parts.retain(|part| !part.text.is_empty());
    }
    let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
    texts.join(GAP)
}

fn width_of<'text>(texts: impl Iterator<Item = &'text str>) -> usize {
    let widths: Vec<usize> = texts.map(UnicodeWidthStr::width).collect();
    widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

/// Without the middle of its addresses, which say the least for their length, and then without its
/// own.
fn shortened(text: &str, room: usize) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for at in 0..words.len() {
        let excess = words.join(" ").width().saturating_sub(room);
        let width = words[at].width();
        if excess > 0 && words[at].contains("://") && width > SHORTEST_ADDRESS {
            let kept = width.saturating_sub(excess).max(SHORTEST_ADDRESS);
            words[at] = without_middle(&words[at], kept);
        }
    }
    without_middle(&words.join(" "), room)
}

/// At most `room` columns, with an ellipsis for what is missing; the beginning gets the larger
/// part.
fn without_middle(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let end_room = room.saturating_sub(1) / 3;
    let beginning_room = room.saturating_sub(1) - end_room;
    let mut shown = taken(text.chars(), beginning_room);
    let end: String = taken(text.chars().rev(), end_room).chars().rev().collect();
    shown.push('…');
    shown + &end
}

fn taken(characters: impl Iterator<Item = char>, room: usize) -> String {
    let mut used = 0;
    characters
        .take_while(|character| {
            used += character.width().unwrap_or(0);
            used <= room
        })
        .collect()
}

/// The text in exactly `width` columns: padded, or cut with an ellipsis.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let whole = text.width() <= width;
    let mut fitted = if whole {
        text.to_owned()
    } else {
        taken(text.chars(), width.saturating_sub(1)) + "…"
    };
    let padding = width.saturating_sub(fitted.width());
    let _ = write!(fitted, "{}", " ".repeat(padding));
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model_call() -> Vec<Part> {
        vec![
            Part::new("demo-model-with-a-name", WhenNarrow::Shortened),
            Part::new("136 → 84 tok", WhenNarrow::Kept),
            Part::new("$0.000123", WhenNarrow::Kept),
            Part::new("first token 1.4 ms", WhenNarrow::Dropped),
        ]
    }

    fn check(parts: &[Part], width: usize, expected: &str) {
        let arranged = arrange(parts, width);
        assert_eq!(arranged, expected);
        assert!(
            arranged.width() <= width.max(kept_width(parts)),
            "{arranged}"
        );
    }

    #[test]
    fn tokens_and_cost_stay_when_room_is_short() {
        let all = "demo-model-with-a-name  136 → 84 tok  $0.000123  first token 1.4 ms";
        check(&model_call(), 67, all);
        check(
            &model_call(),
            66,
            "demo-model-with-a-name  136 → 84 tok  $0.000123",
        );
        check(
            &model_call(),
            40,
            "demo-model…name  136 → 84 tok  $0.000123".trim_end(),
        );
        check(&model_call(), 23, "136 → 84 tok  $0.000123");
        check(&model_call(), 10, "136 → 84 tok  $0.000123");
        assert_eq!(kept_width(&model_call()), 23);
    }

    #[test]
    fn an_error_keeps_its_beginning_and_its_end() {
        let error = "✗ Http.Status404: GET http://127.0.0.1:34343/customers/by-mail/never@nowhere \
                     answered 404 Not Found";
        let parts = [Part::new(error, WhenNarrow::Shortened)];
        check(&parts, 200, error);
        check(
            &parts,
            70,
            "✗ Http.Status404: GET http://127.0.0.1…@nowhere answered 404 Not Found",
        );
        check(&parts, 30, "✗ Http.Status404: GE…Not Found");
    }

    #[test]
    fn wide_characters_count_double() {
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本", 5), "日本 ");
        assert_eq!(without_middle("日本語日本語", 7), "日本…語");
    }
}
