//! The one place that prints.
use std::io::{IsTerminal as _, Write as _, stdout};

/// One line or block for whoever reads the command's result; styles only where they show.
pub(crate) fn say(text: &str) {
    anstream::println!("{text}");
}

/// The result as it is, byte for byte: no style is looked for in it.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    let mut output = stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Beside the result: notes, warnings, errors.
pub(crate) fn warn(text: &str) {
    anstream::eprintln!("{text}");
}

/// Columns to fill: the terminal's, or a width that reads well in a file.
pub(crate) fn width() -> usize {
    let columns = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    match columns {
        Some(columns) if stdout().is_terminal() => columns.clamp(60, 200),
        _ => 120,
    }
}
