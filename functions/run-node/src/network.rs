//! Connections that reach only what a workflow's author may reach.

mod address;
mod resolver;

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;

use lambda_process::{AllowedAddress, StartError, http_client_builder};
use reqwest::{Client, ClientBuilder};
use url::{Host, Url};

use crate::error::AddressRefused;
use resolver::PublicResolver;

/// Two clients, because a connection once made is reused: one that can reach only public
/// addresses, and one for what the operator named.
pub(crate) struct Network {
    public: Client,
    named: Client,
    allowed: Vec<AllowedAddress>,
}

impl Network {
    pub(crate) fn new(allowed: Vec<AllowedAddress>) -> Result<Self, StartError> {
        let public = client()?.dns_resolver(Arc::new(PublicResolver));
        Ok(Self {
            public: public.build().map_err(StartError::HttpClient)?,
            named: client()?.build().map_err(StartError::HttpClient)?,
            allowed,
        })
    }

    /// The client for a URL that an author wrote, unless its address is refused. A name is
    /// checked when it is resolved, and the connection goes to the address that was checked.
    pub(crate) fn client_for(&self, url: &Url) -> Result<&Client, AddressRefused> {
        let host = match url.host() {
            // As the setting has it: without brackets.
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => url.host_str().unwrap_or_default().to_owned(),
        };
        let is_allowed = |allowed: &AllowedAddress| {
            host == allowed.host && url.port_or_known_default() == Some(allowed.port)
        };
        if self.allowed.iter().any(is_allowed) {
            return Ok(&self.named);
        }
        match url.host() {
            Some(Host::Ipv4(address)) => address::check(IpAddr::V4(address))?,
            Some(Host::Ipv6(address)) => address::check(IpAddr::V6(address))?,
            Some(Host::Domain(_)) | None => {}
        }
        Ok(&self.public)
    }

    pub(crate) const fn public(&self) -> &Client {
        &self.public
    }

    /// For URLs that whoever runs the process configured.
    pub(crate) const fn named(&self) -> &Client {
        &self.named
    }
}

/// Beside what the process's client does (no redirects: each would have to be checked as the
/// first address was): no proxy, which would connect to what nobody checked.
fn client() -> Result<ClientBuilder, StartError> {
    Ok(http_client_builder()?.no_proxy().tcp_nodelay(true))
}

/// The refusal behind a failed request, if that is why it failed.
pub(crate) fn refused(error: &(dyn Error + 'static)) -> Option<AddressRefused> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refused) = error.downcast_ref::<AddressRefused>() {
            return Some(refused.clone());
        }
        next = error.source();
    }
    None
}

/// The last cause, which says more than `error sending request`.
pub(crate) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// For messages: without user, password, query and fragment.
pub(crate) fn short(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}
