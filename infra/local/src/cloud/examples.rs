//! The workflows that `dev` knows from the start: the examples, and a folder of one's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use aws_sdk_sfn::error::{DisplayErrorContext, SdkError};
use aws_sdk_sfn::operation::create_state_machine::CreateStateMachineError;
use serde_json::{Value, json};
use state_language::MissingSubstitutions;

/// A workflow's definition, and what to run it with when nothing else is given.
#[derive(Clone, Debug)]
pub(crate) struct Workflow {
    pub name: String,
    /// Where the definition is from: a file, or the examples.
    pub source: String,
    pub definition: String,
    pub example_input: Option<Value>,
}

macro_rules! example {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../workflows/", $name, ".asl.json")),
            include_str!(concat!("../../../workflows/", $name, ".input.json")),
        )
    };
}

const EXAMPLES: [(&str, &str, &str); 3] = [
    example!("support-triage"),
    example!("flaky-enrichment"),
    example!("document-digest"),
];

/// What a definition may write as `${Name}`, as in SAM's `DefinitionSubstitutions`: the ARN of
/// the function that runs nodes, and where the examples' web service is.
pub(crate) const RUN_NODE_FUNCTION_ARN: &str = "RunNodeFunctionArn";
pub(crate) const DEMO_SERVICE_URL: &str = "DemoServiceUrl";

impl Workflow {
    /// The same with `${Name}`s replaced.
    pub(crate) fn substituted(
        mut self,
        substitutions: &BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        self.definition = state_language::substitute(&self.definition, substitutions)
            .map_err(|missing| anyhow!("{}", unknown_names(&self.source, &missing)))?;
        Ok(self)
    }

    /// Creates the state machine, or updates it when it is there already.
    pub(crate) async fn publish(
        &self,
        step_functions: &aws_sdk_sfn::Client,
        machine_arn: &str,
    ) -> anyhow::Result<()> {
        let created = step_functions
            .create_state_machine()
            .name(&self.name)
            .definition(&self.definition)
            .role_arn("arn:aws:iam::000000000000:role/local")
            .send()
            .await;
        let refusal = match created {
            Ok(_) => return Ok(()),
            Err(SdkError::ServiceError(refused)) => refused.into_err(),
            Err(error) => return Err(anyhow!("{}", DisplayErrorContext(error))),
        };
        if !matches!(
            refusal,
            CreateStateMachineError::StateMachineAlreadyExists(_)
        ) {
            return Err(anyhow!("{} is refused: {}", self.name, words(&refusal)));
        }
        let updated = step_functions
            .update_state_machine()
            .state_machine_arn(machine_arn)
            .definition(&self.definition)
            .send()
            .await;
        match updated {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(refused)) => Err(anyhow!(
                "{} is refused: {}",
                self.name,
                words(refused.err())
            )),
            Err(error) => Err(anyhow!("{}", DisplayErrorContext(error))),
        }
    }
}

fn unknown_names(source: &str, missing: &MissingSubstitutions) -> String {
    let lines = missing.missing.iter();
    let lines: Vec<String> = lines.map(|missing| format!("{source}:{missing}")).collect();
    format!(
        "{}; only ${{{RUN_NODE_FUNCTION_ARN}}} and ${{{DEMO_SERVICE_URL}}} have one here: write the \
         others out",
        lines.join("\n")
    )
}

/// The service's own message.
fn words(error: &impl aws_sdk_sfn::error::ProvideErrorMetadata) -> String {
    let message = error.message().or(error.code());
    message.unwrap_or("no reason was given").to_owned()
}

/// The examples, then those of `folder`, which may replace an example of the same name.
pub(crate) fn workflows(folder: Option<&Path>) -> anyhow::Result<Vec<Workflow>> {
    let mut workflows: BTreeMap<String, Workflow> = BTreeMap::new();
    for (name, definition, input) in EXAMPLES {
        let input: Value = serde_json::from_str(input)
            .with_context(|| format!("the example input of {name} is no JSON"))?;
        workflows.insert(
            name.to_owned(),
            Workflow {
                name: name.to_owned(),
                source: format!("the example {name}"),
                definition: definition.to_owned(),
                example_input: Some(input),
            },
        );
    }
    if let Some(folder) = folder {
        let entries = fs::read_dir(folder)
            .with_context(|| format!("cannot read the workflow folder {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if let Some(name) = workflow_name(&path) {
                workflows.insert(name, read(&path)?);
            }
        }
    }
    Ok(workflows.into_values().collect())
}

/// The workflow in a file, with the example input beside it if there is one.
pub(crate) fn read(path: &Path) -> anyhow::Result<Workflow> {
    let name = workflow_name(path).with_context(|| {
        format!(
            "{} is no workflow file: its name must end in .asl.json",
            path.display()
        )
    })?;
    let definition = fs::read_to_string(path)
        .with_context(|| format!("cannot read the workflow {}", path.display()))?;
    let input = path.with_file_name(format!("{name}.input.json"));
    let example_input = match fs::read_to_string(&input) {
        Ok(text) => Some(
            serde_json::from_str(&text)
                .with_context(|| format!("{} is not valid JSON", input.display()))?,
        ),
        Err(_) => None,
    };
    Ok(Workflow {
        name,
        source: path.display().to_string(),
        definition,
        example_input,
    })
}

fn workflow_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_suffix(".asl.json")?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// README files of this project's own dependencies as documents to digest: real prose that a
/// build has put on the machine. `None` where there are none.
pub(crate) fn readme_documents(cargo_home: &Path, most: usize) -> Option<Value> {
    /// Enough for a model to read, small enough for twenty of them in one state.
    const LONGEST: usize = 6_000;
    let mut packages: Vec<_> = fs::read_dir(cargo_home.join("registry/src"))
        .ok()?
        .flatten()
        .filter_map(|registry| fs::read_dir(registry.path()).ok())
        .flat_map(|packages| packages.flatten().map(|package| package.path()))
        .collect();
    packages.sort();
    let documents: Vec<Value> = packages
        .iter()
        .filter_map(|package| {
            let text = fs::read_to_string(package.join("README.md")).ok()?;
            let prose = text.split_whitespace().count() > 150;
            let end = text.floor_char_boundary(LONGEST);
            let name = package.file_name()?.to_str()?;
            prose.then(|| json!({"name": name, "text": &text[..end]}))
        })
        .take(most)
        .collect();
    (!documents.is_empty()).then(|| json!({"documents": documents}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_adds_workflows_and_replaces_examples() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine.asl.json"), "{}").unwrap();
        fs::write(folder.path().join("mine.input.json"), "[1]").unwrap();
        fs::write(folder.path().join("document-digest.asl.json"), "{}").unwrap();
        fs::write(folder.path().join("notes.txt"), "no workflow").unwrap();
        let found = workflows(Some(folder.path())).unwrap();
        let names: Vec<&str> = found.iter().map(|w| w.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "document-digest",
                "flaky-enrichment",
                "mine",
                "support-triage"
            ]
        );
        assert_eq!(found[2].example_input, Some(json!([1])));
        assert_eq!(found[0].definition, "{}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read(&folder.path().join("gone.asl.json"))
            .unwrap_err()
            .to_string();
        assert!(missing.contains("gone.asl.json"), "{missing}");
        let wrong = read(&folder.path().join("flow.json"))
            .unwrap_err()
            .to_string();
        assert!(wrong.contains(".asl.json"), "{wrong}");
    }
}
