//! What is wrong with definitions, told before anything runs.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use state_language::{Checked, Problem, Severity, Substitutions};

use crate::arguments::CheckArguments;
use crate::terminal::say;
use crate::view::safe;

/// A definition's text, and what to call it.
struct Source {
    name: String,
    text: String,
}

/// The problems of one definition.
struct Report {
    name: String,
    problems: Vec<Problem>,
}

pub(crate) fn check(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let sources = sources(&arguments.files)?;
    let reports: Vec<Report> = sources.into_iter().map(report).collect();
    if arguments.json {
        say(&serde_json::to_string_pretty(&as_json(&reports))?);
    } else {
        for report in &reports {
            for problem in &report.problems {
                say(&line(&report.name, problem));
            }
        }
        say(&summary(&reports));
    }
    Ok(match count(&reports, Severity::Error) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// What there is to say against a definition as it stands in a file: `${Name}` is the deployment's.
pub(crate) fn checked(text: &str) -> Checked {
    local_step_functions::check(text, Substitutions::Open)
}

/// `file:line:column: severity: path: message; advice [rule]`.
pub(crate) fn line(file: &str, problem: &Problem) -> String {
    let severity = problem.severity();
    let color = match severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
    };
    let style = Style::new().bold().fg_color(Some(color.into()));
    format!(
        "{}:{}:{}: {style}{}{style:#}: {}: {}; {} [{}]",
        safe(file),
        problem.line,
        problem.column,
        severity.name(),
        safe(problem.place()),
        safe(&problem.message),
        safe(&problem.advice),
        problem.rule.name(),
    )
}

fn sources(files: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for file in files {
        if file == Path::new("-") {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .context("cannot read a definition from standard input")?;
            let name = "<stdin>".to_owned();
            sources.push(Source { name, text });
        } else if file.is_dir() {
            for file in definitions_in(file)? {
                sources.push(read(&file)?);
            }
        } else {
            sources.push(read(file)?);
        }
    }
    Ok(sources)
}

fn definitions_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.ends_with(".asl.json")) {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!(
            "there is no definition in {}: a file's name must end in .asl.json",
            folder.display()
        );
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> anyhow::Result<Source> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("cannot read the definition {}", file.display()))?;
    let name = file.display().to_string();
    Ok(Source { name, text })
}

fn report(source: Source) -> Report {
    Report {
        problems: checked(&source.text).problems,
        name: source.name,
    }
}

fn count(reports: &[Report], severity: Severity) -> usize {
    let problems = reports.iter().flat_map(|report| &report.problems);
    problems
        .filter(|problem| problem.severity() == severity)
        .count()
}

fn summary(reports: &[Report]) -> String {
    let many = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    let errors = many(count(reports, Severity::Error), "error");
    let warnings = many(count(reports, Severity::Warning), "warning");
    let definitions = many(reports.len(), "definition");
    format!("{errors} and {warnings} in {definitions}")
}

fn as_json(reports: &[Report]) -> Value {
    let problem = |problem: &Problem| {
        json!({
            "rule": problem.rule.name(),
            "severity": problem.severity().name(),
            "path": problem.path,
            "state": problem.state,
            "line": problem.line,
            "column": problem.column,
            "message": problem.message,
            "advice": problem.advice,
        })
    };
    let files: Vec<Value> = reports
        .iter()
        .map(|report| {
            let problems: Vec<Value> = report.problems.iter().map(problem).collect();
            json!({"file": report.name, "problems": problems})
        })
        .collect();
    json!({
        "files": files,
        "errors": count(reports, Severity::Error),
        "warnings": count(reports, Severity::Warning),
    })
}
