// Lets only people of listed e-mail domains in. The list is `ALLOWED_DOMAINS` of the configuration, with commas.
function allowDomains(user, context, callback) {
  const allowed = (configuration.ALLOWED_DOMAINS || '').split(',').map((domain) => domain.trim().toLowerCase());
  const domain = (user.email || '').split('@').pop().toLowerCase();
  if (user.email_verified === true && domain !== '' && allowed.includes(domain)) {
    return callback(null, user, context);
  }
  callback(new UnauthorizedError('Your organisation may not use this application.'));
}
