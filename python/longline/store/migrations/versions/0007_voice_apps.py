"""Voice apps, virtual numbers and the secrets that sign webhooks; which secret signs those of a call, and of a trunk.

Revision ID: 0007
Revises: 0006
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from longline.base.ids import DEFAULT_ACCOUNT_ID

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def _account() -> "sa.Column[Any]":
    return sa.Column("account_id", sa.Uuid(), nullable=False, server_default=DEFAULT_ACCOUNT_ID.hex)


def upgrade() -> None:
    op.create_table(
        "voice_apps",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _account(),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("flow_url", sa.Text()),
        sa.Column("webhook_url", sa.Text()),
        sa.Column("fallback_url", sa.Text()),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("channel_limit", sa.Integer()),
        sa.Column("secret_id", sa.Uuid()),
        sa.Column("webhook_version", sa.String(16), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
    )
    op.create_index("voice_apps_by_time", "voice_apps", ["account_id", "created_at", "id"])
    op.create_table(
        "virtual_numbers",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _account(),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("is_fixed", sa.Boolean(), nullable=False),
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("voice_app_id", sa.Uuid()),
        sa.Column("sip_trunk_id", sa.Uuid()),
        sa.Column("location_id", sa.Uuid()),
        sa.Column("location", sa.JSON(none_as_null=True)),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
    )
    op.create_index("virtual_numbers_by_number", "virtual_numbers", ["number"], unique=True)
    op.create_index("virtual_numbers_by_time", "virtual_numbers", ["account_id", "created_at", "id"])
    op.create_index("virtual_numbers_by_app", "virtual_numbers", ["voice_app_id", "created_at", "id"])
    op.create_table(
        "signing_secrets",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _account(),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("previous_value", sa.Text()),
        sa.Column("rotated_at", _TIME),
        sa.Column("created_at", _TIME, nullable=False),
    )
    op.create_index("signing_secrets_by_time", "signing_secrets", ["account_id", "created_at", "id"])
    op.add_column("events", sa.Column("secret_id", sa.Uuid()))
    op.add_column("calls", sa.Column("secret_id", sa.Uuid()))
    op.add_column("sip_trunks", sa.Column("secret_id", sa.Uuid()))


def downgrade() -> None:
    op.drop_column("sip_trunks", "secret_id")
    op.drop_column("calls", "secret_id")
    op.drop_column("events", "secret_id")
    op.drop_table("signing_secrets")
    op.drop_table("virtual_numbers")
    op.drop_table("voice_apps")
