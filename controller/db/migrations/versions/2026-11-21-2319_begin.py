"""Begin."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "5d2ccadf42b8"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("cloud_role", sa.String(length=20), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("email", name=op.f("uq_accounts_email")),
    )
    op.create_table(
        "audit_records",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.String(length=32), nullable=True),
        sa.Column("actor_name", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("object_kind", sa.String(length=30), nullable=False),
        sa.Column("object_id", sa.String(length=64), nullable=False),
        sa.Column("refused", sa.String(length=60), nullable=True),
        sa.Column(
            "facts",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_audit_records")),
    )
    with op.batch_alter_table("audit_records", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_audit_records_site_id_at"), ["site_id", "at"], unique=False
        )

    op.create_table(
        "calendar",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("mark", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar")),
    )
    op.create_table(
        "free_week_hubs",
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("attached_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("serial", "site_id", name=op.f("pk_free_week_hubs")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column(
            "headers",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("body_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("pk_idempotency_keys")),
    )
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index(
            "ix_idempotency_keys_remembered",
            ["created_at"],
            unique=False,
            sqlite_where=sa.text("body_sealed IS NOT NULL"),
            postgresql_where=sa.text("body_sealed IS NOT NULL"),
        )

    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("once_key", sa.String(length=120), nullable=True),
        sa.Column(
            "facts",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("once_key", name=op.f("uq_outbox_once_key")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_waiting",
            ["id"],
            unique=False,
            sqlite_where=sa.text("sent_at IS NULL"),
            postgresql_where=sa.text("sent_at IS NULL"),
        )

    op.create_table(
        "sites",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("buy_from", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sites")),
    )
    op.create_table(
        "add_ons",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("feature", sa.String(length=40), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_add_ons_site_id_sites")),
        sa.PrimaryKeyConstraint("site_id", "feature", name=op.f("pk_add_ons")),
    )
    op.create_table(
        "entries",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("lock_id", sa.String(length=32), nullable=False),
        sa.Column("log_epoch", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hub_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("clock_trusted", sa.Boolean(), nullable=False),
        sa.Column("hub_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=True),
        sa.Column("credential_id", sa.String(length=32), nullable=True),
        sa.Column("person_id", sa.String(length=32), nullable=True),
        sa.Column("command_id", sa.String(length=32), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_entries_site_id_sites")),
        sa.PrimaryKeyConstraint(
            "site_id", "lock_id", "log_epoch", "sequence", name=op.f("pk_entries")
        ),
    )
    with op.batch_alter_table("entries", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_entries_site_id_received_at"), ["site_id", "received_at"], unique=False
        )

    op.create_table(
        "hubs",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claim_secret", sa.LargeBinary(length=100), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("device_key", sa.LargeBinary(length=32), nullable=True),
        sa.Column("agreement_key", sa.LargeBinary(length=32), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("lease_wanted", sa.BigInteger(), nullable=False),
        sa.Column("lease_confirmed", sa.BigInteger(), nullable=False),
        sa.Column("lease_signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision_wanted", sa.BigInteger(), nullable=False),
        sa.Column("revision_confirmed", sa.BigInteger(), nullable=False),
        sa.Column("subscribed_confirmed", sa.Boolean(), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("online", sa.Boolean(), nullable=True),
        sa.Column("online_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("firmware", sa.String(length=40), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_hubs_site_id_sites")),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_hubs")),
        sa.UniqueConstraint("id", name=op.f("uq_hubs_id")),
    )
    with op.batch_alter_table("hubs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_hubs_behind",
            ["online"],
            unique=False,
            sqlite_where=sa.text(
                "lease_confirmed < lease_wanted OR revision_confirmed < revision_wanted"
            ),
            postgresql_where=sa.text(
                "lease_confirmed < lease_wanted OR revision_confirmed < revision_wanted"
            ),
        )
        batch_op.create_index(
            batch_op.f("ix_hubs_lease_signed_at"), ["lease_signed_at"], unique=False
        )
        batch_op.create_index(
            "uq_hubs_serial_in_service",
            ["serial"],
            unique=True,
            sqlite_where=sa.text("retired_at IS NULL"),
            postgresql_where=sa.text("retired_at IS NULL"),
        )

    op.create_table(
        "people",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("account_id", sa.String(length=32), nullable=True),
        sa.Column("subscribed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_people_account_id_accounts")
        ),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_people_site_id_sites")),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_people")),
    )
    with op.batch_alter_table("people", schema=None) as batch_op:
        batch_op.create_index("ix_people_subscribed", ["site_id", "subscribed_at"], unique=False)

    op.create_table(
        "revoked_digests",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_revoked_digests_site_id_sites")
        ),
        sa.PrimaryKeyConstraint("site_id", "digest", name=op.f("pk_revoked_digests")),
    )
    op.create_table(
        "schedules",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column(
            "windows",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_schedules_site_id_sites")),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_schedules")),
        sa.UniqueConstraint("site_id", "name", name=op.f("uq_schedules_site_id_name")),
    )
    op.create_table(
        "site_roles",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_site_roles_account_id_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_site_roles_site_id_sites")
        ),
        sa.PrimaryKeyConstraint("site_id", "account_id", name=op.f("pk_site_roles")),
    )
    with op.batch_alter_table("site_roles", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_site_roles_account_id"), ["account_id"], unique=False)

    op.create_table(
        "subscriptions",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("plan", sa.String(length=10), nullable=False),
        sa.Column("users", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "segments",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("rest", sa.BigInteger(), nullable=False),
        sa.Column("catalogue_version", sa.Integer(), nullable=False),
        sa.Column("expired", sa.Boolean(), nullable=False),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.Column("reminder_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_subscriptions_site_id_sites")
        ),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_subscriptions")),
    )
    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.create_index(
            "ix_subscriptions_due",
            ["ends_at"],
            unique=False,
            sqlite_where=sa.text("NOT expired"),
            postgresql_where=sa.text("NOT expired"),
        )
        batch_op.create_index(
            "ix_subscriptions_reminder",
            ["reminder_at"],
            unique=False,
            sqlite_where=sa.text("reminder_at IS NOT NULL"),
            postgresql_where=sa.text("reminder_at IS NOT NULL"),
        )

    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column(
            "scopes",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=True,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_tokens_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_tokens_token_hash")),
    )
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tokens_account_id"), ["account_id"], unique=False)

    op.create_table(
        "value_ledger",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("paid", sa.BigInteger(), nullable=False),
        sa.Column("consumed", sa.BigInteger(), nullable=False),
        sa.Column("forfeited", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_value_ledger_site_id_sites")
        ),
        sa.PrimaryKeyConstraint("site_id", "number", name=op.f("pk_value_ledger")),
    )
    op.create_table(
        "voucher_batches",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("supplier_id", sa.String(length=32), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column(
            "product",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("redeem_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("catalogue_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["accounts.id"], name=op.f("fk_voucher_batches_supplier_id_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voucher_batches")),
    )
    with op.batch_alter_table("voucher_batches", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_voucher_batches_supplier_id_created_at"),
            ["supplier_id", "created_at"],
            unique=False,
        )

    op.create_table(
        "access_groups",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("schedule_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id", "schedule_id"],
            ["schedules.site_id", "schedules.id"],
            name=op.f("fk_access_groups_site_id_schedule_id_schedules"),
        ),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_access_groups_site_id_sites")
        ),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_access_groups")),
        sa.UniqueConstraint("site_id", "name", name=op.f("uq_access_groups_site_id_name")),
    )
    op.create_table(
        "credentials",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("label", sa.String(length=60), nullable=False),
        sa.Column("offline", sa.Boolean(), nullable=False),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id", "person_id"],
            ["people.site_id", "people.id"],
            name=op.f("fk_credentials_site_id_person_id_people"),
        ),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_credentials")),
        sa.UniqueConstraint("site_id", "digest", name=op.f("uq_credentials_site_id_digest")),
    )
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_credentials_site_id_person_id"), ["site_id", "person_id"], unique=False
        )

    op.create_table(
        "locks",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("hub_id", sa.String(length=32), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("public_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("pairing", sa.LargeBinary(length=400), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("open_s", sa.Integer(), nullable=False),
        sa.Column("memory_days", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("open_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("list_wanted", sa.LargeBinary(length=32), nullable=True),
        sa.Column("list_confirmed", sa.LargeBinary(length=32), nullable=True),
        sa.Column("list_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paired", sa.Boolean(), nullable=False),
        sa.Column("online", sa.Boolean(), nullable=True),
        sa.Column("log_epoch", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id", "hub_id"],
            ["hubs.site_id", "hubs.id"],
            name=op.f("fk_locks_site_id_hub_id_hubs"),
        ),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_locks")),
        sa.UniqueConstraint("serial", name=op.f("uq_locks_serial")),
    )
    with op.batch_alter_table("locks", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_locks_site_id_hub_id"), ["site_id", "hub_id"], unique=False
        )

    op.create_table(
        "vouchers",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column(
            "product",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("redeem_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("catalogue_version", sa.Integer(), nullable=False),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("redeemed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("redeemed_site_id", sa.String(length=32), nullable=True),
        sa.Column("redeemed_by", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["voucher_batches.id"], name=op.f("fk_vouchers_batch_id_voucher_batches")
        ),
        sa.ForeignKeyConstraint(
            ["redeemed_by"], ["accounts.id"], name=op.f("fk_vouchers_redeemed_by_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["redeemed_site_id"], ["sites.id"], name=op.f("fk_vouchers_redeemed_site_id_sites")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vouchers")),
        sa.UniqueConstraint("digest", name=op.f("uq_vouchers_digest")),
    )
    with op.batch_alter_table("vouchers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vouchers_batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_vouchers_redeemed_site_id"), ["redeemed_site_id"], unique=False
        )

    op.create_table(
        "commands",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("hub_id", sa.String(length=32), nullable=False),
        sa.Column("lock_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", sa.String(length=32), nullable=True),
        sa.Column("actor_name", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["site_id", "lock_id"],
            ["locks.site_id", "locks.id"],
            name=op.f("fk_commands_site_id_lock_id_locks"),
        ),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_commands")),
    )
    with op.batch_alter_table("commands", schema=None) as batch_op:
        batch_op.create_index(
            "ix_commands_open",
            ["issued_at"],
            unique=False,
            sqlite_where=sa.text("state IN ('queued', 'sent')"),
            postgresql_where=sa.text("state IN ('queued', 'sent')"),
        )

    op.create_table(
        "group_locks",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("group_id", sa.String(length=32), nullable=False),
        sa.Column("lock_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id", "group_id"],
            ["access_groups.site_id", "access_groups.id"],
            name=op.f("fk_group_locks_site_id_group_id_access_groups"),
        ),
        sa.ForeignKeyConstraint(
            ["site_id", "lock_id"],
            ["locks.site_id", "locks.id"],
            name=op.f("fk_group_locks_site_id_lock_id_locks"),
        ),
        sa.PrimaryKeyConstraint("site_id", "group_id", "lock_id", name=op.f("pk_group_locks")),
    )
    with op.batch_alter_table("group_locks", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_group_locks_site_id_lock_id"), ["site_id", "lock_id"], unique=False
        )

    op.create_table(
        "group_people",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("group_id", sa.String(length=32), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id", "group_id"],
            ["access_groups.site_id", "access_groups.id"],
            name=op.f("fk_group_people_site_id_group_id_access_groups"),
        ),
        sa.ForeignKeyConstraint(
            ["site_id", "person_id"],
            ["people.site_id", "people.id"],
            name=op.f("fk_group_people_site_id_person_id_people"),
        ),
        sa.PrimaryKeyConstraint("site_id", "group_id", "person_id", name=op.f("pk_group_people")),
    )
    with op.batch_alter_table("group_people", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_group_people_site_id_person_id"), ["site_id", "person_id"], unique=False
        )

    op.create_table(
        "seat_grants",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("voucher_id", sa.String(length=32), nullable=False),
        sa.Column("component", sa.String(length=40), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_seat_grants_site_id_sites")
        ),
        sa.ForeignKeyConstraint(
            ["voucher_id"], ["vouchers.id"], name=op.f("fk_seat_grants_voucher_id_vouchers")
        ),
        sa.PrimaryKeyConstraint("site_id", "voucher_id", name=op.f("pk_seat_grants")),
    )
    op.create_table(
        "subscription_history",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.String(length=32), nullable=True),
        sa.Column("actor_name", sa.String(length=100), nullable=False),
        sa.Column("voucher_id", sa.String(length=32), nullable=True),
        sa.Column(
            "facts",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_subscription_history_site_id_sites")
        ),
        sa.ForeignKeyConstraint(
            ["voucher_id"],
            ["vouchers.id"],
            name=op.f("fk_subscription_history_voucher_id_vouchers"),
        ),
        sa.PrimaryKeyConstraint("site_id", "number", name=op.f("pk_subscription_history")),
    )


def downgrade() -> None:
    op.drop_table("subscription_history")
    op.drop_table("seat_grants")
    with op.batch_alter_table("group_people", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_group_people_site_id_person_id"))

    op.drop_table("group_people")
    with op.batch_alter_table("group_locks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_group_locks_site_id_lock_id"))

    op.drop_table("group_locks")
    with op.batch_alter_table("commands", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_commands_open",
            sqlite_where=sa.text("state IN ('queued', 'sent')"),
            postgresql_where=sa.text("state IN ('queued', 'sent')"),
        )

    op.drop_table("commands")
    with op.batch_alter_table("vouchers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vouchers_redeemed_site_id"))
        batch_op.drop_index(batch_op.f("ix_vouchers_batch_id"))

    op.drop_table("vouchers")
    with op.batch_alter_table("locks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_locks_site_id_hub_id"))

    op.drop_table("locks")
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_credentials_site_id_person_id"))

    op.drop_table("credentials")
    op.drop_table("access_groups")
    with op.batch_alter_table("voucher_batches", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_voucher_batches_supplier_id_created_at"))

    op.drop_table("voucher_batches")
    op.drop_table("value_ledger")
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_tokens_account_id"))

    op.drop_table("tokens")
    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_subscriptions_reminder",
            sqlite_where=sa.text("reminder_at IS NOT NULL"),
            postgresql_where=sa.text("reminder_at IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_subscriptions_due",
            sqlite_where=sa.text("NOT expired"),
            postgresql_where=sa.text("NOT expired"),
        )

    op.drop_table("subscriptions")
    with op.batch_alter_table("site_roles", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_site_roles_account_id"))

    op.drop_table("site_roles")
    op.drop_table("schedules")
    op.drop_table("revoked_digests")
    with op.batch_alter_table("people", schema=None) as batch_op:
        batch_op.drop_index("ix_people_subscribed")

    op.drop_table("people")
    with op.batch_alter_table("hubs", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_hubs_serial_in_service",
            sqlite_where=sa.text("retired_at IS NULL"),
            postgresql_where=sa.text("retired_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_hubs_lease_signed_at"))
        batch_op.drop_index(
            "ix_hubs_behind",
            sqlite_where=sa.text(
                "lease_confirmed < lease_wanted OR revision_confirmed < revision_wanted"
            ),
            postgresql_where=sa.text(
                "lease_confirmed < lease_wanted OR revision_confirmed < revision_wanted"
            ),
        )

    op.drop_table("hubs")
    with op.batch_alter_table("entries", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_entries_site_id_received_at"))

    op.drop_table("entries")
    op.drop_table("add_ons")
    op.drop_table("sites")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_outbox_waiting",
            sqlite_where=sa.text("sent_at IS NULL"),
            postgresql_where=sa.text("sent_at IS NULL"),
        )

    op.drop_table("outbox")
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_idempotency_keys_remembered",
            sqlite_where=sa.text("body_sealed IS NOT NULL"),
            postgresql_where=sa.text("body_sealed IS NOT NULL"),
        )

    op.drop_table("idempotency_keys")
    op.drop_table("free_week_hubs")
    op.drop_table("calendar")
    with op.batch_alter_table("audit_records", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_records_site_id_at"))

    op.drop_table("audit_records")
    op.drop_table("accounts")
