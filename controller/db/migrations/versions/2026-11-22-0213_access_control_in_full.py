"""Access control in full: people, credentials, schedules, doors, hardware, notifications."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "8d0530d27446"
down_revision = "5d2ccadf42b8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "custom_roles",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column(
            "rights",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_custom_roles_site_id_sites")
        ),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_custom_roles")),
        sa.UniqueConstraint("site_id", "name", name=op.f("uq_custom_roles_site_id_name")),
    )
    op.create_table(
        "entry_logs",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("lock_id", sa.String(length=32), nullable=False),
        sa.Column("log_epoch", sa.BigInteger(), nullable=False),
        sa.Column("removed_up_to", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_entry_logs_site_id_sites")
        ),
        sa.PrimaryKeyConstraint("site_id", "lock_id", "log_epoch", name=op.f("pk_entry_logs")),
    )
    op.create_table(
        "holidays",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_holidays_site_id_sites")),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_holidays")),
        sa.UniqueConstraint("site_id", "starts_on", name=op.f("uq_holidays_site_id_starts_on")),
    )
    op.create_table(
        "incidents",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("lock_id", sa.String(length=32), nullable=True),
        sa.Column("hub_id", sa.String(length=32), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=32), nullable=True),
        sa.Column(
            "facts",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("once_key", sa.String(length=120), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_incidents_site_id_sites")),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_incidents")),
        sa.UniqueConstraint("site_id", "once_key", name=op.f("uq_incidents_site_id_once_key")),
    )
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.create_index(
            "ix_incidents_going_on",
            ["site_id", "kind"],
            unique=False,
            sqlite_where=sa.text("over_at IS NULL"),
            postgresql_where=sa.text("over_at IS NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_incidents_site_id_received_at"), ["site_id", "received_at"], unique=False
        )

    op.create_table(
        "pods",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("guests_max", sa.Integer(), nullable=False),
        sa.Column("usable", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_pods_site_id_sites")),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_pods")),
        sa.UniqueConstraint("site_id", "name", name=op.f("uq_pods_site_id_name")),
    )
    op.create_table(
        "site_changes",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("item_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_site_changes_site_id_sites")
        ),
        sa.PrimaryKeyConstraint("site_id", "number", name=op.f("pk_site_changes")),
    )
    op.create_table(
        "invitations",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("invited_by", sa.String(length=32), nullable=True),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["site_id", "person_id"],
            ["people.site_id", "people.id"],
            name=op.f("fk_invitations_site_id_person_id_people"),
        ),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("site_id", "person_id", name=op.f("uq_invitations_site_id_person_id")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    op.create_table(
        "notification_rules",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column(
            "kinds",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column(
            "lock_ids",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=True,
        ),
        sa.Column(
            "person_ids",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=True,
        ),
        sa.Column("schedule_id", sa.String(length=32), nullable=True),
        sa.Column("by_mail", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id", "schedule_id"],
            ["schedules.site_id", "schedules.id"],
            name=op.f("fk_notification_rules_site_id_schedule_id_schedules"),
        ),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_notification_rules_site_id_sites")
        ),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_notification_rules")),
        sa.UniqueConstraint("site_id", "name", name=op.f("uq_notification_rules_site_id_name")),
    )
    op.create_table(
        "pod_people",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("pod_id", sa.String(length=32), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("is_guest", sa.Boolean(), nullable=False),
        sa.Column("invited_by", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["site_id", "person_id"],
            ["people.site_id", "people.id"],
            name=op.f("fk_pod_people_site_id_person_id_people"),
        ),
        sa.ForeignKeyConstraint(
            ["site_id", "pod_id"],
            ["pods.site_id", "pods.id"],
            name=op.f("fk_pod_people_site_id_pod_id_pods"),
        ),
        sa.PrimaryKeyConstraint("site_id", "pod_id", "person_id", name=op.f("pk_pod_people")),
    )
    with op.batch_alter_table("pod_people", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_pod_people_site_id_person_id"), ["site_id", "person_id"], unique=False
        )

    op.create_table(
        "repeaters",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("hub_id", sa.String(length=32), nullable=False),
        sa.Column("parent_id", sa.String(length=32), nullable=True),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id", "hub_id"],
            ["hubs.site_id", "hubs.id"],
            name=op.f("fk_repeaters_site_id_hub_id_hubs"),
        ),
        sa.ForeignKeyConstraint(
            ["site_id", "parent_id"],
            ["repeaters.site_id", "repeaters.id"],
            name=op.f("fk_repeaters_site_id_parent_id_repeaters"),
        ),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_repeaters")),
        sa.UniqueConstraint("serial", name=op.f("uq_repeaters_serial")),
    )
    with op.batch_alter_table("repeaters", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_repeaters_site_id_hub_id"), ["site_id", "hub_id"], unique=False
        )

    op.create_table(
        "notification_receivers",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("rule_id", sa.String(length=32), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id", "person_id"],
            ["people.site_id", "people.id"],
            name=op.f("fk_notification_receivers_site_id_person_id_people"),
        ),
        sa.ForeignKeyConstraint(
            ["site_id", "rule_id"],
            ["notification_rules.site_id", "notification_rules.id"],
            name=op.f("fk_notification_receivers_site_id_rule_id_notification_rules"),
        ),
        sa.PrimaryKeyConstraint(
            "site_id", "rule_id", "person_id", name=op.f("pk_notification_receivers")
        ),
    )
    with op.batch_alter_table("notification_receivers", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_notification_receivers_site_id_person_id"),
            ["site_id", "person_id"],
            unique=False,
        )

    op.create_table(
        "enrolments",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("lock_id", sa.String(length=32), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("label", sa.String(length=60), nullable=False),
        sa.Column("offline", sa.Boolean(), nullable=False),
        sa.Column("actor_id", sa.String(length=32), nullable=True),
        sa.Column("actor_name", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=True),
        sa.Column("refusal", sa.String(length=60), nullable=True),
        sa.Column("credential_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["site_id", "lock_id"],
            ["locks.site_id", "locks.id"],
            name=op.f("fk_enrolments_site_id_lock_id_locks"),
        ),
        sa.ForeignKeyConstraint(
            ["site_id", "person_id"],
            ["people.site_id", "people.id"],
            name=op.f("fk_enrolments_site_id_person_id_people"),
        ),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_enrolments")),
    )
    with op.batch_alter_table("enrolments", schema=None) as batch_op:
        batch_op.create_index(
            "ix_enrolments_open",
            ["until"],
            unique=False,
            sqlite_where=sa.text("state IN ('waiting', 'presented')"),
            postgresql_where=sa.text("state IN ('waiting', 'presented')"),
        )

    op.create_table(
        "lockers",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("lock_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("usable", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id", "lock_id"],
            ["locks.site_id", "locks.id"],
            name=op.f("fk_lockers_site_id_lock_id_locks"),
        ),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_lockers")),
        sa.UniqueConstraint("site_id", "lock_id", name=op.f("uq_lockers_site_id_lock_id")),
        sa.UniqueConstraint("site_id", "name", name=op.f("uq_lockers_site_id_name")),
    )
    op.create_table(
        "offline_lists",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("lock_id", sa.String(length=32), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("compiled_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id", "lock_id"],
            ["locks.site_id", "locks.id"],
            name=op.f("fk_offline_lists_site_id_lock_id_locks"),
        ),
        sa.PrimaryKeyConstraint("site_id", "lock_id", "hash", name=op.f("pk_offline_lists")),
    )
    op.create_table(
        "purges",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("lock_id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id", "lock_id"],
            ["locks.site_id", "locks.id"],
            name=op.f("fk_purges_site_id_lock_id_locks"),
        ),
        sa.PrimaryKeyConstraint("site_id", "lock_id", "digest", name=op.f("pk_purges")),
    )
    op.create_table(
        "revocations",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("credential_id", sa.String(length=32), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("document_issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["site_id"], ["sites.id"], name=op.f("fk_revocations_site_id_sites")
        ),
        sa.PrimaryKeyConstraint("site_id", "number", "digest", name=op.f("pk_revocations")),
    )
    with op.batch_alter_table("revocations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_revocations_site_id_credential_id"),
            ["site_id", "credential_id"],
            unique=False,
        )
    op.create_table(
        "revocation_locks",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("lock_id", sa.String(length=32), nullable=False),
        sa.Column("hub_id", sa.String(length=32), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=True),
        sa.Column("hub_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("site_id", "number", "lock_id", name=op.f("pk_revocation_locks")),
    )
    with op.batch_alter_table("revocation_locks", schema=None) as batch_op:
        batch_op.create_index(
            "ix_revocation_locks_open",
            ["site_id", "hub_id"],
            unique=False,
            sqlite_where=sa.text("confirmed_at IS NULL"),
            postgresql_where=sa.text("confirmed_at IS NULL"),
        )
    op.create_table(
        "pod_locks",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("pod_id", sa.String(length=32), nullable=False),
        sa.Column("lock_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id", "lock_id"],
            ["locks.site_id", "locks.id"],
            name=op.f("fk_pod_locks_site_id_lock_id_locks"),
        ),
        sa.ForeignKeyConstraint(
            ["site_id", "pod_id"],
            ["pods.site_id", "pods.id"],
            name=op.f("fk_pod_locks_site_id_pod_id_pods"),
        ),
        sa.PrimaryKeyConstraint("site_id", "pod_id", "lock_id", name=op.f("pk_pod_locks")),
    )
    with op.batch_alter_table("pod_locks", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_pod_locks_site_id_lock_id"), ["site_id", "lock_id"], unique=False
        )

    op.create_table(
        "locker_people",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("locker_id", sa.String(length=32), nullable=False),
        sa.Column("person_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id", "locker_id"],
            ["lockers.site_id", "lockers.id"],
            name=op.f("fk_locker_people_site_id_locker_id_lockers"),
        ),
        sa.ForeignKeyConstraint(
            ["site_id", "person_id"],
            ["people.site_id", "people.id"],
            name=op.f("fk_locker_people_site_id_person_id_people"),
        ),
        sa.PrimaryKeyConstraint("site_id", "locker_id", "person_id", name=op.f("pk_locker_people")),
    )
    with op.batch_alter_table("locker_people", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_locker_people_site_id_person_id"), ["site_id", "person_id"], unique=False
        )

    with op.batch_alter_table("access_groups", schema=None) as batch_op:
        batch_op.add_column(sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table("commands", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("kind", sa.String(length=16), server_default="open", nullable=False)
        )
        batch_op.add_column(sa.Column("seconds", sa.Integer(), nullable=True))

    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.add_column(sa.Column("public_key", sa.LargeBinary(length=32), nullable=True))
        batch_op.add_column(
            sa.Column("document_issued_at", sa.DateTime(timezone=True), nullable=True)
        )
        batch_op.add_column(
            sa.Column("custom", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("usable", sa.Boolean(), server_default=sa.true(), nullable=False)
        )
        batch_op.create_index(
            "ix_credentials_offline",
            ["site_id", "person_id"],
            unique=False,
            sqlite_where=sa.text("offline = 1"),
            postgresql_where=sa.text("offline"),
        )
        batch_op.create_index(
            "ix_credentials_pins",
            ["site_id", "person_id"],
            unique=False,
            sqlite_where=sa.text("kind = 'pin'"),
            postgresql_where=sa.text("kind = 'pin'"),
        )
        batch_op.alter_column(
            "kind",
            existing_type=sa.VARCHAR(length=10),
            type_=sa.String(length=12),
            existing_nullable=False,
        )

    with op.batch_alter_table("entries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("credential_kind", sa.Integer(), nullable=True))

    with op.batch_alter_table("locks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("repeater_id", sa.String(length=32), nullable=True))
        batch_op.add_column(
            sa.Column("ticket_number", sa.BigInteger(), server_default=sa.text("1"), nullable=False)
        )
        batch_op.add_column(sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column("extended_open_s", sa.Integer(), server_default=sa.text("15"), nullable=False)
        )
        batch_op.add_column(
            sa.Column("left_open_s", sa.Integer(), server_default=sa.text("30"), nullable=False)
        )
        batch_op.add_column(
            sa.Column("office", sa.String(length=10), server_default="by_hand", nullable=False)
        )
        batch_op.add_column(sa.Column("office_schedule_id", sa.String(length=32), nullable=True))
        batch_op.add_column(
            sa.Column("toggle", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("privacy", sa.Boolean(), server_default=sa.true(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("keypad", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.alter_column(
            "open_number",
            new_column_name="order_number",
            existing_type=sa.BigInteger(),
            existing_nullable=False,
        )
        batch_op.add_column(sa.Column("online_since", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("battery", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("mode", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("released_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_locks_site_id_repeater_id_repeaters"),
            "repeaters",
            ["site_id", "repeater_id"],
            ["site_id", "id"],
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_locks_site_id_office_schedule_id_schedules"),
            "schedules",
            ["site_id", "office_schedule_id"],
            ["site_id", "id"],
        )

    op.drop_index("uq_hubs_serial_in_service", table_name="hubs")
    op.create_index(
        "uq_hubs_serial_in_service",
        "hubs",
        ["serial"],
        unique=True,
        sqlite_where=sa.text("retired_at IS NULL AND claimed_at IS NOT NULL"),
        postgresql_where=sa.text("retired_at IS NULL AND claimed_at IS NOT NULL"),
    )
    op.create_index(
        "uq_hubs_serial_at_site",
        "hubs",
        ["site_id", "serial"],
        unique=True,
        sqlite_where=sa.text("retired_at IS NULL"),
        postgresql_where=sa.text("retired_at IS NULL"),
    )
    op.create_index("ix_hubs_serial", "hubs", ["serial"], unique=False)

    # Until now a ticket had the number of the hub's epoch.
    op.execute(
        sa.text(
            "UPDATE locks SET ticket_number = (SELECT epoch FROM hubs "
            "WHERE hubs.site_id = locks.site_id AND hubs.id = locks.hub_id)"
        )
    )

    # Nobody had noted at which lock a right was lost.
    op.execute(
        sa.text(
            "UPDATE locks SET purged_at = (SELECT max(revoked_at) FROM revoked_digests "
            "WHERE revoked_digests.site_id = locks.site_id)"
        )
    )

    # An e-mail address that somebody typed tied them to accounts; now only an invitation does.
    op.execute(sa.text("UPDATE people SET account_id = NULL"))
    with op.batch_alter_table("people", schema=None) as batch_op:
        batch_op.create_unique_constraint(
            batch_op.f("uq_people_site_id_account_id"), ["site_id", "account_id"]
        )
        batch_op.add_column(
            sa.Column("is_guest", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(
            sa.Column("privileges", sa.Integer(), server_default=sa.text("0"), nullable=False)
        )

    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("observes_holidays", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(sa.Column("starts_on", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("ends_on", sa.Date(), nullable=True))

    with op.batch_alter_table("site_roles", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("granted_by", sa.String(length=32), nullable=True))
        batch_op.alter_column(
            "role",
            existing_type=sa.VARCHAR(length=20),
            type_=sa.String(length=40),
            existing_nullable=False,
        )
        batch_op.create_index(
            "uq_site_roles_owner",
            ["site_id"],
            unique=True,
            sqlite_where=sa.text("role = 'owner'"),
            postgresql_where=sa.text("role = 'owner'"),
        )

    with op.batch_alter_table("sites", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("hardware_confirmed_at", sa.DateTime(timezone=True), nullable=True)
        )
        batch_op.add_column(
            sa.Column("pins", sa.Boolean(), server_default=sa.true(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("custom_pins", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column(
                "digital_keys_offline", sa.Boolean(), server_default=sa.false(), nullable=False
            )
        )
        batch_op.add_column(
            sa.Column("change_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        )

    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("rule_id", sa.String(length=32), nullable=False),
        sa.Column("once_key", sa.String(length=160), nullable=False),
        sa.Column("line", sa.String(length=400), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id", "rule_id"],
            ["notification_rules.site_id", "notification_rules.id"],
            name=op.f("fk_notices_site_id_rule_id_notification_rules"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("once_key", name=op.f("uq_notices_once_key")),
    )
    with op.batch_alter_table("notices", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_notices_site_id_rule_id"), ["site_id", "rule_id"], unique=False
        )

    op.create_table(
        "mails",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("receiver", sa.String(length=254), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
    )
    with op.batch_alter_table("mails", schema=None) as batch_op:
        batch_op.create_index(
            "ix_mails_waiting",
            ["next_at"],
            unique=False,
            sqlite_where=sa.text("given_up_at IS NULL"),
            postgresql_where=sa.text("given_up_at IS NULL"),
        )

    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("to_mail", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.create_index(
            "ix_outbox_to_mail",
            ["id"],
            unique=False,
            sqlite_where=sa.text("to_mail"),
            postgresql_where=sa.text("to_mail"),
        )

    for table in ("add_ons", "seat_grants"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(
                sa.Column("lapsed", sa.Boolean(), server_default=sa.false(), nullable=False)
            )
            batch_op.create_index(
                f"ix_{table}_running",
                ["ends_at"],
                unique=False,
                sqlite_where=sa.text("NOT lapsed"),
                postgresql_where=sa.text("NOT lapsed"),
            )

    op.create_table(
        "events",
        sa.Column("site_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column(
            "facts",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_events_site_id_sites")),
        sa.PrimaryKeyConstraint("site_id", "number", name=op.f("pk_events")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_events_created_at"), ["created_at"], unique=False)
    with op.batch_alter_table("sites", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("event_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        )
