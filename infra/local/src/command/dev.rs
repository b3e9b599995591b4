use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anstyle::Style;
use anyhow::Context as _;
use trace_model::TenantId;

use super::run;
use crate::arguments::{DevArguments, RunArguments, Target};
use crate::cloud::{CloudOptions, Endpoints, LocalCloud, Ports, claim_alone, examples};
use crate::terminal::say;
use crate::view::duration;

/// Documents that the demo digests.
const DEMO_DOCUMENTS: usize = 20;

/// Serves until Ctrl-C or SIGTERM.
pub(crate) async fn dev(arguments: DevArguments) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let lock = claim_alone(&arguments.cloud.data)?;
    let options = CloudOptions::new(
        &arguments.cloud,
        Ports {
            api: arguments.port,
            aws: arguments.aws_port.unwrap_or(match arguments.port {
                0 => 0,
                port => port.saturating_add(1),
            }),
        },
    );
    let cloud = LocalCloud::start(options, lock).await?;
    say(&ready(cloud.endpoints(), &arguments, begun.elapsed()));
    let interrupted = interrupted();
    tokio::pin!(interrupted);
    if arguments.demo {
        tokio::select! {
            done = demo(cloud.endpoints(), &arguments) => done?,
            stopped = &mut interrupted => {
                stopped?;
                cloud.shutdown().await?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        say(&next_steps(cloud.endpoints()));
    }
    interrupted.await?;
    say("stopping");
    cloud.shutdown().await?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the examples, each with the trace it left.
async fn demo(endpoints: &Endpoints, arguments: &DevArguments) -> anyhow::Result<()> {
    let bold = Style::new().bold();
    for (workflow, tenant) in [
        ("support-triage", "acme"),
        ("flaky-enrichment", "globex"),
        ("document-digest", "acme"),
    ] {
        say(&format!(
            "\n{bold}▶ stepscope run {workflow} --tenant {tenant}{bold:#}\n"
        ));
        let documents = match workflow {
            "document-digest" => {
                cargo_home().and_then(|home| examples::readme_documents(&home, DEMO_DOCUMENTS))
            }
            _ => None,
        };
        run::run(RunArguments {
            workflow: workflow.to_owned(),
            input: documents.map(|documents| documents.to_string()),
            tenant: TenantId::parse(tenant)?,
            name: None,
            json: false,
            all: false,
            target: Target {
                url: Some(endpoints.url.clone()),
                cloud: arguments.cloud.clone(),
            },
        })
        .await
        .with_context(|| format!("the example {workflow} did not run"))?;
    }
    Ok(())
}

/// Where Cargo keeps the sources of what this was built from.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line may read the environment"
)]
fn cargo_home() -> Option<PathBuf> {
    let home = |name| std::env::var_os(name).map(PathBuf::from);
    home("CARGO_HOME").or_else(|| home("HOME").map(|home| home.join(".cargo")))
}

fn ready(endpoints: &Endpoints, arguments: &DevArguments, took: Duration) -> String {
    let bold = Style::new().bold();
    format!(
        "{bold}Stepscope's local cloud is ready{bold:#} after {}\n\n  API   {}  (OpenAPI at {}openapi.json)\n  \
         AWS   {}  (Step Functions, DynamoDB and S3, for functions of your own)\n  Data  {}",
        duration(took),
        endpoints.url,
        endpoints.url,
        endpoints.aws_endpoint_url,
        arguments.cloud.data.display(),
    )
}

fn next_steps(endpoints: &Endpoints) -> String {
    let bold = Style::new().bold();
    format!(
        "\n{bold}Serving until Ctrl-C.{bold:#} In another terminal:\n\n  \
         stepscope executions --tenant acme\n  \
         curl -H \"Authorization: Bearer $(stepscope token --tenant acme)\" {}executions\n\n\
         The example tenants are acme and globex. Without `cargo install --path infra/local`, \
         write `cargo run --quiet --` for `stepscope`.",
        endpoints.url
    )
}

async fn interrupted() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
