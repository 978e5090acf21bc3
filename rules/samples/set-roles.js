// Gives roles by e-mail domain, stores them in app_metadata, where people cannot change them, and puts them into the ID
// token. Only an address that the connection has verified counts.
function setRoles(user, context, callback) {
  const domain = (user.email || '').split('@')[1];
  const roles = user.email_verified === true && domain === 'acme.example' ? ['member', 'editor'] : ['guest'];
  user.app_metadata = user.app_metadata || {};
  const known = JSON.stringify(user.app_metadata.roles) === JSON.stringify(roles);
  user.app_metadata.roles = roles;
  context.idToken['https://example.com/roles'] = roles;
  if (known) {
    return callback(null, user, context);
  }
  auth0.users
    .updateAppMetadata(user.user_id, { roles })
    .then(() => callback(null, user, context))
    .catch(callback);
}
