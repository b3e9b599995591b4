//! The application, deployed by `sam deploy` as a user deploys it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

use crate::account::{Account, REGION};
use crate::bootstraps::{self, repository};
use crate::collector::Collector;
use crate::emulator::{Emulator, Iam, tool};
use crate::processes::run;
use crate::support::{Dev, Folder};
use crate::traces::Api;

const SAM: &str = "aws-sam-cli-1.170.0";

/// What one stack consists of here: the emulator it is deployed to, and the local cloud that
/// issues tokens, serves the demo service and is compared with.
pub(crate) struct Application {
    // In the order in which they end.
    pub(crate) account: Account,
    pub(crate) emulator: Emulator,
    pub(crate) collector: Collector,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) dev: Dev,
    pub(crate) folder: Folder,
}

impl Application {
    /// From nothing to a deployed stack. The parameters may name the demo services' address as
    /// `DEMO`, the local issuer as `ISSUER`, and the `COLLECTOR`.
    pub(crate) fn deploy(iam: Iam, parameters: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let dev = folder.dev(&[]);
        let emulator = Emulator::start(folder.path(), iam);
        let collector = Collector::start(folder.path());
        let demo = std::fs::read_to_string(folder.data().join("demo-port")).unwrap();
        let issuer = dev.url.trim_end_matches('/');
        let places = [
            ("DEMO", format!("127.0.0.1:{}", demo.trim())),
            ("ISSUER", issuer.to_owned()),
            ("COLLECTOR", collector.url()),
        ];
        let parameters: Vec<(String, String)> = parameters
            .iter()
            .map(|(name, value)| {
                let mut value = (*value).to_owned();
                for (place, address) in &places {
                    value = value.replace(place, address);
                }
                ((*name).to_owned(), value)
            })
            .collect();
        let source = folder.path().join("application");
        lay_out(&source, &emulator.url);
        let account = Account::root(&emulator.url);
        let mut application = Self {
            account,
            emulator,
            collector,
            outputs: BTreeMap::new(),
            dev,
            folder,
        };
        application.outputs = application.sam_deploy("stepscope", &source, &parameters);
        application
    }

    /// `sam deploy`, and the stack's outputs.
    pub(crate) fn sam_deploy(
        &self,
        stack: &str,
        source: &Path,
        parameters: &[(String, String)],
    ) -> BTreeMap<String, String> {
        let mut sam = Command::new(tool(SAM, "bin/python3", "install-aws-sam-cli"));
        sam.args(["-m", "samcli", "deploy", "--template-file", "template.yaml"])
            .args(["--stack-name", stack, "--resolve-s3"])
            .args(["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
            .args(["--no-confirm-changeset", "--no-progressbar"])
            .arg("--parameter-overrides")
            .args(
                parameters
                    .iter()
                    .map(|(name, value)| format!("{name}={value}")),
            )
            .current_dir(source)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .env("AWS_ENDPOINT_URL", &self.emulator.url)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_DEFAULT_REGION", REGION)
            .env("SAM_CLI_TELEMETRY", "0");
        let what = format!("sam deploy of {stack}");
        let deployed = catch_unwind(AssertUnwindSafe(|| run(&what, sam)));
        if let Err(panic) = deployed {
            eprintln!("{}", self.logs());
            resume_unwind(panic);
        }
        self.outputs_of(stack)
    }

    fn outputs_of(&self, stack: &str) -> BTreeMap<String, String> {
        let described = [
            ("Action", "DescribeStacks"),
            ("StackName", stack),
            ("Version", "2010-05-15"),
        ];
        let xml = self.account.query("cloudformation", &described);
        let output =
            Regex::new(r"<OutputKey>([^<]*)</OutputKey>\s*<OutputValue>([^<]*)</OutputValue>");
        let output = output.unwrap();
        let outputs = output
            .captures_iter(&xml)
            .map(|found| (found[1].to_owned(), found[2].replace("&amp;", "&")));
        let outputs: BTreeMap<_, _> = outputs.collect();
        assert!(
            !outputs.is_empty(),
            "the stack {stack} has no outputs:\n{xml}"
        );
        outputs
    }

    /// The physical name of a resource of the template.
    pub(crate) fn resource(&self, logical: &str) -> String {
        let described = [
            ("Action", "DescribeStackResource"),
            ("StackName", "stepscope"),
            ("LogicalResourceId", logical),
            ("Version", "2010-05-15"),
        ];
        let xml = self.account.query("cloudformation", &described);
        let id = Regex::new(r"<PhysicalResourceId>([^<]*)</PhysicalResourceId>").unwrap();
        let found = id.captures(&xml);
        found.unwrap_or_else(|| panic!("{logical} is not there:\n{xml}"))[1].to_owned()
    }

    /// The API under the emulator's own address, whose names no resolver knows.
    pub(crate) fn api_url(&self) -> String {
        let url = &self.outputs["ApiUrl"];
        let host = url.split("://").nth(1).unwrap();
        let id = host.split('.').next().unwrap();
        format!("{}/_aws/execute-api/{id}/$default/", self.emulator.url)
    }

    /// The deployed API for a tenant, by the local issuer's token.
    pub(crate) fn api(&self, tenant: &str) -> Api {
        let token = self.folder.succeeds(&["token", "--tenant", tenant]);
        Api::at(&self.api_url(), token.trim())
    }

    /// The local cloud's API.
    pub(crate) fn local_api(&self, tenant: &str) -> Api {
        let token = self.folder.succeeds(&["token", "--tenant", tenant]);
        Api::at(&self.dev.url, token.trim())
    }

    pub(crate) fn logs(&self) -> String {
        self.emulator.log_tail()
    }
}

/// A denial that would meet everybody here, where nothing is sent over TLS.
const TLS_ONLY: &str = "Bool: { \"aws:SecureTransport\": \"false\" }";

/// The application's folder: the repository's template and workflows, and the bootstraps. Some lines
/// of the template are the emulator's: it speaks no TLS; it has no `CodeDeploy`, and gives a
/// template's own defaults to the SAM transform instead of the deployment's parameters; and the keys
/// of its user pools are at its own address, while their tokens name Cognito's.
fn lay_out(folder: &Path, emulator: &str) {
    let root = repository();
    std::fs::create_dir_all(folder).unwrap();
    let infra: PathBuf = root.join("infra");
    std::os::unix::fs::symlink(infra, folder.join("infra")).unwrap();
    let mut template = std::fs::read_to_string(root.join("template.yaml")).unwrap();
    let canary = "  Canary:\n    Type: String\n    Default: \"true\"";
    let keys = "STEPSCOPE_JWKS_URI: !If [CreatesUserPool, \"\", !Ref JwksUri]";
    let pool = "${UserPool.Outputs.UserPoolId}/.well-known/jwks.json";
    let changes = [
        (canary, canary.replace("true", "false")),
        (
            TLS_ONLY,
            TLS_ONLY
                .replace("SecureTransport", "ViaAWSService")
                .replace("false", "true"),
        ),
        (
            keys,
            keys.replace("\"\"", &format!("!Sub \"{emulator}/{pool}\"")),
        ),
    ];
    for (line, changed) in changes {
        assert!(
            template.contains(line),
            "the template has no {line:?} any more"
        );
        template = template.replace(line, &changed);
    }
    std::fs::write(folder.join("template.yaml"), template).unwrap();
    bootstraps::lay_out(folder);
}
