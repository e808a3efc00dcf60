"""What a recording is made of, whose it is, and whether it has ended.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("recordings", sa.Column("format", sa.String(8), nullable=False, server_default="wav"))
    op.add_column("recordings", sa.Column("channels", sa.Integer(), nullable=False, server_default="2"))
    op.add_column("recordings", sa.Column("encrypted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("recordings", sa.Column("track", sa.String(64), nullable=False, server_default="stereo"))
    op.add_column("recordings", sa.Column("state", sa.String(16), nullable=False, server_default="completed"))


def downgrade() -> None:
    for column in ("state", "track", "encrypted", "channels", "format"):
        op.drop_column("recordings", column)
