use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address;

/// The system's resolver, less names with an address that is refused. All of a name's
/// addresses must be public: one that is not is an attempt, or a mistake.
pub(crate) struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for address in &addresses {
                address::check(address.ip())?;
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}
