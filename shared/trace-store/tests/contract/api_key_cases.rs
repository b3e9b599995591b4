use std::time::Duration;

use trace_store::{Revocation, StoredApiKey};

use crate::backend::Backend;
use crate::spans::{acme, at, globex};

fn key(id: &str, created_at: u64) -> StoredApiKey {
    StoredApiKey {
        tenant: acme(),
        id: id.to_owned(),
        secret_sha256: "5e".repeat(32),
        last_four: "09af".to_owned(),
        name: "the shop's collector".to_owned(),
        scopes: vec!["traces:write".to_owned()],
        created_at: at(created_at),
        expires_at: at(3_600_000),
        revoked_at: None,
    }
}

pub(crate) async fn an_api_key_comes_back_as_it_was(backend: Backend) {
    let store = backend.store().await;
    let (first, second) = (key("b0", 1000), key("a0", 2000));
    for key in [&second, &first] {
        store.create_api_key(key).await.unwrap();
    }
    let found = store.api_key(&acme(), "b0").await.unwrap();
    assert_eq!(found.as_ref(), Some(&first));
    assert_eq!(store.api_keys(&acme()).await.unwrap(), [first, second]);
    let other = StoredApiKey {
        secret_sha256: "00".repeat(32),
        ..key("b0", 1000)
    };
    assert!(store.create_api_key(&other).await.is_err());
    assert_eq!(store.api_key(&globex(), "b0").await.unwrap(), None);
    assert_eq!(store.api_keys(&globex()).await.unwrap(), []);
}

pub(crate) async fn a_revoked_api_key_says_so_until_it_expires(backend: Backend) {
    let store = backend.store().await;
    store.create_api_key(&key("b0", 1000)).await.unwrap();
    let revoke = async |id: &str| store.revoke_api_key(&acme(), id).await.unwrap();
    assert_eq!(
        store.revoke_api_key(&globex(), "b0").await.unwrap(),
        Revocation::NoSuchKey
    );
    assert_eq!(revoke("b0").await, Revocation::Revoked);
    assert_eq!(revoke("b0").await, Revocation::AlreadyRevoked);
    assert_eq!(revoke("c0").await, Revocation::NoSuchKey);
    let found = store.api_key(&acme(), "b0").await.unwrap().unwrap();
    assert!(found.revoked_at.is_some());
    backend.clock.advance(Duration::from_secs(3601));
    assert_eq!(store.api_key(&acme(), "b0").await.unwrap(), None);
    assert_eq!(revoke("b0").await, Revocation::NoSuchKey);
}
