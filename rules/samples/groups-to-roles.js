// Translates groups of the identity provider into roles of the application. Groups without a role are left out.
const ROLES = {
  'CN=App-Admins,OU=Groups,DC=acme,DC=example': 'admin',
  'CN=App-Users,OU=Groups,DC=acme,DC=example': 'user',
};

exports.onExecutePostLogin = async (event, api) => {
  const groups = event.user.groups ?? [];
  const roles = groups.filter((group) => Object.hasOwn(ROLES, group)).map((group) => ROLES[group]);
  if (roles.length === 0) {
    api.access.deny('You have no role in this application.');
    return;
  }
  api.idToken.setCustomClaim('https://example.com/roles', roles);
  api.accessToken.setCustomClaim('https://example.com/roles', roles);
};
