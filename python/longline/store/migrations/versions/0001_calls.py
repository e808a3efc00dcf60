"""The first schema: calls, legs, streams, events, recordings, API keys and secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("voice_app_id", sa.Uuid()),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("from_number", sa.String(255)),
        sa.Column("to_number", sa.String(255)),
        sa.Column("flow_url", sa.Text()),
        sa.Column("status_callback_url", sa.Text()),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("answered_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.Column("reason", sa.String(128)),
    )
    op.create_index("calls_by_time", "calls", ["created_at", "id"])
    op.create_table(
        "legs",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("call_session_id", sa.Uuid(), nullable=False),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("from_number", sa.String(255)),
        sa.Column("to_number", sa.String(255)),
        sa.Column("parent_leg_id", sa.Uuid()),
        sa.Column("recordings", sa.JSON(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("answered_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.Column("reason", sa.String(128)),
        sa.Column("ended_by", sa.String(32)),
    )
    op.create_index("legs_by_call", "legs", ["call_session_id", "created_at", "id"])
    op.create_table(
        "streams",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("ws_url", sa.Text(), nullable=False),
        sa.Column("dialect", sa.String(32), nullable=False),
        sa.Column("chunk_size", sa.Integer(), nullable=False),
        sa.Column("sample_rate", sa.String(8), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("connected_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.Column("reason", sa.String(128)),
        sa.Column("stats", sa.JSON(), nullable=False),
    )
    op.create_index("streams_by_call", "streams", ["call_id", "created_at", "id"])
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("leg_id", sa.Uuid()),
        sa.Column("stream_id", sa.Uuid()),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("api_version", sa.String(16)),
        sa.Column("payload", sa.JSON()),
        sa.Column("target_url", sa.Text()),
        sa.Column("delivery_status", sa.String(24), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("last_attempt_at", _TIME),
        sa.Column("last_status_code", sa.Integer()),
        sa.Column("last_error", sa.String(512)),
        sa.Column("delivered_at", _TIME),
    )
    op.create_index("events_by_time", "events", ["at", "id"])
    op.create_index("events_by_call", "events", ["call_id", "at", "id"])
    op.create_index("events_by_delivery", "events", ["delivery_status", "at", "id"])
    op.create_table(
        "recordings",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("leg_id", sa.Uuid()),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
    )
    op.create_index("recordings_by_call", "recordings", ["call_id", "created_at", "id"])
    op.create_table(
        "api_keys",
        sa.Column("hash", sa.String(128), primary_key=True),
        sa.Column("created_at", _TIME, nullable=False),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.LargeBinary(), nullable=False),
    )


def downgrade() -> None:
    for table in ("secrets", "api_keys", "recordings", "events", "streams", "legs", "calls"):
        op.drop_table(table)
