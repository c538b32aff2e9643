//! Both back ends have the same tables with the same columns.

use crate::back_ends::on_both;
use hyperverge_control_plane::params;
use hyperverge_control_plane::store::{Dialect, Store, StoreError};
use std::sync::Mutex;

const SQLITE_COLUMNS: &str = "SELECT m.name AS table_name, p.name AS column_name
    FROM sqlite_master m JOIN pragma_table_info(m.name) p
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '_sqlx%' ORDER BY 1, 2";
const POSTGRES_COLUMNS: &str = "SELECT CAST(table_name AS TEXT) AS table_name, CAST(column_name AS TEXT) AS column_name
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%' ORDER BY 1, 2";

async fn columns(store: &Store) -> Vec<(String, String)> {
    let sql = match store.dialect() {
        Dialect::Sqlite => SQLITE_COLUMNS,
        Dialect::Postgres => POSTGRES_COLUMNS,
    };
    let rows = store.read().await.unwrap().fetch_all(sql, params![]).await.unwrap();
    let mut columns: Vec<_> = rows
        .iter()
        .map(|row| (row.get("table_name").unwrap(), row.get("column_name").unwrap()))
        .collect();
    columns.sort();
    columns
}

#[tokio::test]
async fn the_two_schemas_have_the_same_columns() {
    let seen = Mutex::new(Vec::new());
    on_both(async |store| {
        let columns = columns(&store).await;
        assert!(columns.iter().any(|(table, _)| table == "results"));
        seen.lock().unwrap().push(columns);
    })
    .await;
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn what_is_not_committed_did_not_happen_and_a_taken_key_says_so() {
    on_both(async |store| {
        const INSERT: &str =
            "INSERT INTO organisations (organisation_id, name, created_at) VALUES ($1, $2, $3)";
        let id = hyperverge_control_plane::clock::new_id();
        let mut tx = store.begin().await.unwrap();
        let now = tx.now().await.unwrap();
        assert_eq!(tx.execute(INSERT, params![id, "one", now]).await.unwrap(), 1);
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.execute(INSERT, params![id, "two", now]).await.unwrap(), 1);
        tx.commit().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        let taken = tx.execute(INSERT, params![id, "three", now]).await;
        assert!(matches!(taken, Err(StoreError::Conflict)), "{taken:?}");
        drop(tx);
        let mut tx = store.read().await.unwrap();
        let row = tx
            .fetch_optional("SELECT name, created_at FROM organisations", params![])
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.get::<String>("name").unwrap(), "two");
        assert_eq!(row.get::<i64>("created_at").unwrap(), now);
    })
    .await;
}
