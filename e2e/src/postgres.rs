//! A database of a test's own on the PostgreSQL that `HYPERVERGE_TEST_POSTGRES_URL` names.

use crate::environment::variable;
use anyhow::{Context, Result};
use hyperverge_cli::fleet::Place;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

/// The database, until it is dropped.
#[derive(Debug)]
pub(crate) struct ScratchDatabase {
    server: PgConnectOptions,
    name: String,
}

impl ScratchDatabase {
    /// Makes one and has the control planes of `place` use it.
    pub(crate) async fn create(place: &mut Place) -> Result<Self> {
        let url = variable("HYPERVERGE_TEST_POSTGRES_URL")?;
        let server: PgConnectOptions = url.parse().context("HYPERVERGE_TEST_POSTGRES_URL")?;
        // The folder's name is as unique as a name has to be here.
        let folder = place.dir.file_name().unwrap_or_default().to_string_lossy();
        let name: String =
            folder.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let name = name.to_ascii_lowercase();
        let scratch = Self { server, name };
        scratch.execute(&format!("CREATE DATABASE {}", scratch.name)).await?;
        let database = scratch.server.clone().database(&scratch.name).to_url_lossy().to_string();
        place.control_plane_env.push(("HYPERVERGE_DATABASE__URL".to_owned(), database));
        Ok(scratch)
    }

    /// Drops it, whoever is still connected.
    pub(crate) async fn drop(self) -> Result<()> {
        self.execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await
    }

    async fn execute(&self, statement: &str) -> Result<()> {
        let mut connection = PgConnection::connect_with(&self.server)
            .await
            .context("connecting to HYPERVERGE_TEST_POSTGRES_URL")?;
        // Letters, digits and underscores, all made above.
        sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }
}
