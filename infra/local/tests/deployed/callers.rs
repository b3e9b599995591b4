//! Callers other than the account's owner: people who sign in, and whoever has a role's policies.

use aws_credential_types::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regex::Regex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::account::{Account, Answer};
use crate::application::Application;

const IAM: (&str, &str) = ("Version", "2010-05-08");
/// The template's own when no origin is allowed; the emulator takes no default for it.
pub(crate) const CALLBACK: &str = "http://localhost:5173";
const PASSWORD: &str = "A-long-password-of-1-user";

/// The tokens of one who signed in.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) id: String,
}

/// Adds a user to the created pool as the guide says, and signs in as a browser does: by code with
/// PKCE. The emulator's answer where there is no token.
pub(crate) fn sign_in(
    application: &Application,
    user: &str,
    tenant: Option<&str>,
    scopes: &str,
) -> Result<Tokens, Answer> {
    let pool = &application.outputs["UserPoolId"];
    let mut attributes = vec![json!({"Name": "email", "Value": user})];
    attributes.extend(tenant.map(|tenant| json!({"Name": "custom:tenant", "Value": tenant})));
    let cognito = |operation: &str, request: &Value| {
        let target = format!("AWSCognitoIdentityProviderService.{operation}");
        application.account.json("cognito-idp", &target, request)
    };
    let created = json!({"UserPoolId": pool, "Username": user, "UserAttributes": attributes,
        "TemporaryPassword": format!("{PASSWORD}-at-first"), "MessageAction": "SUPPRESS"});
    cognito("AdminCreateUser", &created);
    let password = json!({"UserPoolId": pool, "Username": user, "Password": PASSWORD,
        "Permanent": true});
    cognito("AdminSetUserPassword", &password);
    tokens(application, user, scopes)
}

fn tokens(application: &Application, user: &str, scopes: &str) -> Result<Tokens, Answer> {
    let verifier = "v".repeat(64);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    let client = application.outputs["ClientId"].as_str();
    let asked = [
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", CALLBACK),
        ("scope", scopes),
        ("state", "s"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let account = &application.account;
    let form = account.form(
        "/login",
        &[&asked[..], &[("username", user), ("password", PASSWORD)]].concat(),
    );
    let location = form
        .location
        .expect("the sign-in page sends back to the client");
    let back = Url::parse(&location).unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code");
    let (_, code) = code.unwrap_or_else(|| panic!("no code in {location}"));
    let exchanged = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", &verifier),
    ];
    let answer = account.form("/oauth2/token", &exchanged).answer;
    if answer.status != 200 {
        return Err(answer);
    }
    let tokens: Value = serde_json::from_str(&answer.text).unwrap();
    let token = |name: &str| tokens[name].as_str().unwrap().to_owned();
    Ok(Tokens {
        access: token("access_token"),
        id: token("id_token"),
    })
}

/// A user with the policies of the template's role, and its tags: so what the role may do is tried
/// and not read.
pub(crate) fn with_policies_of_role(
    application: &Application,
    role: &str,
    tenant: Option<&str>,
) -> Account {
    let role = application.resource(role);
    let name = [Some(role.as_str()), tenant]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("-");
    let account = &application.account;
    create_user(account, &name, tenant);
    let listed = iam(
        account,
        &[("Action", "ListRolePolicies"), ("RoleName", &role)],
    );
    for policy in all(&listed, "member") {
        let read = [
            ("Action", "GetRolePolicy"),
            ("RoleName", &role),
            ("PolicyName", &policy),
        ];
        let document = document(&iam(account, &read), "PolicyDocument");
        put_policy(account, &name, &policy, &document);
    }
    access_key(application, &name)
}

/// A user with a managed policy of the template.
pub(crate) fn with_managed_policy(
    application: &Application,
    policy_arn: &str,
    tenant: &str,
) -> Account {
    let account = &application.account;
    let name = format!("writer-{tenant}");
    create_user(account, &name, Some(tenant));
    let read = [
        ("Action", "GetPolicyVersion"),
        ("PolicyArn", policy_arn),
        ("VersionId", "v1"),
    ];
    let document = document(&iam(account, &read), "Document");
    put_policy(account, &name, "managed", &document);
    access_key(application, &name)
}

fn create_user(account: &Account, name: &str, tenant: Option<&str>) {
    let mut created = vec![("Action", "CreateUser"), ("UserName", name)];
    if let Some(tenant) = tenant {
        created.extend([
            ("Tags.member.1.Key", "tenant"),
            ("Tags.member.1.Value", tenant),
        ]);
    }
    iam(account, &created);
}

fn put_policy(account: &Account, user: &str, policy: &str, document: &str) {
    let put = [
        ("Action", "PutUserPolicy"),
        ("UserName", user),
        ("PolicyName", policy),
    ];
    iam(
        account,
        &[&put[..], &[("PolicyDocument", document)]].concat(),
    );
}

fn access_key(application: &Application, user: &str) -> Account {
    let created = iam(
        &application.account,
        &[("Action", "CreateAccessKey"), ("UserName", user)],
    );
    let id = all(&created, "AccessKeyId").remove(0);
    let secret = all(&created, "SecretAccessKey").remove(0);
    let credentials = Credentials::new(id, secret, None, None, "tests");
    Account::with(&application.emulator.url, credentials)
}

fn iam(account: &Account, parameters: &[(&str, &str)]) -> String {
    account.query("iam", &[parameters, &[IAM]].concat())
}

fn all(xml: &str, element: &str) -> Vec<String> {
    let found = Regex::new(&format!("<{element}>([^<]*)</{element}>")).unwrap();
    found
        .captures_iter(xml)
        .map(|found| found[1].to_owned())
        .collect()
}

/// Policies travel percent-encoded.
fn document(xml: &str, element: &str) -> String {
    let encoded = all(xml, element).remove(0);
    let pair = format!("d={}", encoded.replace('+', "%2B"));
    let (_, decoded) = url::form_urlencoded::parse(pair.as_bytes()).next().unwrap();
    decoded.into_owned()
}
