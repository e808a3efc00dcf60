"""How alembic reaches the database: over the connection that `store/migrate.py` holds."""

from alembic import context

from longline.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
