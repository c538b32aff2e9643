//! A fresh store on each back end.

use hyperverge_control_plane::store::Store;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Runs `story` on an empty SQLite file, then on an empty PostgreSQL database.
pub(crate) async fn on_both<F>(story: impl Fn(Store) -> F)
where
    F: Future<Output = ()>,
{
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("store.db").display());
    let store = Store::open(&url).await.unwrap();
    story(store.clone()).await;
    store.close().await;

    let url = fresh_postgres().await;
    let store = Store::open(&url).await.unwrap();
    story(store.clone()).await;
    store.close().await;
}

/// A new database on the test server; its URL.
pub(crate) async fn fresh_postgres() -> String {
    let server = std::env::var("HYPERVERGE_TEST_POSTGRES_URL").expect(
        "HYPERVERGE_TEST_POSTGRES_URL must name a PostgreSQL server: run the tests by `make test`",
    );
    let name = format!("hv_{}", hyperverge_control_plane::clock::new_id().simple());
    let mut admin = PgConnection::connect(&server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut admin)
        .await
        .unwrap();
    admin.close().await.unwrap();
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(&name);
    url.into()
}
