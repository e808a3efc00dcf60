"""Accounts: whose everything is. What was there belongs to the default account; so do the keys, which keep working.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

from longline.base.ids import DEFAULT_ACCOUNT_ID, new_id

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_OWNED = ("legs", "streams", "events", "recordings", "sip_trunks", "ip_acls")


def upgrade() -> None:
    accounts = op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("requests_per_s", sa.Float()),
    )
    op.create_index("accounts_by_name", "accounts", ["name"], unique=True)
    now = sa.func.current_timestamp()
    op.execute(accounts.insert().values(id=DEFAULT_ACCOUNT_ID, name="default", created_at=now, is_active=True))
    for table in _OWNED:
        owner = sa.Column("account_id", sa.Uuid(), nullable=False, server_default=DEFAULT_ACCOUNT_ID.hex)
        op.add_column(table, owner)
    _make_keys()
    op.create_table(
        "api_key_uses",
        sa.Column("key_id", sa.Uuid(), primary_key=True),
        sa.Column("last_used_at", _TIME, nullable=False),
    )
    op.drop_index("calls_by_time", "calls")
    op.create_index("calls_by_time", "calls", ["account_id", "created_at", "id"])
    op.create_index("calls_by_state", "calls", ["state", "account_id", "created_at", "id"])
    op.create_index("calls_by_from", "calls", ["account_id", "from_number", "created_at", "id"])
    op.create_index("calls_by_to", "calls", ["account_id", "to_number", "created_at", "id"])
    op.drop_index("calls_by_trunk", "calls")
    op.create_index("calls_by_trunk", "calls", ["sip_trunk_id", "account_id", "created_at", "id"])
    op.drop_index("events_by_time", "events")
    op.create_index("events_by_time", "events", ["account_id", "at", "id"])
    op.drop_index("events_by_call", "events")
    op.create_index("events_by_call", "events", ["call_id", "account_id", "at", "id"])
    op.drop_index("events_by_trunk", "events")
    op.create_index("events_by_trunk", "events", ["sip_trunk_id", "account_id", "at", "id"])
    op.create_index("events_by_outcome", "events", ["account_id", "delivery_status", "at", "id"])
    op.create_index("events_by_type", "events", ["account_id", "type", "at", "id"])
    op.create_index("recordings_by_state", "recordings", ["state", "created_at", "id"])
    for table in ("sip_trunks", "ip_acls"):
        op.drop_index(f"{table}_by_time", table)
        op.create_index(f"{table}_by_time", table, ["account_id", "created_at", "id"])


def _make_keys() -> None:
    earlier = sa.table("api_keys", sa.column("hash", sa.String()), sa.column("created_at", _TIME))
    kept = op.get_bind().execute(sa.select(earlier)).all()
    op.drop_table("api_keys")
    keys = op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("account_id", sa.Uuid(), nullable=False, server_default=DEFAULT_ACCOUNT_ID.hex),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(128), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME),
        sa.Column("revoked_at", _TIME),
        sa.Column("requests_per_s", sa.Float()),
    )
    for row in kept:
        op.execute(
            keys.insert().values(
                id=new_id(), name="first", prefix="", hash=row.hash, scopes=["admin"], created_at=row.created_at
            )
        )
    op.create_index("api_keys_by_hash", "api_keys", ["hash"], unique=True)
    op.create_index("api_keys_by_account", "api_keys", ["account_id", "created_at", "id"])


def downgrade() -> None:
    for table in ("sip_trunks", "ip_acls"):
        op.drop_index(f"{table}_by_time", table)
        op.create_index(f"{table}_by_time", table, ["created_at", "id"])
    op.drop_index("recordings_by_state", "recordings")
    op.drop_index("events_by_outcome", "events")
    op.drop_index("events_by_trunk", "events")
    op.create_index("events_by_trunk", "events", ["sip_trunk_id", "at", "id"])
    op.drop_index("events_by_call", "events")
    op.create_index("events_by_call", "events", ["call_id", "at", "id"])
    op.drop_index("events_by_type", "events")
    op.drop_index("events_by_time", "events")
    op.create_index("events_by_time", "events", ["at", "id"])
    for index in ("calls_by_trunk", "calls_by_to", "calls_by_from", "calls_by_state", "calls_by_time"):
        op.drop_index(index, "calls")
    op.create_index("calls_by_trunk", "calls", ["sip_trunk_id", "created_at", "id"])
    op.create_index("calls_by_time", "calls", ["created_at", "id"])
    op.drop_table("api_key_uses")
    op.drop_index("api_keys_by_account", "api_keys")
    op.drop_index("api_keys_by_hash", "api_keys")
    later = sa.table("api_keys", sa.column("hash", sa.String()), sa.column("created_at", _TIME))
    kept = op.get_bind().execute(sa.select(later)).all()
    op.drop_table("api_keys")
    keys = op.create_table(
        "api_keys",
        sa.Column("hash", sa.String(128), primary_key=True),
        sa.Column("created_at", _TIME, nullable=False),
    )
    for row in kept:
        op.execute(keys.insert().values(hash=row.hash, created_at=row.created_at))
    for table in reversed(_OWNED):
        op.drop_column(table, "account_id")
    op.drop_index("accounts_by_name", "accounts")
    op.drop_table("accounts")
