"""What each right lets somebody do, in one line each."""

from collections.abc import Mapping
from typing import Final

from controller.domain.roles import Action

MEANINGS: Final[Mapping[Action, str]] = {
    Action.MANAGE_ACCOUNTS: "Create, disable and enable accounts.",
    Action.READ_HEALTH: "See how the cloud is doing.",
    Action.CREATE_SITE: "Create sites and be their installer until the hand-over.",
    Action.READ_VOUCHERS: "See voucher batches and what became of their vouchers.",
    Action.MANAGE_VOUCHERS: "Mint, export and void vouchers.",
    Action.CANCEL_SUBSCRIPTION: "Cancel a site's subscription with a reason.",
    Action.READ_SITE: "See the site: name, time zone, whom to ask for vouchers.",
    Action.EDIT_SITE: "Edit the site's name, time zone and settings.",
    Action.HAND_OVER_SITE: "Hand the site over, or transfer it to an admin.",
    Action.MANAGE_ROLES: "Give and take roles and make own ones, within one's own rights.",
    Action.READ_SUBSCRIPTION: "See the subscription and its history.",
    Action.MANAGE_SUBSCRIPTION: "Preview and redeem vouchers.",
    Action.READ_HARDWARE: "See hubs, repeaters and locks and how they are.",
    Action.MANAGE_HARDWARE: "Register, edit, replace and remove hubs, repeaters and locks.",
    Action.READ_PEOPLE: "See people and what they carry.",
    Action.MANAGE_PEOPLE: "Add, edit, invite and delete people.",
    Action.READ_ACCESS: "See access groups, schedules and why somebody may open.",
    Action.MANAGE_ACCESS: "Edit access groups and schedules, give and block credentials.",
    Action.MANAGE_OFFLINE: "Grant and take explicit offline access.",
    Action.MANAGE_DOORS: "Edit the settings of locks and their office schedules.",
    Action.OPEN_REMOTELY: "Open any lock of the site from afar.",
    Action.USE_OFFICE_MODE: "Switch office mode from afar.",
    Action.READ_ACTIVITY: "See entries and incidents.",
    Action.READ_AUDIT: "See who changed what.",
    Action.MANAGE_NOTIFICATIONS: "Edit who is told of what.",
    Action.GRANT_INSTALLER: "Let an installer at the hardware for some hours.",
    Action.READ_OWN: "See what one may open and carries oneself.",
    Action.MANAGE_OWN_KEYS: "Enrol and block one's own digital keys.",
    Action.OPEN_OWN: "Open from afar the locks that one may open.",
    Action.MANAGE_OWN_GUESTS: "Invite guests to one's own pods.",
    Action.MANAGE_TOKENS: "See and revoke the site's API tokens.",
}
