"""Alembic's entry. The database file is handed over by `atelier.migrate`."""

from alembic import context
from atelier.tables import Row
from sqlalchemy import create_engine, pool

database = context.config.attributes.get("database")


def run() -> None:
    engine = create_engine(f"sqlite:///{database}" if database else "sqlite://", poolclass=pool.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("PRAGMA synchronous=FULL")
        connection.commit()  # the migration is a transaction of its own
        context.configure(connection=connection, target_metadata=Row.metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
