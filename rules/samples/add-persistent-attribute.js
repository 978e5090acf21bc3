// Stores a preference of the person once. Every later login and the management API see it.
function addPersistentAttribute(user, context, callback) {
  user.user_metadata = user.user_metadata || {};
  if (user.user_metadata.language) {
    return callback(null, user, context);
  }
  const accepted = context.request.acceptLanguage || 'en';
  user.user_metadata.language = accepted.slice(0, 2).toLowerCase();
  auth0.users
    .updateUserMetadata(user.user_id, { language: user.user_metadata.language })
    .then(() => callback(null, user, context))
    .catch(callback);
}
