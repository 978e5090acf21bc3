// Lets people use sensitive scopes only if they signed in with a second factor: without one, the scopes are taken away.
const SENSITIVE = ['write:payments', 'read:salaries'];
const STRONG = ['mfa', 'phr', 'phrh', 'https://refeds.org/profile/mfa'];

exports.onExecutePostLogin = async (event, api) => {
  const methods = (event.authentication?.methods ?? []).map((method) => method.name);
  if ([...methods, event.authentication?.acr].some((name) => STRONG.includes(name))) {
    return;
  }
  for (const scope of event.transaction?.requested_scopes ?? []) {
    if (SENSITIVE.includes(scope)) {
      api.accessToken.removeScope(scope);
    }
  }
};
