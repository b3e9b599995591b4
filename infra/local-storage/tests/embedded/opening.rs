use local_storage::{LocalStorage, LocalStorageError};

use crate::fixture::{Cloud, config, create_table, dynamodb_client, get, item, open, put};

#[tokio::test]
async fn what_was_written_is_there_after_closing_and_after_a_kill() {
    let (cloud, client) = Cloud::with_table().await;
    put(&client, item("acme#1", "run", &[])).await;
    let killed = cloud.killed();
    assert!(
        get(&dynamodb_client(&killed.storage), "acme#1", "run")
            .await
            .is_some()
    );

    drop((client, cloud.storage));
    let storage = open(cloud.folder.path());
    assert!(
        get(&dynamodb_client(&storage), "acme#1", "run")
            .await
            .is_some()
    );
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused_in_words() {
    let cloud = Cloud::start();
    create_table(&cloud.dynamodb()).await;
    let refused = LocalStorage::open(cloud.folder.path(), config()).unwrap_err();
    assert!(matches!(refused, LocalStorageError::InUse { .. }));
    assert!(
        refused
            .to_string()
            .contains("in use by another process; stop that one"),
        "{refused}"
    );
}

#[test]
fn a_newer_format_is_refused_in_words_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("storage-format"), "99\n").unwrap();
    let refused = LocalStorage::open(folder.path(), config()).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("has storage format 99 and this version reads up to 1"),
        "{refused}"
    );
    assert!(!folder.path().join("dynamodb.db").exists());

    std::fs::write(folder.path().join("storage-format"), "one").unwrap();
    let refused = LocalStorage::open(folder.path(), config()).unwrap_err();
    assert!(
        matches!(refused, LocalStorageError::UnreadableFormat { .. }),
        "{refused}"
    );
}

#[test]
fn a_file_that_is_no_database_and_a_folder_that_is_a_file_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dynamodb.db"), vec![7_u8; 8192]).unwrap();
    let refused = LocalStorage::open(folder.path(), config()).unwrap_err();
    assert!(refused.to_string().contains("restore"), "{refused}");

    let file = folder.path().join("storage-file");
    std::fs::write(&file, "").unwrap();
    let refused = LocalStorage::open(&file, config()).unwrap_err();
    assert!(refused.to_string().contains("is in its place"), "{refused}");
}
