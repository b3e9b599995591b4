use std::collections::HashMap;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use super::details::{Part, WhenNarrow, arrange, fit, kept_width};
use super::{cost, duration, safe, tokens};

/// One span as the tree shows it.
#[derive(Clone, Debug)]
pub(crate) struct TreeSpan {
    pub span_id: String,
    pub parent_span_id: Option<String>,
    pub name: String,
    pub kind: String,
    /// A Map's iteration: its index.
    pub iteration: Option<u64>,
    /// Of the history: the order of what begins together.
    pub event_id: Option<u64>,
    pub start_offset: Duration,
    /// `None` while the span is open.
    pub duration: Option<Duration>,
    pub error: Option<String>,
    /// What is to be said of it beside that, such as who answered it.
    pub note: Option<String>,
    pub model: Option<String>,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub cost_usd: Option<f64>,
    pub time_to_first_token: Option<Duration>,
}

/// Whether many alike siblings are shown one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folding {
    /// After the first few iterations of a Map, those that went well are counted.
    Iterations,
    None,
}

/// A trace as a tree with bars on one time axis.
pub(crate) struct TraceTree<'a> {
    pub spans: &'a [TreeSpan],
    /// The time axis: the run's length, or its age while it runs.
    pub total: Duration,
    /// Columns of the terminal.
    pub width: usize,
    pub folding: Folding,
}

/// Iterations shown before folding begins, and how many more make it worth it.
const SHOWN_ITERATIONS: usize = 3;
const DURATION: usize = 10;
/// Columns between label, details, bar and duration.
const GAPS: usize = 5;
/// A label needs this much to tell rows apart.
const SHORTEST_LABEL: usize = 24;
const SHORTEST_DETAIL: usize = 12;

struct Row {
    label: String,
    label_style: Style,
    detail: Vec<Part>,
    detail_style: Style,
    bar: Option<Bar>,
    bar_style: Style,
    duration: String,
}

/// A span's place on the time axis.
#[derive(Clone, Copy)]
struct Bar {
    begin: Duration,
    end: Duration,
}

/// Columns of each part of a line.
struct Layout {
    label: usize,
    detail: usize,
    bar: usize,
}

/// A line still to be made: a span, or the iterations that were folded.
enum Pending {
    Span {
        index: usize,
        prefix: String,
        last: bool,
    },
    Folded {
        count: usize,
        prefix: String,
        last: bool,
        longest: Duration,
    },
}

impl TraceTree<'_> {
    /// The tree as text with ANSI styles; every span that has no parent here is a root.
    pub(crate) fn render(&self) -> String {
        let rows = self.rows();
        let layout = self.layout(&rows);
        let mut text = String::new();
        for row in &rows {
            let label = fit(&row.label, layout.label);
            let detail = fit(&arrange(&row.detail, layout.detail), layout.detail);
            let bar = self.bar(row.bar, layout.bar);
            let (ls, ds, bs) = (row.label_style, row.detail_style, row.bar_style);
            let line = format!(
                "{ls}{label}{ls:#}  {ds}{detail}{ds:#}  {bs}{bar}{bs:#} {:>DURATION$}",
                row.duration
            );
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// A narrow terminal shortens the bars first, then the names; tokens and costs stay.
    fn layout(&self, rows: &[Row]) -> Layout {
        let bar = match self.width {
            ..80 => 8,
            80..100 => 14,
            _ => 22,
        };
        let room = self.width.saturating_sub(bar + DURATION + GAPS);
        let kept = rows.iter().map(|row| kept_width(&row.detail));
        let kept = kept.max().unwrap_or(0).max(SHORTEST_DETAIL);
        let label = rows.iter().map(|row| row.label.width()).max().unwrap_or(0);
        let label = label.min(room.saturating_sub(kept).max(SHORTEST_LABEL));
        Layout {
            label,
            detail: room.saturating_sub(label).max(SHORTEST_DETAIL),
            bar,
        }
    }

    fn rows(&self) -> Vec<Row> {
        let known: HashMap<&str, usize> = self
            .spans
            .iter()
            .enumerate()
            .map(|(index, span)| (span.span_id.as_str(), index))
            .collect();
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); self.spans.len()];
        let mut roots = Vec::new();
        for (index, span) in self.spans.iter().enumerate() {
            let parent = span.parent_span_id.as_deref();
            match parent.and_then(|parent| known.get(parent)) {
                Some(&parent) if parent != index => children[parent].push(index),
                _ => roots.push(index),
            }
        }
        roots.extend(cut_cycles(&children, &roots));
        let mut pending: Vec<Pending> = Vec::new();
        self.push_level(&mut pending, &roots, "");
        let mut shown = vec![false; self.spans.len()];
        let mut rows = Vec::new();
        while let Some(next) = pending.pop() {
            match next {
                Pending::Span { index, .. } if std::mem::replace(&mut shown[index], true) => {}
                Pending::Span {
                    index,
                    prefix,
                    last,
                } => {
                    let is_root = roots.contains(&index);
                    let branch = match (is_root, last) {
                        (true, _) => "",
                        (false, true) => "└─ ",
                        (false, false) => "├─ ",
                    };
                    rows.push(self.span_row(index, &format!("{prefix}{branch}")));
                    let below = match (is_root, last) {
                        (true, _) => prefix,
                        (false, true) => prefix + "   ",
                        (false, false) => prefix + "│  ",
                    };
                    self.push_level(&mut pending, &children[index], &below);
                }
                Pending::Folded {
                    count,
                    prefix,
                    last,
                    longest,
                } => {
                    let branch = if last { "└─ " } else { "├─ " };
                    rows.push(Row {
                        label: format!("{prefix}{branch}… {count} more iterations"),
                        label_style: Style::new().dimmed(),
                        detail: vec![Part::new(
                            format!("all went well, none over {}", duration(longest)),
                            WhenNarrow::Shortened,
                        )],
                        detail_style: Style::new().dimmed(),
                        bar: None,
                        bar_style: Style::new(),
                        duration: String::new(),
                    });
                }
            }
        }
        rows
    }

    /// Puts one level of siblings on the stack, last first.
    fn push_level(&self, pending: &mut Vec<Pending>, siblings: &[usize], prefix: &str) {
        let mut siblings = siblings.to_vec();
        siblings.sort_by_key(|&index| {
            let span = &self.spans[index];
            // Iterations begin when there is room for them, and are read by their index.
            let start = span.iteration.map_or((span.start_offset, None), |index| {
                (Duration::ZERO, Some(index))
            });
            (start, span.event_id, span.span_id.clone())
        });
        let folds = |index: &usize| {
            let span = &self.spans[*index];
            span.kind == "iteration" && span.error.is_none() && span.duration.is_some()
        };
        let mut level: Vec<Pending> = Vec::new();
        let mut seen = 0;
        let mut folded: Vec<usize> = Vec::new();
        let worth_it = self.folding == Folding::Iterations
            && siblings.iter().filter(|index| folds(index)).count() > SHOWN_ITERATIONS + 1;
        for index in siblings {
            if worth_it && folds(&index) {
                seen += 1;
                if seen > SHOWN_ITERATIONS {
                    folded.push(index);
                    continue;
                }
            }
            let prefix = prefix.to_owned();
            level.push(Pending::Span {
                index,
                prefix,
                last: false,
            });
        }
        if !folded.is_empty() {
            let longest = folded
                .iter()
                .filter_map(|&index| self.spans[index].duration);
            level.push(Pending::Folded {
                count: folded.len(),
                prefix: prefix.to_owned(),
                last: false,
                longest: longest.max().unwrap_or_default(),
            });
        }
        if let Some(Pending::Span { last, .. } | Pending::Folded { last, .. }) = level.last_mut() {
            *last = true;
        }
        pending.extend(level.into_iter().rev());
    }

    fn span_row(&self, index: usize, prefix: &str) -> Row {
        let span = &self.spans[index];
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        let failed = span.error.is_some();
        let label_style = match span.kind.as_str() {
            "run" | "state" => Style::new().bold(),
            "iteration" | "attempt" => Style::new().dimmed(),
            _ => Style::new(),
        };
        let bar_colour = match span.kind.as_str() {
            _ if failed => AnsiColor::Red,
            "model" | "embedding" => AnsiColor::Magenta,
            "http" => AnsiColor::Cyan,
            "run" | "state" => AnsiColor::Blue,
            _ => AnsiColor::BrightBlack,
        };
        Row {
            label: format!("{prefix}{}", safe(&span.name)),
            label_style,
            detail: detail(span),
            detail_style: if failed {
                colour(AnsiColor::Red)
            } else {
                Style::new().dimmed()
            },
            bar: Some(Bar {
                begin: span.start_offset,
                end: span.duration.map_or(self.total, |d| span.start_offset + d),
            }),
            bar_style: colour(bar_colour),
            duration: span.duration.map_or("running".to_owned(), duration),
        }
    }

    /// Cells in eighths, at the bar's place on the run's time axis.
    fn bar(&self, bar: Option<Bar>, width: usize) -> String {
        const PARTS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
        let Some(Bar { begin, end }) = bar else {
            return " ".repeat(width);
        };
        let total = self.total.as_micros().max(1);
        let eighths = |time: Duration| {
            usize::try_from(time.as_micros() * (width as u128 * 8) / total).unwrap_or(usize::MAX)
        };
        let begin = (eighths(begin) / 8).min(width - 1);
        let end = eighths(end).clamp(begin * 8 + 1, width * 8);
        let mut bar = " ".repeat(begin);
        bar.extend(std::iter::repeat_n('█', end / 8 - begin));
        if end % 8 > 0 {
            bar.push(PARTS[end % 8]);
        }
        let filled = bar.chars().count();
        bar.extend(std::iter::repeat_n(' ', width - filled));
        bar
    }
}

/// One span of each cycle of parents, where it is cut so that all of it is shown.
fn cut_cycles(children: &[Vec<usize>], roots: &[usize]) -> Vec<usize> {
    let mut reached = vec![false; children.len()];
    let mut cuts = Vec::new();
    for (index, is_cut) in roots
        .iter()
        .map(|&root| (root, false))
        .chain((0..children.len()).map(|index| (index, true)))
    {
        if is_cut && !reached[index] {
            cuts.push(index);
        }
        let mut pending = vec![index];
        while let Some(index) = pending.pop() {
            if !std::mem::replace(&mut reached[index], true) {
                pending.extend(&children[index]);
            }
        }
    }
    cuts
}

fn detail(span: &TreeSpan) -> Vec<Part> {
    use WhenNarrow::{Dropped, Kept, Shortened};
    let mut parts: Vec<Part> = Vec::new();
    if let Some(error) = &span.error {
        parts.push(Part::new(format!("✗ {}", safe(error)), Shortened));
    }
    if let Some(note) = &span.note {
        parts.push(Part::new(safe(note), Shortened));
    }
    if let Some(model) = &span.model {
        parts.push(Part::new(safe(model), Shortened));
    }
    let tokens = tokens(span.input_tokens, span.output_tokens);
    parts.extend(tokens.map(|tokens| Part::new(tokens, Kept)));
    if matches!(span.kind.as_str(), "model" | "embedding") {
        let cost = span.cost_usd.map_or("cost unknown".to_owned(), cost);
        parts.push(Part::new(cost, Kept));
    }
    if let Some(first) = span.time_to_first_token {
        let first = format!("first token {}", duration(first));
        parts.push(Part::new(first, Dropped));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>, kind: &str, start: u64, length: u64) -> TreeSpan {
        TreeSpan {
            span_id: id.to_owned(),
            parent_span_id: parent.map(str::to_owned),
            name: id.to_owned(),
            kind: kind.to_owned(),
            iteration: None,
            event_id: None,
            start_offset: Duration::from_millis(start),
            duration: Some(Duration::from_millis(length)),
            error: None,
            note: None,
            model: None,
            input_tokens: None,
            output_tokens: None,
            cost_usd: None,
            time_to_first_token: None,
        }
    }

    fn render(spans: &[TreeSpan], folding: Folding) -> String {
        render_in(spans, folding, 90)
    }

    fn render_in(spans: &[TreeSpan], folding: Folding, width: usize) -> String {
        let total = Duration::from_millis(100);
        let tree = TraceTree {
            spans,
            total,
            width,
            folding,
        };
        anstream::adapter::strip_str(&tree.render()).to_string()
    }

    fn example() -> Vec<TreeSpan> {
        let mut model = span("chat", Some("attempt 1"), "model", 10, 40);
        model.model = Some("demo-model".to_owned());
        model.input_tokens = Some(1_200);
        model.output_tokens = Some(40);
        let mut failed = span("LookUp", Some("run"), "state", 50, 50);
        failed.error = Some(
            "Http.Status404: GET http://127.0.0.1:34343/customers/never answered 404:\nno such customer"
                .to_owned(),
        );
        let mut asked = span("Approve", Some("run"), "attempt", 50, 20);
        asked.note = Some("approved by ada, waited 20 ms".to_owned());
        vec![
            span("run", None, "run", 0, 100),
            span("Classify", Some("run"), "state", 0, 50),
            span("attempt 1", Some("Classify"), "attempt", 0, 50),
            model,
            asked,
            failed,
        ]
    }

    #[test]
    fn a_run_reads_as_a_tree_with_bars() {
        insta::assert_snapshot!(render_in(&example(), Folding::Iterations, 120));
    }

    #[test]
    fn at_70_columns_tokens_and_cost_are_there() {
        let narrow = render_in(&example(), Folding::Iterations, 70);
        for line in narrow.lines() {
            assert!(line.width() <= 70, "{line}");
        }
        insta::assert_snapshot!(narrow);
    }

    #[test]
    fn alike_iterations_fold_and_a_failed_one_does_not() {
        let mut spans = vec![
            span("run", None, "run", 0, 100),
            span("Map", Some("run"), "state", 0, 100),
        ];
        for index in 0..20 {
            spans.push(span(
                &format!("#{index}"),
                Some("Map"),
                "iteration",
                index,
                5,
            ));
        }
        spans[15].error = Some("States.Timeout".to_owned());
        let folded = render(&spans, Folding::Iterations);
        assert!(folded.contains("… 16 more iterations"), "{folded}");
        assert!(folded.contains("#13"), "{folded}");
        assert_eq!(folded.lines().count(), 2 + 3 + 1 + 1);
        assert_eq!(render(&spans, Folding::None).lines().count(), 22);
    }

    #[test]
    fn a_cycle_of_parents_is_shown_whole() {
        let spans = [
            span("run", None, "run", 0, 100),
            span("a", Some("b"), "node", 10, 5),
            span("b", Some("a"), "node", 20, 5),
        ];
        assert_eq!(render(&spans, Folding::None).lines().count(), 3);
    }

    #[test]
    fn an_orphan_and_a_self_parent_are_shown_as_roots() {
        let spans = [
            span("run", None, "run", 0, 100),
            span("lost", Some("nowhere"), "node", 10, 5),
            span("self", Some("self"), "node", 20, 5),
        ];
        assert_eq!(render(&spans, Folding::None).lines().count(), 3);
    }
}
