"""Identifiers: 32 lower-case hexadecimal digits, drawn by the ids port."""

from typing import NewType

AccountId = NewType("AccountId", str)
SiteId = NewType("SiteId", str)
HubId = NewType("HubId", str)
LockId = NewType("LockId", str)
PersonId = NewType("PersonId", str)
CredentialId = NewType("CredentialId", str)
GroupId = NewType("GroupId", str)
ScheduleId = NewType("ScheduleId", str)
CommandId = NewType("CommandId", str)
HolidayId = NewType("HolidayId", str)
RepeaterId = NewType("RepeaterId", str)
RoleId = NewType("RoleId", str)
LockerId = NewType("LockerId", str)
PodId = NewType("PodId", str)
IncidentId = NewType("IncidentId", str)
RuleId = NewType("RuleId", str)
InvitationId = NewType("InvitationId", str)
VoucherId = NewType("VoucherId", str)
BatchId = NewType("BatchId", str)
