// Tells the application, once, that somebody is new, and remembers when that was.
exports.onExecutePostLogin = async (event, api) => {
  if (event.user.app_metadata?.first_login_at) {
    return;
  }
  api.user.setAppMetadata('first_login_at', new Date().toISOString());
  api.idToken.setCustomClaim('https://example.com/first_login', true);
};
