"""SIP trunks and IP access lists; through which trunk a call went; events that are of a trunk and of no call.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "sip_trunks",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("domain_name", sa.String(255), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("channel_limit", sa.Integer(), nullable=False),
        sa.Column("cps_limit", sa.Integer(), nullable=False),
        sa.Column("recording", sa.Boolean(), nullable=False),
        sa.Column("transport", sa.String(8), nullable=False),
        sa.Column("authentication_type", sa.String(16), nullable=False),
        sa.Column("auth_username", sa.String(255)),
        sa.Column("auth_password", sa.Text()),
        sa.Column("auth_addresses", sa.JSON(), nullable=False),
        sa.Column("ip_acl_id", sa.Uuid()),
        sa.Column("inbound_route", sa.JSON(none_as_null=True)),
        sa.Column("webhook_url", sa.Text()),
        sa.Column("webhook_version", sa.String(16), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
    )
    op.create_index("sip_trunks_by_time", "sip_trunks", ["created_at", "id"])
    op.create_table(
        "ip_acls",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
    )
    op.create_index("ip_acls_by_time", "ip_acls", ["created_at", "id"])
    op.add_column("calls", sa.Column("sip_trunk_id", sa.Uuid()))
    op.add_column("calls", sa.Column("webhook_version", sa.String(16)))
    op.create_index("calls_by_trunk", "calls", ["sip_trunk_id", "created_at", "id"])
    op.add_column("events", sa.Column("sip_trunk_id", sa.Uuid()))
    with op.batch_alter_table("events") as events:  # SQLite changes a column by copying the table
        events.alter_column("call_id", existing_type=sa.Uuid(), nullable=True)
    op.create_index("events_by_trunk", "events", ["sip_trunk_id", "at", "id"])


def downgrade() -> None:
    op.execute(sa.text("DELETE FROM events WHERE call_id IS NULL"))
    op.drop_index("events_by_trunk", "events")
    with op.batch_alter_table("events") as events:
        events.alter_column("call_id", existing_type=sa.Uuid(), nullable=False)
        events.drop_column("sip_trunk_id")
    op.drop_index("calls_by_trunk", "calls")
    op.drop_column("calls", "webhook_version")
    op.drop_column("calls", "sip_trunk_id")
    op.drop_table("ip_acls")
    op.drop_table("sip_trunks")
