use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstyle::Style;
use anyhow::{Context as _, anyhow};

use crate::arguments::InstrumentArguments;
use crate::instrument::{self, InputFields, Instrumented, Options, PathPayloads, StateReport};
use crate::terminal::{print, say, warn};
use crate::view::safe;

/// Where the result goes.
enum Destination {
    /// Nowhere: only whether there is something to add.
    Check,
    StandardOutput,
    File(PathBuf),
}

pub(crate) fn instrument(arguments: &InstrumentArguments) -> anyhow::Result<ExitCode> {
    let file = &arguments.file;
    let text = fs::read_to_string(file)
        .with_context(|| format!("cannot read the definition {}", file.display()))?;
    let instrumented = instrument::instrument(&text, &options(arguments))
        .map_err(|malformed| anyhow!("{}:{malformed}", file.display()))?;
    let destination = destination(arguments);
    let report = report(file, &instrumented, &destination);
    match destination {
        Destination::Check => {
            say(&report);
            if instrumented.is_changed() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Destination::StandardOutput => {
            print(&instrumented.text)?;
            warn(&report);
        }
        Destination::File(destination) => {
            if instrumented.is_changed() || destination != *file {
                write(&destination, &instrumented.text)?;
            }
            say(&report);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn options(arguments: &InstrumentArguments) -> Options {
    Options {
        tenant: arguments.tenant.clone(),
        path_payloads: if arguments.assume_objects {
            PathPayloads::AssumeObjects
        } else {
            PathPayloads::Leave
        },
        input_fields: if arguments.replace_input_headers {
            InputFields::Replace
        } else {
            InputFields::Keep
        },
    }
}

fn destination(arguments: &InstrumentArguments) -> Destination {
    match &arguments.output {
        _ if arguments.check => Destination::Check,
        Some(output) if output.as_os_str() == "-" => Destination::StandardOutput,
        Some(output) => Destination::File(output.clone()),
        None => Destination::File(arguments.file.clone()),
    }
}

/// All of it or nothing: whoever reads the file meanwhile sees the old text or the new one.
fn write(destination: &Path, text: &str) -> anyhow::Result<()> {
    // A link stays a link.
    let real = fs::canonicalize(destination).unwrap_or_else(|_| destination.to_owned());
    let folder = match real.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let written = || -> std::io::Result<()> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".stepscope-");
        let mut temporary = match fs::metadata(&real) {
            Ok(metadata) => {
                let temporary = builder.tempfile_in(folder)?;
                temporary
                    .as_file()
                    .set_permissions(metadata.permissions())?;
                temporary
            }
            Err(_) => new_file(&mut builder).tempfile_in(folder)?,
        };
        temporary.write_all(text.as_bytes())?;
        temporary.as_file().sync_all()?;
        temporary.persist(&real)?;
        Ok(())
    };
    written().with_context(|| format!("cannot write {}", destination.display()))
}

/// As readable as the user's other files; the crate makes its files private.
#[cfg(unix)]
fn new_file<'b, 'p, 's>(
    builder: &'b mut tempfile::Builder<'p, 's>,
) -> &'b mut tempfile::Builder<'p, 's> {
    use std::os::unix::fs::PermissionsExt as _;
    builder.permissions(fs::Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn new_file<'b, 'p, 's>(
    builder: &'b mut tempfile::Builder<'p, 's>,
) -> &'b mut tempfile::Builder<'p, 's> {
    builder
}

fn report(file: &Path, instrumented: &Instrumented, destination: &Destination) -> String {
    let bold = Style::new().bold();
    let states = &instrumented.states;
    let added = states
        .iter()
        .filter(|state| !state.added.is_empty())
        .count();
    let left = states.iter().filter(|state| state.left.is_some()).count();
    let verb = match destination {
        Destination::Check => "to instrument",
        Destination::StandardOutput | Destination::File(_) => "instrumented",
    };
    let mut lines = vec![format!(
        "{bold}{}{bold:#}  {added} {verb}, {} instrumented already, {left} left",
        safe(&file.display().to_string()),
        states.len() - added - left,
    )];
    for state in states {
        lines.extend(state_lines(state));
    }
    if states.is_empty() {
        lines.push("  no task of it calls a Lambda function".to_owned());
    }
    lines.extend(
        instrumented
            .notes
            .iter()
            .map(|note| format!("note: {note}")),
    );
    lines.join("\n")
}

fn state_lines(state: &StateReport) -> Vec<String> {
    let place = format!("{}  {}:{}", safe(&state.path), state.line, state.column);
    let mut lines = Vec::new();
    match &state.left {
        Some(left) => {
            lines.push(format!("! {place}"));
            lines.push(format!("    {}", safe(&left.reason)));
            lines.push(format!("    → {}", safe(&left.advice)));
        }
        None if state.added.is_empty() => lines.push(format!("= {place}")),
        None => lines.push(format!("+ {place}")),
    }
    lines.extend(
        state
            .added
            .iter()
            .map(|path| format!("    + {}", safe(path))),
    );
    lines.extend(
        state
            .notes
            .iter()
            .map(|note| format!("    note: {}", safe(note))),
    );
    lines
}
